//! The course's broadcast receiver: prints what is sent to everybody.

use std::net::SocketAddrV4;

use clap::Parser;
use sockkit::{broadcast::Broadcaster, options::SocketOptions};
use sockkit_examples::{terminal::line, until_ctrl_c};

/// The course's broadcast receiver: prints what is sent to everybody on the local network
#[derive(Parser)]
struct Args {
    /// Where to listen; a broadcast is heard on 0.0.0.0 and not on the
    /// machine's own addresses
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5007")]
    bind: SocketAddrV4,
    /// End after so many datagrams
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    until_ctrl_c(listen(args)).await
}

async fn listen(args: Args) -> anyhow::Result<()> {
    // Several receivers may run on one machine; each hears each broadcast.
    let options = SocketOptions::new().reuse_address(true);
    let receiver = Broadcaster::bind_with(args.bind, &options)?;
    println!("listening on {}", receiver.endpoint().local_addr()?);

    let mut buffer = vec![0; 65_535];
    for _ in 0..args.count.unwrap_or(usize::MAX) {
        let datagram = receiver.endpoint().recv(&mut buffer).await?;
        println!("{}: {}", datagram.from, line(datagram.bytes));
    }
    Ok(())
}
