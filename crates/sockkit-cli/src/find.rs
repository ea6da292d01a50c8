//! `sockkit find`, and names in place of addresses.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use sockkit::{
    interfaces,
    link::{
        Address, Host, Scheme,
        discovery::{
            Announcement, Announcer, DiscoveryError, Found, LookupError, Role, find, lookup,
            obstacle,
        },
    },
};
use tokio::time::timeout;

use crate::{
    address::{FILES_PORT, PICTURES_PORT},
    say::say,
};

/// List the cameras and receivers that are announced on this network
///
/// Shows what to type to reach each. A name says where a machine is, not whose it is:
/// any host on the network can announce any name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look for so many seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let found = find(Duration::from_secs(args.seconds)).await?;
    if found.is_empty() {
        match obstacle().ok().flatten() {
            Some(obstacle) => bail!("nothing was found: {obstacle}"),
            None => bail!(
                "nothing was found in {} s: is `sockkit cam --listen` or `sockkit receive --listen \
                 :{FILES_PORT}` started on this network, and does no firewall drop UDP port 5353?",
                args.seconds
            ),
        }
    }
    for one in &found {
        let is_double = found.iter().filter(|other| same(one, other)).count() > 1;
        let name = match is_double {
            true => one.full_name(),
            false => one.name(),
        };
        let line = line_for(one.role(), name);
        say!("{:<9} {line:<36} {}", one.role().word(), one.address());
    }
    Ok(())
}

fn same(one: &Found, other: &Found) -> bool {
    one.role() == other.role() && one.name().eq_ignore_ascii_case(other.name())
}

/// What reaches it.
fn line_for(role: Role, name: &str) -> String {
    match role {
        Role::Camera => format!("sockkit view {name}"),
        _ => format!("sockkit send FILE --to {name}"),
    }
}

/// Announces what waits at `at`, and says under which name. That it cannot be is no
/// reason not to wait: the address still works.
pub(crate) fn announce(role: Role, at: &Address) -> Option<Announcer> {
    let host = interfaces::host().unwrap_or_default().name;
    let announcer = match Announcer::start(&Announcement::new(role, &host, at)) {
        Ok(announcer) => announcer,
        // For programs on this machine, which know where.
        Err(DiscoveryError::Loopback(_)) => return None,
        Err(error) => {
            eprintln!("note: not announced: {:#}", anyhow::Error::new(error));
            return None;
        }
    };
    match obstacle() {
        Ok(Some(obstacle)) => {
            eprintln!("note: others do not find this machine by name: {obstacle}")
        }
        _ => say!("there     {}", line_for(role, announcer.name())),
    }
    Some(announcer)
}

/// Where a name leads: the one that is announced on this network, else what the
/// system's resolver knows. Other addresses stay as they are.
pub(crate) async fn whereabouts(role: Role, at: &Address) -> anyhow::Result<Address> {
    let Host::Name(name) = at.host() else {
        return Ok(at.clone());
    };
    // A dotted name is DNS's, localhost is this machine, and with a port the host is known.
    if name.contains('.') || name == "localhost" || at.port() != default_port(role) {
        return Ok(at.clone());
    }
    let looking = lookup(role, name, LOOK_FOR);
    tokio::pin!(looking);
    let (known, found) = tokio::join!(known_to_resolver(at), timeout(LOOK_AT_LEAST, &mut looking));
    let found = match found {
        Ok(found) => found,
        Err(_elapsed) if known => return Ok(at.clone()),
        Err(_elapsed) => looking.await,
    };
    match found {
        Ok(found) => as_typed(at, &found),
        Err(LookupError::NotFound { .. }) if known => Ok(at.clone()),
        Err(error) => Err(error.into()),
    }
}

fn default_port(role: Role) -> u16 {
    match role {
        Role::Camera => PICTURES_PORT,
        _ => FILES_PORT,
    }
}

async fn known_to_resolver(at: &Address) -> bool {
    let resolved = timeout(LOOK_AT_LEAST, at.resolve()).await;
    // Its own name is no other machine's.
    let is_other = |found: &[SocketAddr]| found.iter().any(|at| !at.ip().is_loopback());
    matches!(resolved, Ok(Ok(found)) if is_other(&found))
}

/// What was asked to be encrypted is not dialled in the clear.
fn as_typed(at: &Address, found: &Found) -> anyhow::Result<Address> {
    let there = found.address();
    if at.scheme() == Scheme::Quic && there.scheme() != Scheme::Quic {
        bail!(
            "{} listens at {there}, not on quic://: omit quic:// here, or start it with quic:// there",
            found.full_name()
        );
    }
    reachable(found).with_context(|| {
        format!(
            "{} was found, but this machine has no route to any of its addresses",
            found.full_name()
        )
    })
}

/// The first address that there is a route to.
fn reachable(found: &Found) -> Option<Address> {
    let mut addresses = found.addresses().iter();
    let has_route = |ip| interfaces::source_for(ip).is_ok();
    // A link-local address has its interface instead.
    let reached = addresses.find(|at| at.ip().is_loopback() || has_scope(at) || has_route(at.ip()));
    let reached = *reached?;
    Some(Address::new(
        found.address().scheme(),
        reached.into(),
        reached.port(),
    ))
}

fn has_scope(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(ip) if ip.scope_id() != 0)
}

const LOOK_FOR: Duration = Duration::from_secs(4);

/// A name that the resolver knows is looked for on this network for so long.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);
