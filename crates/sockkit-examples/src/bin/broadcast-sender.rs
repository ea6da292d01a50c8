//! The course's broadcast sender: sends a text to every host on the local
//! network.
//!
//! The course sends to `<broadcast>`, 255.255.255.255, which leaves through one
//! interface only. Without `--to` this program sends to the directed broadcast
//! address of each network that the machine is on.

use std::net::{Ipv4Addr, SocketAddrV4};

use clap::Parser;
use sockkit::{
    broadcast::{BroadcastKind, Broadcaster},
    interfaces,
};
use sockkit_examples::{
    IN_THE_CLEAR, address_v4, eprintln, failure::Failure, println, until_ctrl_c,
};

/// The course's broadcast sender: sends MESSAGE to every host on the local network
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// 255.255.255.255 or the broadcast address of a network; every network by default
    #[arg(long, value_name = "ADDR[:5007]", value_parser = address_v4::<5007>)]
    to: Option<SocketAddrV4>,
    /// What to send
    message: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
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
            "note: {} is not a broadcast address of this machine's networks",
            to.ip()
        );
    }
    broadcaster.send(to, bytes).await?;
    println!("sent to {to}");
    Ok(())
}
