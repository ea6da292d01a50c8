//! The course's TCP file sender: the name, a moment, then the bytes.
//!
//! What it does beyond the notes: it waits after the name, because the protocol
//! has no mark between the two, and gives up on a receiver that stands still.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Parser;
use sockkit::course::file::tcp;
use sockkit_examples::until_ctrl_c;
use tokio::{fs::File, net::TcpListener};

/// TCP_sendfile.py: sends a file to the first receiver that connects
#[derive(Parser)]
struct Args {
    /// What to send
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5002")]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    until_ctrl_c(serve(args)).await
}

async fn serve(args: Args) -> anyhow::Result<()> {
    // Found now, not when the first receiver has come.
    File::open(&args.file)
        .await
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let listener = TcpListener::bind(args.bind)
        .await
        .with_context(|| format!("cannot listen on {}", args.bind))?;
    println!("listening on {}", listener.local_addr()?);

    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let bytes = tcp::send(stream, &args.file).await?;
    println!("sent {bytes} bytes to {peer}");
    Ok(())
}
