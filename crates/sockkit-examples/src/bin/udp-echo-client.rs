//! The course's UDP echo client: sends messages and prints the replies.
//!
//! Unlike the course's program, it waits at most two seconds, and reports a
//! closed port at once, which only a connected UDP socket can detect.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::Parser;
use sockkit::{
    options::SocketOptions,
    udp::{Transmit, UdpEndpoint, unspecified},
};
use sockkit_examples::{
    IN_THE_CLEAR, address, failure::Failure, println, terminal::lines, until_ctrl_c,
};

/// The course's UDP echo client: sends each MESSAGE and prints the answer
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The server
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5004", value_parser = address::<5004>)]
    server: SocketAddr,
    /// Messages to send, one datagram each
    #[arg(value_name = "MESSAGE", default_value = "hello")]
    messages: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(ask(args.server, args.messages)).await
}

async fn ask(server: SocketAddr, messages: Vec<String>) -> anyhow::Result<()> {
    let options = SocketOptions::new().read_timeout(Some(Duration::from_secs(2)));
    let endpoint = UdpEndpoint::bind_with(unspecified(server), &options)?;
    endpoint.connect(server)?;

    let mut buffer = vec![0; 65_535];
    for message in messages {
        endpoint.send(Transmit::to_peer(message.as_bytes())).await?;
        let answer = endpoint.recv(&mut buffer).await;
        let answer = answer.with_context(|| format!("no answer from {server}"))?;
        println!("{}", lines(answer.bytes));
    }
    Ok(())
}
