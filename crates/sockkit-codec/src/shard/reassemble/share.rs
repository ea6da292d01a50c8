//! Decides who makes room when a limit is reached.
//!
//! A host may use a quarter of a limited resource while others want it,
//! whatever its ports; the preferred sender may use half.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A user of a limited resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding<Age> {
    pub(super) from: Sender,
    pub(super) weight: usize,
    /// The smallest value is the oldest.
    pub(super) since: Age,
}

/// A sender, and its host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sender {
    pub(super) address: SocketAddr,
    host: IpAddr,
}

impl Sender {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: host(address.ip()),
        }
    }
}

/// Returns the place of the holding that makes room for `asker`.
///
/// A host that uses its share pays itself. Otherwise the hosts that exceed
/// their shares pay, and if there are none, all do. The oldest holding of those
/// that pay is chosen, and the preferred sender's only if there is no other.
pub(super) fn payer<Age: Ord>(
    holdings: &[Holding<Age>],
    asker: Sender,
    preferred: Option<SocketAddr>,
    limit: usize,
) -> Option<usize> {
    let share = |sender: Sender| match preferred {
        Some(address) if Sender::new(address).host == sender.host => limit / 2,
        _ => limit / 4,
    };
    let of_host = |sender: Sender| {
        let own = holdings.iter().filter(|one| one.from.host == sender.host);
        own.map(|one| one.weight).sum::<usize>()
    };
    let oldest = |pays: &dyn Fn(Sender) -> bool| {
        let places = holdings.iter().enumerate();
        places
            .filter(|(_, one)| pays(one.from))
            .min_by_key(|(_, one)| (preferred == Some(one.from.address), &one.since))
            .map(|(place, _)| place)
    };
    if of_host(asker) >= share(asker) {
        return oldest(&|one| one.host == asker.host);
    }
    oldest(&|one| of_host(one) > share(one)).or_else(|| oldest(&|_| true))
}

/// The key of a host: an IPv4 address, or an IPv6 /64 network. The limiter of
/// the server in `sockkit-core` uses the same rule; this crate must not depend
/// on that one.
fn host(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str) -> Sender {
        Sender::new(text.parse().unwrap())
    }

    /// Of holdings of one each, the oldest first, which makes room?
    #[track_caller]
    fn check(holdings: &[&str], asker: &str, preferred: Option<&str>, expected: usize) {
        let limit = holdings.len();
        let holdings: Vec<_> = (0..)
            .zip(holdings)
            .map(|(since, from)| Holding {
                from: sender(from),
                weight: 1,
                since,
            })
            .collect();
        let preferred = preferred.map(|address| address.parse().unwrap());
        let payer = payer(&holdings, sender(asker), preferred, limit);
        assert_eq!(payer, Some(expected));
    }

    const A: &str = "10.0.0.1:1";
    const A2: &str = "10.0.0.1:2";
    const B: &str = "10.0.0.2:1";
    const C: &str = "10.0.0.3:1";
    const D: &str = "10.0.0.4:1";

    #[test]
    fn a_host_pays_itself_from_a_quarter_on() {
        check(&[B, C, A, A2, B, C, D, D], A, None, 2);
        check(&[B, C, A, B, B, C, D, D], A, None, 0);
    }

    #[test]
    fn a_host_over_its_share_pays_for_one_below() {
        check(&[A, B, C, B, B, C, D, D], A, None, 1);
        // At its share exactly it does not.
        check(&[A, B, C, D, B, C, D, A2], "10.0.0.5:1", None, 0);
        check(&[B, A, A2, C, C, D, D, "10.0.0.6:1"], "10.0.0.5:1", None, 0);
    }

    #[test]
    fn ports_are_one_host_and_so_is_an_ipv6_network() {
        check(&[B, A, A2, "[::ffff:10.0.0.1]:9"], A, None, 1);
        let (here, there, other) = ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::]:1");
        check(&[other, here, B, C], there, None, 1);
        check(&[here, here, B, C], other, None, 0);
    }

    #[test]
    fn the_preferred_sender_has_half_and_pays_last() {
        check(&[A, A, A, B, B, B, C, C], A, Some(A), 3);
        check(&[A, A, A, A, B, B, C, C], A, Some(A), 0);
        // The share of every other host stays a quarter.
        check(&[C, B, B, C, D, D, A, A], B, Some(A), 1);
        // The others of its host pay before it, and so do all.
        check(&[A, A, A2, A, B, B, C, C], A2, Some(A), 2);
        check(&[A, B, C, D], "10.0.0.5:1", Some(A), 1);
        check(&[A, A, A, A], B, Some(A), 0);
    }

    #[test]
    fn nothing_is_paid_from_nothing() {
        let none: [Holding<u8>; 0] = [];
        assert_eq!(payer(&none, sender(A), None, 4), None);
    }
}
