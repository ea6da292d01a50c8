//! The course's time server: sends the local time to each client, and closes.
//!
//! Unlike the course's program, it serves many clients at once, and a client
//! that does not read delays no other. The course prints
//! `gethostname(gethostname())`, which should be `gethostbyname`; the addresses
//! here come from the interfaces.

use std::net::SocketAddr;

use clap::Parser;
use jiff::Zoned;
use sockkit::{
    interfaces,
    server::{Handled, Peer, Server, ServerConfig, Stream},
    tcp::Listener,
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, tell};
use tokio::io::AsyncWriteExt;

/// time_server.py: sends the local time to each client, as C's ctime writes it
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5000", value_parser = address::<5000>)]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = Listener::bind(Args::parse().bind)?;
    let server = Server::start(listener, ServerConfig::default(), tell_time)?;
    for interface in interfaces::list()? {
        for address in interface.addresses {
            tell!("server address {}", "서버 주소 {}", address.ip);
        }
    }
    let address = server.local_addr();
    // Ctrl-C is caught before the program reports that it is ready.
    let stopped = server.run_until_ctrl_c();
    tell!("listening on {address}", "{address}에서 연결을 기다립니다");
    Ok(stopped.await.map(drop)?)
}

// ANCHOR: tell_time
async fn tell_time(mut stream: Stream, peer: Peer) -> Handled {
    tell!(
        "Connection requested from {}",
        "{}에서 연결을 요청했습니다",
        peer.address()
    );
    stream.write_all(ctime(&Zoned::now()).as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// 24 bytes, such as `Mon Nov 23 08:33:21 2026`: the day is padded with a
/// space.
fn ctime(time: &Zoned) -> String {
    time.strftime("%a %b %e %H:%M:%S %Y").to_string()
}
// ANCHOR_END: tell_time
