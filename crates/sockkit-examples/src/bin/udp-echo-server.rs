//! The course's UDP echo server: what comes goes back to its sender.
//!
//! What it does beyond the notes: it goes on when a client has closed its port,
//! and says which one.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::udp::{Transmit, UdpEndpoint};
use sockkit_examples::{terminal::line, until_ctrl_c};

/// The course's UDP echo server: sends every datagram back to its sender
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5004")]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    until_ctrl_c(serve(args.bind)).await
}

async fn serve(bind: SocketAddr) -> anyhow::Result<()> {
    let endpoint = UdpEndpoint::bind(bind)?;
    println!("listening on {}", endpoint.local_addr()?);

    // Room for the largest datagram: nothing is cut.
    let mut buffer = vec![0; 65_535];
    loop {
        let datagram = endpoint.recv(&mut buffer).await?;
        println!("{}: {}", datagram.from, line(datagram.bytes));

        let answer = Transmit::new(datagram.from, datagram.bytes);
        if let Err(error) = endpoint.send(answer).await {
            // One client's oddity is not the others' problem.
            eprintln!("no answer to {}: {error}", datagram.from);
        }
        while let Some(error) = endpoint.take_peer_error() {
            println!("left: {error}");
        }
    }
}
