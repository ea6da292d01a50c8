//! The course's multicast sender: sends a text to a group.
//!
//! The course lets the kernel choose the interface: the one with the default
//! route. `--interface` selects another.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::{
    interfaces::InterfaceSelector,
    multicast::{Group, MulticastEndpoint},
    options::SocketOptions,
    udp::{Transmit, unspecified},
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, println, until_ctrl_c};

/// The course's multicast sender: sends MESSAGE to a group
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The group
    #[arg(long, value_name = "ADDR:PORT", default_value = "224.0.0.255:5008", value_parser = address::<5008>)]
    group: SocketAddr,
    /// The interface to send from: address, name or index
    #[arg(long)]
    interface: Option<InterfaceSelector>,
    /// Maximum number of hops
    #[arg(long, default_value_t = 2)]
    ttl: u8,
    /// What to send
    message: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(send(args)).await
}

async fn send(args: Args) -> anyhow::Result<()> {
    Group::new(args.group.ip())?;
    let options = SocketOptions::new().multicast_hops(args.ttl);
    let sender = MulticastEndpoint::bind_with(unspecified(args.group), &options)?;
    if let Some(interface) = &args.interface {
        sender.set_outgoing(interface)?;
    }
    let transmit = Transmit::new(args.group, args.message.as_bytes());
    sender.endpoint().send(transmit).await?;
    println!("sent to {}", args.group);
    Ok(())
}
