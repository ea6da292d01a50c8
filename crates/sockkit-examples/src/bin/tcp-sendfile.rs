//! The course's TCP file sender: the name, a pause, then the bytes.
//!
//! Unlike the course's program, it pauses after the name, because the protocol
//! has no separator, and it times out if the receiver stalls.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;
use sockkit::course::file::tcp;
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, tell, until_ctrl_c};
use tokio::{fs::File, net::TcpListener};

/// TCP_sendfile.py: sends a file to the first receiver that connects
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// What to send
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5002", value_parser = address::<5002>)]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(serve(args)).await
}

async fn serve(args: Args) -> anyhow::Result<()> {
    // Detected now, not when the first receiver connects.
    let file = File::open(&args.file).await;
    let file = file.with_context(|| format!("cannot read {}", args.file.display()))?;
    let is_file = file.metadata().await?.is_file();
    ensure!(is_file, "{} is not a file", args.file.display());
    let listener = TcpListener::bind(args.bind)
        .await
        .with_context(|| format!("cannot listen on {}", args.bind))?;
    let address = listener.local_addr()?;
    tell!("listening on {address}", "{address}에서 연결을 기다립니다");

    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let bytes = tcp::send(stream, &args.file).await?;
    tell!(
        "sent {bytes} bytes to {peer}",
        "{peer}에 {bytes}바이트를 보냈습니다"
    );
    Ok(())
}
