//! What on this machine keeps others from being found.

use std::{fmt, io};

use sockkit_core::interfaces::{self, Interface};

/// Why nothing can be found or announced from here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Obstacle {
    /// No interface is up and has an address.
    NoNetwork,
    /// The only network is a tunnel, which carries no multicast.
    OnlyTunnel {
        /// The tunnel's interface.
        interface: String,
    },
    /// Multicast is switched off on every interface.
    NoMulticast {
        /// One of them.
        interface: String,
    },
}

/// Looks for what can be told from here; a firewall elsewhere cannot.
///
/// # Errors
/// What the system says if it will not list its interfaces.
pub fn obstacle() -> io::Result<Option<Obstacle>> {
    let interfaces = interfaces::list()?;
    Ok(judge(interfaces.iter().map(Seen::of)))
}

/// An interface, as far as it matters here.
#[derive(Clone, Debug)]
struct Seen {
    name: String,
    is_attached: bool,
    is_tunnel: bool,
    has_multicast: bool,
}

impl Seen {
    fn of(interface: &Interface) -> Self {
        let flags = interface.flags;
        Self {
            name: interface.name.clone(),
            is_attached: flags.up
                && flags.running
                && !flags.loopback
                && !interface.addresses.is_empty(),
            is_tunnel: flags.point_to_point,
            has_multicast: flags.multicast,
        }
    }
}

fn judge(interfaces: impl Iterator<Item = Seen>) -> Option<Obstacle> {
    let attached: Vec<_> = interfaces.filter(|one| one.is_attached).collect();
    let Some(first) = attached.first() else {
        return Some(Obstacle::NoNetwork);
    };
    let interface = first.name.clone();
    if attached.iter().all(|one| one.is_tunnel) {
        return Some(Obstacle::OnlyTunnel { interface });
    }
    let reaches = |one: &Seen| !one.is_tunnel && one.has_multicast;
    (!attached.iter().any(reaches)).then_some(Obstacle::NoMulticast { interface })
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetwork => f.write_str(
                "this machine is attached to no network: connect it, or use 127.0.0.1 for \
                 programs on this machine",
            ),
            Self::OnlyTunnel { interface } => write!(
                f,
                "only {interface} is up, a VPN, and names are found on a local network alone: \
                 join that, or type the address"
            ),
            Self::NoMulticast { interface } => write!(
                f,
                "{interface} does not reach groups: `sudo ip link set {interface} multicast on`, \
                 or type the address"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, is_attached: bool, is_tunnel: bool, has_multicast: bool) -> Seen {
        Seen {
            name: name.to_owned(),
            is_attached,
            is_tunnel,
            has_multicast,
        }
    }

    #[track_caller]
    fn check<const N: usize>(interfaces: [Seen; N], words: Option<&str>) {
        let said = judge(interfaces.into_iter()).map(|obstacle| obstacle.to_string());
        match (&said, words) {
            (None, None) => {}
            (Some(said), Some(words)) => assert!(said.contains(words), "{said}"),
            _ => panic!("{said:?}"),
        }
    }

    #[test]
    fn each_obstacle_has_its_words() {
        let ethernet = seen("eth0", true, false, true);
        let unplugged = seen("eth1", false, false, true);
        let vpn = seen("tun0", true, true, true);
        let silent = seen("eth2", true, false, false);
        check([], Some("attached to no network"));
        check([unplugged.clone()], Some("attached to no network"));
        check([unplugged, vpn.clone()], Some("only tun0 is up, a VPN"));
        check(
            [silent.clone(), vpn.clone()],
            Some("eth2 does not reach groups"),
        );
        check([silent], Some("multicast on"));
        check([vpn, ethernet], None);
    }
}
