//! `sockkit interfaces`: the network interfaces of the machine.

use clap::Parser;
use sockkit::{
    interfaces::{self, Interface},
    text::escape,
};

use crate::say::say;

/// Show network interfaces, addresses, routers and name servers
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only interfaces that are up and not loopback
    #[arg(long)]
    up: bool,
}

#[expect(clippy::unused_async, reason = "every subcommand is run the same way")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let host = interfaces::host()?;
    say!("host      {}", host.name);
    // They may come from a DHCP server.
    say!("suffixes  {}", escape(&list(&host.dns_suffixes)));
    say!("resolvers {}", list(&host.dns_servers));
    for interface in interfaces::list()? {
        let leads_somewhere = interface.flags.up && !interface.flags.loopback;
        if leads_somewhere || !args.up {
            show(&interface);
        }
    }
    Ok(())
}

fn show(interface: &Interface) {
    say!("\n{}: {}", interface.index, interface.name);
    say!("  state   {}", interface.flags);
    say!("  mtu     {} bytes", interface.mtu_bytes);
    if let Some(mac) = interface.mac {
        say!("  mac     {mac}");
    }
    for address in &interface.addresses {
        let broadcast = match address.broadcast {
            Some(broadcast) => format!(", broadcast {broadcast}"),
            None => String::new(),
        };
        say!(
            "  address {}/{}{broadcast}",
            address.ip,
            address.prefix_bits
        );
    }
    if !interface.gateways.is_empty() {
        say!("  routers {}", list(&interface.gateways));
    }
}

fn list(items: &[impl ToString]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
