//! The course's UDP echo server: returns each datagram to its sender.
//!
//! Unlike the course's program, it continues when a client has closed its port,
//! and reports which one.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::udp::{Transmit, UdpEndpoint};
use sockkit_examples::{
    IN_THE_CLEAR, address, eprintln, failure::Failure, println, terminal::line, until_ctrl_c,
};

/// The course's UDP echo server: sends every datagram back to its sender
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5004", value_parser = address::<5004>)]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(serve(args.bind)).await
}

async fn serve(bind: SocketAddr) -> anyhow::Result<()> {
    let endpoint = UdpEndpoint::bind(bind)?;
    println!("listening on {}", endpoint.local_addr()?);

    // Large enough for any datagram.
    let mut buffer = vec![0; 65_535];
    loop {
        let datagram = endpoint.recv(&mut buffer).await?;
        println!("{}: {}", datagram.from, line(datagram.bytes));

        let answer = Transmit::new(datagram.from, datagram.bytes);
        if let Err(error) = endpoint.send(answer).await {
            // An error for one client must not affect the others.
            eprintln!("no answer to {}: {error}", datagram.from);
        }
        while let Some(error) = endpoint.take_peer_error() {
            println!("left: {error}");
        }
    }
}
