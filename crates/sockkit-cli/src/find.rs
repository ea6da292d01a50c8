//! `sockkit find`, and names in place of addresses.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use sockkit::{
    interfaces,
    link::{
        Address, Scheme,
        discovery::{
            Announcement, Announcer, DiscoveryError, Found, LookupError, Role, Wanted, find,
            lookup, obstacle,
        },
    },
};
use tokio::time::timeout;

use crate::{
    address::{FILES_PORT, PICTURES_PORT},
    json::Object,
    remote::{Remote, bare_name},
    say::{self, note, say},
    secure::{Secure, Sought},
};

/// List the cameras, receivers and senders that are announced on this network
///
/// Shows what to type to reach each, if this machine is paired with it; if not, type the
/// code that it shows in place of the name. A name says where a machine is, not whose it
/// is: any host on the network can announce any name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look for so many seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let found = find(Duration::from_secs(args.seconds)).await?;
    let programs = "`sockkit cam`, `sockkit receive` or `sockkit send`";
    list(&found, "nothing", programs)
}

/// Lists the cameras alone, for a user who has named none.
pub(crate) async fn cameras() -> anyhow::Result<()> {
    let mut found = find(LOOK_FOR_CAMERAS).await?;
    found.retain(|found| found.role() == Role::Camera);
    list(&found, "no camera", "`sockkit cam`")
}

/// Prints what was found, and what to type; or why `what` was.
fn list(found: &[Found], what: &str, programs: &str) -> anyhow::Result<()> {
    if found.is_empty() {
        match obstacle().ok().flatten() {
            Some(obstacle) => bail!("{what} was found: {obstacle}"),
            None => bail!(
                "{what} was found: is {programs} started on this network, and does no firewall drop \
                 UDP port 5353?"
            ),
        }
    }
    for one in found {
        let is_double = found.iter().filter(|other| same(one, other)).count() > 1;
        let name = match is_double {
            true => one.full_name(),
            false => one.name(),
        };
        let line = line_for(one.role(), name);
        let event = Object::new("found")
            .text("role", one.role().word())
            .text("name", name)
            .text("address", one.address());
        say::result(
            &event,
            format_args!("{:<9} {line:<36} {}", one.role().word(), one.address()),
        );
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
        Role::Sender => format!("sockkit receive {name}"),
        _ => format!("sockkit send FILE --to {name}"),
    }
}

/// A name that is announced while this side listens.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    announcer: Arc<Announcer>,
    /// Whether other machines can find it, as far as this one can tell.
    pub(crate) is_reached: bool,
}

impl Announced {
    /// Announces what waits. That it cannot be is no reason not to wait: the address
    /// still works.
    pub(crate) fn start(announcement: &Announcement) -> Option<Self> {
        let announcer = match Announcer::start(announcement) {
            Ok(announcer) => announcer,
            // For programs on this machine, which know where.
            Err(DiscoveryError::Loopback(_)) => return None,
            Err(error) => {
                note!("note: not announced: {:#}", anyhow::Error::new(error));
                return None;
            }
        };
        let obstacle = obstacle().ok().flatten();
        if let Some(obstacle) = &obstacle {
            note!("note: others do not find this machine by name: {obstacle}");
        }
        Some(Self {
            announcer: Arc::new(announcer),
            is_reached: obstacle.is_none(),
        })
    }

    /// Prints the line that reaches it by its name.
    pub(crate) fn say(&self, there: &str, options: &str) {
        if self.is_reached {
            say!("there     {there} {}{options}", self.announcer.name());
        }
    }

    /// Announces the number of the code that is shown now.
    pub(crate) fn show_code(&self, number: u16) {
        if let Err(error) = self.announcer.show_code(number) {
            note!("note: not announced: {:#}", anyhow::Error::new(error));
        }
    }

    /// Ends it, and lets others know.
    pub(crate) async fn stop(&self) {
        self.announcer.stop().await;
    }
}

