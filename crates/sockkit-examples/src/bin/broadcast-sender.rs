//! The course's broadcast sender: one text to everybody on the local network.
//!
//! The notes send to `<broadcast>`, 255.255.255.255, which leaves by one
//! interface only. Without `--to` this sends to each network that the machine
//! is on, at the address that its prefix makes the broadcast address.

use std::net::{Ipv4Addr, SocketAddrV4};

use clap::Parser;
use sockkit::{
    broadcast::{BroadcastKind, Broadcaster},
    interfaces,
};
use sockkit_examples::until_ctrl_c;

/// The course's broadcast sender: sends MESSAGE to everybody on the local network
#[derive(Parser)]
struct Args {
    /// 255.255.255.255 or the broadcast address of one network, and a port;
    /// without it every network, port 5007
    #[arg(long, value_name = "ADDR:PORT")]
    to: Option<SocketAddrV4>,
    /// What to send
    message: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    until_ctrl_c(send(args)).await
}

async fn send(args: Args) -> anyhow::Result<()> {
    let broadcaster = Broadcaster::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
    let bytes = args.message.as_bytes();
    let Some(to) = args.to else {
        for target in broadcaster.send_everywhere(5007, bytes).await? {
            println!("sent to {} from {}", target.to, target.source);
        }
        return Ok(());
    };
    if BroadcastKind::of(*to.ip(), &interfaces::list()?).is_none() {
        eprintln!(
            "note: {} is no broadcast address of this machine's networks",
            to.ip()
        );
    }
    broadcaster.send(to, bytes).await?;
    println!("sent to {to}");
    Ok(())
}
