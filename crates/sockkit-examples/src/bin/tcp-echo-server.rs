//! The course's TCP echo server with exceptions handled: what comes goes back,
//! to many clients at once.
//!
//! What it does beyond the notes: it says how each client left, and so answers
//! their two questions. A client that ends with `q` has finished (FIN); one
//! whose terminal is closed is reset (RST) if bytes for it were on their way,
//! and otherwise finished too, because the kernel closes what a killed program
//! leaves behind. Ctrl-C lets the clients have their answers first.

use clap::Parser;
use sockkit::server::{Handled, Peer, Server, ServerConfig, Stream};
use sockkit::tcp::Listener;
use sockkit_examples::terminal::line;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_echoserver.py: sends back what each client sends, says how each one left
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001")]
    bind: std::net::SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = ServerConfig::default().on_end(|end| println!("{} left: {}", end.peer, end.end));
    let server = Server::start(Listener::bind(Args::parse().bind)?, config, echo)?;
    let address = server.local_addr();
    // Ctrl-C is caught before the program says that it is ready.
    let stopped = server.run_until_ctrl_c();
    println!("listening on {address}");
    Ok(stopped.await.map(drop)?)
}

async fn echo(mut stream: Stream, peer: Peer) -> Handled {
    println!("{} connected", peer.address());
    let mut buffer = [0; 1024];
    while let bytes @ 1.. = stream.read(&mut buffer).await? {
        println!("{}: {}", peer.address(), line(&buffer[..bytes]));
        stream.write_all(&buffer[..bytes]).await?;
    }
    Ok(())
}
