//! The course's multicast receiver: joins a group and prints what it receives.
//!
//! Unlike the course's program, it prints the interface on which it has joined,
//! and rejoins when the interface returns after an absence.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::{
    interfaces::InterfaceSelector,
    multicast::{Group, MulticastEndpoint, Via},
    udp::unspecified,
};
use sockkit_examples::{
    IN_THE_CLEAR, address, failure::Failure, println, terminal::line, until_ctrl_c,
};

/// The course's multicast receiver: joins a group and prints what is sent to it
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The group
    #[arg(long, value_name = "ADDR:PORT", default_value = "224.0.0.255:5008", value_parser = address::<5008>)]
    group: SocketAddr,
    /// The interface to join on: address, name or index
    #[arg(long)]
    interface: Option<InterfaceSelector>,
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
    let group = Group::new(args.group.ip())?;
    let any = SocketAddr::new(unspecified(args.group).ip(), args.group.port());
    let receiver = MulticastEndpoint::bind(any)?;
    let via = args.interface.map_or(Via::Route, Via::Interface);
    // Dropping it leaves the group.
    let membership = receiver.join(group, &via)?;
    println!("joined by interface {:?}", membership.interface_indexes());
    let port = receiver.endpoint().local_addr()?.port();
    println!("listening on {}", SocketAddr::new(group.ip(), port));

    let mut buffer = vec![0; 65_535];
    for _ in 0..args.count.unwrap_or(usize::MAX) {
        let datagram = receiver.endpoint().recv(&mut buffer).await?;
        println!("{}: {}", datagram.from, line(datagram.bytes));
    }
    Ok(())
}
