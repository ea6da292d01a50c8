//! `sockkit interfaces`: what the machine is attached to.

use clap::Parser;
use sockkit::interfaces::{self, Interface};

/// Show what the machine is attached to: interfaces, addresses, routers, names
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only interfaces that are up and lead somewhere else
    #[arg(long)]
    up: bool,
}

#[expect(clippy::unused_async, reason = "every subcommand is run the same way")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let host = interfaces::host()?;
    println!("host      {}", host.name);
    println!("suffixes  {}", list(&host.dns_suffixes));
    println!("resolvers {}", list(&host.dns_servers));
    for interface in interfaces::list()? {
        let leads_somewhere = interface.flags.up && !interface.flags.loopback;
        if leads_somewhere || !args.up {
            show(&interface);
        }
    }
    Ok(())
}

fn show(interface: &Interface) {
    println!("\n{}: {}", interface.index, interface.name);
    println!("  state   {}", interface.flags);
    println!("  mtu     {} bytes", interface.mtu_bytes);
    if let Some(mac) = interface.mac {
        println!("  mac     {mac}");
    }
    for address in &interface.addresses {
        let broadcast = match address.broadcast {
            Some(broadcast) => format!(", broadcast {broadcast}"),
            None => String::new(),
        };
        println!(
            "  address {}/{}{broadcast}",
            address.ip, address.prefix_bits
        );
    }
    if !interface.gateways.is_empty() {
        println!("  routers {}", list(&interface.gateways));
    }
}

fn list(items: &[impl ToString]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
