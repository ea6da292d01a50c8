//! The order in which addresses are tried. Pure.

use std::{collections::HashSet, net::SocketAddr};

/// Alternates IPv6 and IPv4, starting with the family of the first address;
/// keeps the order within a family and drops duplicates (RFC 8305, section 4).
pub fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    let unique = addresses
        .into_iter()
        .filter(|address| seen.insert(*address));
    let (preferred, other): (Vec<_>, Vec<_>) = {
        let mut unique = unique.peekable();
        let v6_first = unique.peek().is_some_and(SocketAddr::is_ipv6);
        unique.partition(|address| address.is_ipv6() == v6_first)
    };
    let (mut first, mut second) = (preferred.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[&str], tried: &[&str]) {
        let parse = |address: &&str| address.parse::<SocketAddr>().expect("an address");
        let found = found.iter().map(parse);
        assert_eq!(
            interleave(found),
            tried.iter().map(parse).collect::<Vec<_>>()
        );
    }

    #[test]
    fn families_take_turns_from_the_first_on() {
        check(&[], &[]);
        check(
            &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
            &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
        );
        check(
            &["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"],
            &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"],
        );
    }

    #[test]
    fn no_address_is_tried_twice() {
        check(&["1.1.1.1:1", "1.1.1.1:1"], &["1.1.1.1:1"]);
    }
}
