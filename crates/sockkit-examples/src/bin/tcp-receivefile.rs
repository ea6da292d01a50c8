//! The course's TCP file receiver: sends a ready message, and saves the file as
//! `new_NAME`.
//!
//! What it does beyond the notes: the name cannot lead out of the folder, an old file is
//! replaced only once the connection has ended well, and a file without contents is no
//! success: they may have come as part of the name.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;
use sockkit::{course::file::tcp, file::Destination};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, tell, until_ctrl_c};
use tokio::net::TcpStream;

/// TCP_receivefile.py: receives one file and saves it as new_NAME
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The sender
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5002", value_parser = address::<5002>)]
    server: SocketAddr,
    /// The destination folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(fetch(args)).await
}

async fn fetch(args: Args) -> anyhow::Result<()> {
    let destination = Destination::open(&args.into)
        .with_context(|| format!("cannot receive into {}", args.into.display()))?;
    let stream = TcpStream::connect(args.server)
        .await
        .with_context(|| format!("cannot connect to {}", args.server))?;
    tell!("receiving file...", "파일을 받는 중...");
    let received = tcp::receive(stream, &destination).await?;
    tell!(
        "{} bytes in {}",
        "{}바이트를 {}에 저장했습니다",
        received.bytes,
        received.saved_as
    );
    // No mark ends the name: the text of a short file may be part of it.
    ensure!(
        received.bytes > 0,
        "nothing came after the name: the file is empty, or its text came in one piece with \
         the name; let the sender wait after the name"
    );
    Ok(())
}
