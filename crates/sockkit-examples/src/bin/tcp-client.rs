//! The course's TCP client with exception handling: sends lines, prints the
//! replies, exits at `q`.
//!
//! Unlike the course's program, it waits at most ten seconds for a reply, and
//! also accepts lines from a pipe.

use std::time::Duration;

use anyhow::bail;
use clap::Parser;
use sockkit::tcp::Connector;
use sockkit_examples::{IN_THE_CLEAR, eprintln, println, server, terminal, until_ctrl_c};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// TCP_client.py: sends lines from the keyboard and prints the answers; q ends
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The server, by address or name
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5001", value_parser = server::<5001>)]
    server: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let outcome = until_ctrl_c(talk(args.server)).await;
    // A blocking read of the keyboard cannot be cancelled: do not wait for it.
    if let Err(error) = outcome {
        eprintln!("Error: {error:?}");
        std::process::exit(1);
    }
    std::process::exit(0)
}

async fn talk(server: String) -> anyhow::Result<()> {
    let mut connection = Connector::default()
        .timeout(PATIENCE)
        .connect(&server)
        .await?;
    connection.set_read_timeout(Some(PATIENCE));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut buffer = [0; 1024];
    while let Some(line) = lines.next_line().await? {
        if line == "q" {
            break;
        }
        if line.is_empty() {
            // An empty message gets no reply.
            continue;
        }
        connection.write_all(line.as_bytes()).await?;
        let bytes = connection.read(&mut buffer).await?;
        if bytes == 0 {
            bail!("the server has closed the connection");
        }
        println!("{}", terminal::lines(&buffer[..bytes]));
    }
    connection.shutdown().await?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
