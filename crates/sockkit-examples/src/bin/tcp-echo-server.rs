//! The course's TCP echo server with exceptions handled: what comes goes back,
//! to many clients at once.
//!
//! What it does beyond the notes: it says how each client left, and so answers
//! their two questions. A client that ends with `q` has finished (FIN); one
//! whose terminal is closed is reset (RST) if bytes for it were on their way,
//! and otherwise finished too, because the kernel closes what a killed program
//! leaves behind.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::{
    server::{Ended, Handled, Peer, Server, ServerConfig, Stream},
    tcp::Listener,
};
use sockkit_examples::{terminal::line, until_ctrl_c};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_echoserver.py: sends back what each client sends, says how each one left
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001")]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    until_ctrl_c(serve(args.bind)).await
}

async fn serve(bind: SocketAddr) -> anyhow::Result<()> {
    let listener = Listener::bind(bind)?.into_inner();
    let config = ServerConfig::default().on_end(report);
    let server = Server::start(listener, config, echo)?;
    println!("listening on {}", server.local_addr());
    // Ctrl-C drops the server, and that ends its connections.
    std::future::pending().await
}

async fn echo(mut stream: Stream, peer: Peer) -> Handled {
    println!("{} connected", peer.address());
    let mut buffer = [0; 1024];
    while peer.has_request(&stream).await? {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            break;
        }
        println!("{}: {}", peer.address(), line(&buffer[..bytes]));
        stream.write_all(&buffer[..bytes]).await?;
    }
    Ok(())
}

fn report(ended: &Ended) {
    println!("{} left: {}", ended.peer, ended.end);
}