/// The numbers of the codes that others show. One that is missed is no harm: the user of
/// the other side is told that several have the number.
pub(crate) async fn taken_numbers(role: Role) -> Vec<u16> {
    let found = find(LOOK_AROUND).await.unwrap_or_default();
    let same = found.iter().filter(|found| found.role() == role);
    same.filter_map(Found::code_number).collect()
}

/// This machine's name on the network.
pub(crate) fn own_host() -> String {
    interfaces::host().unwrap_or_default().name
}

/// Where `whom` is. `secure` says how it is recognised; without it any host may be it.
pub(crate) async fn locate(
    role: Role,
    whom: &Remote,
    secure: Option<&Secure>,
) -> anyhow::Result<Address> {
    let sought = secure.map(|secure| secure.sought);
    let at = match (whom, sought) {
        (Remote::Address(at), _) => at,
        (_, Some(Sought::Code(number))) => {
            return found_by_code(role, number).await;
        }
        _ => bail!("a code needs encryption"),
    };
    let Some(name) = bare_name(at, default_port(role)) else {
        return Ok(at.clone());
    };
    let wanted = match sought {
        Some(Sought::Peer(key)) => Wanted::Identity(*key.as_bytes()),
        _ => Wanted::Name(name.to_owned()),
    };
    match named(role, at, wanted).await? {
        // Any host can announce any name.
        Place::Found(_) if sought == Some(Sought::Known) => bail!(
            "{name} is announced here, but this machine is not paired with a machine of that \
             name: type the code that it shows in place of the name"
        ),
        Place::Found(found) => as_typed(at, &found),
        Place::Resolved => Ok(at.clone()),
    }
}

async fn found_by_code(role: Role, number: u16) -> anyhow::Result<Address> {
    let found = lookup(role, Wanted::Code(number), LOOK_FOR).await;
    let found = found.map_err(|error| match error {
        LookupError::Ambiguous { ref full_names, .. } => {
            let one = full_names.first().map_or("NAME", String::as_str);
            anyhow!("{error} in place of the code, and add the code: {one} --code CODE")
        }
        error => anyhow!("{error} Its address and --code work as well"),
    })?;
    routed(&found)
}

/// Where a name leads.
enum Place {
    /// It is announced on this network.
    Found(Found),
    /// The system's resolver knows it.
    Resolved,
}

/// What is announced on this network comes before what the system's resolver knows.
async fn named(role: Role, at: &Address, wanted: Wanted) -> anyhow::Result<Place> {
    let looking = lookup(role, wanted, LOOK_FOR);
    tokio::pin!(looking);
    let (known, found) = tokio::join!(known_to_resolver(at), timeout(LOOK_AT_LEAST, &mut looking));
    let found = match found {
        Ok(found) => found,
        Err(_elapsed) if known => return Ok(Place::Resolved),
        Err(_elapsed) => looking.await,
    };
    match found {
        Ok(found) => Ok(Place::Found(found)),
        Err(LookupError::NotFound { .. }) if known => Ok(Place::Resolved),
        Err(error) => Err(error.into()),
    }
}

/// `desk` of `desk-3f9a`, which tells it from others of that name.
pub(crate) fn without_suffix(name: &str) -> Option<&str> {
    let (short, end) = name.rsplit_once('-')?;
    (end.len() == 4 && end.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(short)
}

pub(crate) fn default_port(role: Role) -> u16 {
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
    routed(found)
}

fn routed(found: &Found) -> anyhow::Result<Address> {
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

const LOOK_FOR_CAMERAS: Duration = Duration::from_secs(3);

/// Before a code is shown. Most answers come within a tenth of a second.
const LOOK_AROUND: Duration = Duration::from_millis(300);

const LOOK_FOR: Duration = Duration::from_secs(4);

/// A name that the resolver knows is looked for on this network for so long.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_holds_the_name() {
        for (full, short) in [
            ("desk-3f9a", Some("desk")),
            ("my-desk-00B1", Some("my-desk")),
            ("desk", None),
            ("my-desk", None),
            ("desk-3f9g", None),
            ("desk-3f9", None),
        ] {
            assert_eq!(without_suffix(full), short, "{full}");
        }
    }
}
