//! The course's first TCP client: sends messages and prints the replies.
//!
//! Unlike the course's program, it reads as many bytes as it has sent, because
//! an echo may arrive in pieces.

use anyhow::Context;
use clap::Parser;
use sockkit::tcp::connect;
use sockkit_examples::{
    IN_THE_CLEAR, failure::Failure, println, server, terminal::lines, until_ctrl_c,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_client_demo.py: sends messages to an echo server and prints the answers
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The server, by address or name
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5001", value_parser = server::<5001>)]
    server: String,
    /// What to send
    #[arg(value_name = "MESSAGE", default_value = "Hello, server!")]
    messages: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(talk(args)).await
}

// ANCHOR: talk
async fn talk(args: Args) -> anyhow::Result<()> {
    let mut connection = connect(&args.server).await?;
    for message in &args.messages {
        connection.write_all(message.as_bytes()).await?;
        let mut answer = vec![0; message.len()];
        connection
            .read_exact(&mut answer)
            .await
            .context("the server closed before it had answered")?;
        println!("received: {}", lines(&answer));
    }
    connection.shutdown().await?;
    Ok(())
}
// ANCHOR_END: talk
