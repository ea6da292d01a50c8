//! The course's `ipconfig /all`, `gethostname` and `gethostbyname`.
//!
//! DHCP leases and NetBIOS are omitted: only Windows makes them available to
//! programs.

use clap::Parser;
use sockkit::{
    interfaces::{self, Interface},
    text::escape,
};
use sockkit_examples::{failure::Failure, println};

/// The course's `ipconfig /all`, gethostname and gethostbyname: the host, and each interface
#[derive(Parser)]
struct Args {}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    Args::parse();
    let host = interfaces::host()?;
    line("Host name", &host.name);
    line("DNS suffixes", &host.dns_suffixes.join(", "));
    line("DNS servers", &joined(&host.dns_servers));
    // The result of `gethostbyname(gethostname())`, which the course's time
    // server intends, although it calls `gethostname` twice.
    match tokio::net::lookup_host((host.name.as_str(), 0)).await {
        Ok(found) => {
            let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
            addresses.dedup();
            line("Addresses of that name", &joined(&addresses));
        }
        Err(error) => line("Addresses of that name", &format!("none ({error})")),
    }
    for interface in interfaces::list()? {
        show(&interface);
    }
    println!("\nDHCP leases and NetBIOS: not portable, see the system's own tools");
    Ok(())
}

fn show(interface: &Interface) {
    println!("\n{} (number {}):", interface.name, interface.index);
    line("State", &interface.flags.to_string());
    let mac = interface.mac.map(|mac| mac.to_string());
    line("Physical address", &mac.unwrap_or_default());
    line("Largest packet", &format!("{} bytes", interface.mtu_bytes));
    for address in &interface.addresses {
        line(
            "Address",
            &format!("{}/{}", address.ip, address.prefix_bits),
        );
        if let Some(netmask) = address.netmask() {
            line("Subnet mask", &netmask.to_string());
        }
        if let Some(broadcast) = address.broadcast {
            line("Broadcast address", &broadcast.to_string());
        }
    }
    line("Default gateway", &joined(&interface.gateways));
}

/// The layout of `ipconfig`; empty values are omitted.
fn line(name: &str, value: &str) {
    if !value.is_empty() {
        // A suffix may come from a DHCP server.
        println!("   {name:.<24}: {}", escape(value));
    }
}

fn joined(addresses: &[std::net::IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
