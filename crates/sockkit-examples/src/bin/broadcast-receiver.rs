//! The course's broadcast receiver: prints received broadcasts.

use std::net::SocketAddrV4;

use clap::Parser;
use sockkit::{broadcast::Broadcaster, options::SocketOptions};
use sockkit_examples::{
    IN_THE_CLEAR, address_v4, failure::Failure, println, terminal::line, until_ctrl_c,
};

/// The course's broadcast receiver: prints broadcasts on the local network
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on; broadcasts are received on 0.0.0.0, not on the
    /// machine's own addresses
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5007", value_parser = address_v4::<5007>)]
    bind: SocketAddrV4,
    /// Exit after this many datagrams
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(listen(args)).await
}

async fn listen(args: Args) -> anyhow::Result<()> {
    // Several receivers may run on one machine; each receives every broadcast.
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
