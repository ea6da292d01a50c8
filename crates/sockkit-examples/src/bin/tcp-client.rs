//! The course's TCP client with exceptions handled: sends lines, prints the
//! answers, ends at `q`.
//!
//! What it does beyond the notes: it waits ten seconds for an answer and no
//! longer, and takes its lines from a pipe as well as from the keyboard.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use clap::Parser;
use sockkit_examples::until_ctrl_c;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// TCP_client.py: sends lines from the keyboard and prints the answers; q ends
#[derive(Parser)]
struct Args {
    /// The server
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5001")]
    server: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let outcome = until_ctrl_c(talk(args.server)).await;
    // A read of the keyboard cannot be called back: do not wait for it.
    if let Err(error) = outcome {
        eprintln!("Error: {error:#}");
        std::process::exit(1);
    }
    std::process::exit(0)
}

async fn talk(server: SocketAddr) -> anyhow::Result<()> {
    let connecting = timeout(PATIENCE, TcpStream::connect(server)).await;
    let mut stream = connecting
        .context("no connection in time")?
        .with_context(|| format!("cannot connect to {server}"))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut buffer = [0; 1024];
    while let Some(line) = lines.next_line().await? {
        if line == "q" {
            break;
        }
        if line.is_empty() {
            // Nothing sent is nothing answered.
            continue;
        }
        stream.write_all(line.as_bytes()).await?;
        let answer = timeout(PATIENCE, stream.read(&mut buffer)).await;
        let bytes = answer.context("no answer in time")??;
        if bytes == 0 {
            bail!("the server has closed the connection");
        }
        println!("{}", String::from_utf8_lossy(&buffer[..bytes]));
    }
    stream.shutdown().await?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
