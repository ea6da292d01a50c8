//! The course's TCP echo server with exception handling, for many clients at
//! once.
//!
//! Unlike the course's program, it reports how each client disconnected, which
//! answers the course's two questions. A client that exits at `q` has closed
//! the connection (FIN). A client whose terminal is closed has reset it (RST)
//! if data for it was in flight, and otherwise closed it as well, because the
//! kernel closes the sockets of a killed program. On Ctrl-C, pending requests
//! are still answered.

use clap::Parser;
use sockkit::server::{Handled, Peer, Server, ServerConfig, Stream};
use sockkit::tcp::Listener;
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, println, tell, terminal::line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_echoserver.py: sends back what each client sends, says how each one left
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001", value_parser = address::<5001>)]
    bind: std::net::SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let config = ServerConfig::default()
        .on_end(|end| tell!("{} left: {}", "{} 연결 종료: {}", end.peer, end.end));
    let server = Server::start(Listener::bind(Args::parse().bind)?, config, echo)?;
    let address = server.local_addr();
    // Ctrl-C is caught before the program reports that it is ready.
    let stopped = server.run_until_ctrl_c();
    tell!("listening on {address}", "{address}에서 연결을 기다립니다");
    Ok(stopped.await.map(drop)?)
}

async fn echo(mut stream: Stream, peer: Peer) -> Handled {
    tell!("{} connected", "{} 연결됨", peer.address());
    let mut buffer = [0; 1024];
    while let bytes @ 1.. = stream.read(&mut buffer).await? {
        println!("{}: {}", peer.address(), line(&buffer[..bytes]));
        stream.write_all(&buffer[..bytes]).await?;
    }
    Ok(())
}
