//! The course's first echo server: one client, no error handling.
//!
//! Like the course's program, it omits error handling: a client that resets the
//! connection ends it with an error. `tcp-echo-server` handles that.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::tcp::Listener;
use sockkit_examples::{
    IN_THE_CLEAR, address, failure::Failure, println, terminal::lines, until_ctrl_c,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_echoserver_demo.py: sends back what one client sends, and ends with it
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001", value_parser = address::<5001>)]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(serve(args.bind)).await
}

// ANCHOR: serve
async fn serve(bind: SocketAddr) -> anyhow::Result<()> {
    let listener = Listener::bind(bind)?;
    println!("listening on {}", listener.local_addr()?);
    let (mut connection, peer) = listener.accept().await?;
    println!("connected by {peer}");
    let mut buffer = [0; 1024];
    loop {
        let bytes = connection.read(&mut buffer).await?;
        // EOF: the peer has closed its side.
        if bytes == 0 {
            return Ok(());
        }
        println!("received: {}", lines(&buffer[..bytes]));
        connection.write_all(&buffer[..bytes]).await?;
    }
}
// ANCHOR_END: serve
