//! The course's server built on its own module: echoes, one client after
//! another.
//!
//! Shows the five methods of the course's class (`my_tcp_server.rs`), and the
//! problem with one client at a time: try a second one in the meantime.

use clap::Parser;
use sockkit_examples::{
    IN_THE_CLEAR, failure::Failure, my_tcp_server::MyTcpServer, println, terminal::line,
    until_ctrl_c,
};

/// MyTCPServer_ex01.py: an echo server on the class MyTCPServer
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The port, on every address of the machine
    #[arg(long, default_value_t = 5001)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(serve(args.port)).await
}

// ANCHOR: serve
async fn serve(port: u16) -> anyhow::Result<()> {
    let mut server = MyTcpServer::new(port)?;
    println!("listening on {}", server.local_addr()?);
    loop {
        let client = server.accept().await?;
        println!("{client} connected");
        while let Some(message) = server.receive().await {
            println!("{client}: {}", line(&message));
            if !server.send(&message).await {
                break;
            }
        }
        server.disconnect();
        println!("{client} left");
    }
}
// ANCHOR_END: serve
