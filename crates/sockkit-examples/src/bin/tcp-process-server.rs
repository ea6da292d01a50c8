//! The course's server that processes requests: `1` to `10` in, `one` to `ten`
//! out.
//!
//! Unlike the course's program, it serves many clients at once, and accepts
//! telnet's lines as well as the bare digits of the course's client.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::{
    server::{Ended, Handled, Peer, Server, ServerConfig, Stream},
    tcp::Listener,
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, println, terminal::line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TCP_processs_server.py: answers 1 to 10 with the English word
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001", value_parser = address::<5001>)]
    bind: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = Listener::bind(Args::parse().bind)?;
    let config = ServerConfig::default().on_end(report);
    let server = Server::start(listener, config, answer)?;
    let address = server.local_addr();
    // Ctrl-C is caught before the program reports that it is ready.
    let stopped = server.run_until_ctrl_c();
    println!("listening on {address}");
    Ok(stopped.await.map(drop)?)
}

// ANCHOR: answer
async fn answer(mut stream: Stream, peer: Peer) -> Handled {
    println!("{} connected", peer.address());
    let mut buffer = [0; 1024];
    while let bytes @ 1.. = stream.read(&mut buffer).await? {
        let request = String::from_utf8_lossy(&buffer[..bytes]);
        println!(
            "{}: {}",
            peer.address(),
            line(request.trim_end().as_bytes())
        );
        stream.write_all(word(&request).as_bytes()).await?;
    }
    Ok(())
}

fn word(request: &str) -> &'static str {
    let number = request.trim().parse::<usize>().ok();
    number
        .and_then(|number| WORDS.get(number.checked_sub(1)?))
        .copied()
        .unwrap_or("Try again")
}

const WORDS: [&str; 10] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];
// ANCHOR_END: answer

fn report(ended: &Ended) {
    println!("{} left: {}", ended.peer, ended.end);
}
