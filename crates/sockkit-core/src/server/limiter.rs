//! Limits the number of connections or requests, in total and per host.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Hands out permits for connections or requests, with a limit in total and one
/// per host.
///
/// A host is one IPv4 address (also if mapped into IPv6) or one IPv6 /64
/// network: see [`host`].
///
/// ```
/// # use sockkit_core as sockkit;
/// # use std::{net::IpAddr, sync::Arc};
/// use sockkit::server::ConnectionLimiter;
///
/// let limiter = Arc::new(ConnectionLimiter::shared(8));
/// let (stranger, other) = (IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8]));
/// let taken: Vec<_> = (0..8).map_while(|_| limiter.take(stranger)).collect();
/// assert_eq!(taken.len(), 2);
/// assert!(limiter.take(other).is_some());
/// ```
#[derive(Debug)]
pub struct ConnectionLimiter {
    max: usize,
    max_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Permission for one connection; released on drop.
#[derive(Debug)]
#[must_use = "dropping the permit releases it"]
pub struct Permit {
    limiter: Arc<ConnectionLimiter>,
    key: Option<IpAddr>,
}

impl ConnectionLimiter {
    /// Allows `max` permits, at most `max_per_address` of them for one host.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            taken: Mutex::default(),
        }
    }

    /// Allows `max` permits, a quarter of them (at least one) for one host.
    pub fn shared(max: usize) -> Self {
        Self::new(max, max.div_ceil(4))
    }

    /// Takes a permit for a connection from `address`, if one is available.
    /// `None` stands for a local peer without an IP address, to which only the
    /// total applies.
    pub fn take(self: &Arc<Self>, address: impl Into<Option<IpAddr>>) -> Option<Permit> {
        let key = address.into().map(host);
        let mut taken = self.taken();
        if taken.all >= self.max {
            return None;
        }
        if let Some(key) = key {
            let from_here = taken.by_address.get(&key).copied().unwrap_or_default();
            if from_here >= self.max_per_address {
                return None;
            }
            taken.by_address.insert(key, from_here + 1);
        }
        taken.all += 1;
        Some(Permit {
            limiter: Arc::clone(self),
            key,
        })
    }

    /// Number of permits in use.
    pub fn count(&self) -> usize {
        self.taken().all
    }

    /// Number of permits in use by the host of `address`.
    pub fn count_of(&self, address: IpAddr) -> usize {
        let taken = self.taken();
        taken.by_address.get(&host(address)).copied().unwrap_or(0)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.limiter.taken();
        taken.all -= 1;
        let Some(key) = self.key else {
            return;
        };
        if let Some(from_here) = taken.by_address.get_mut(&key) {
            *from_here -= 1;
            if *from_here == 0 {
                taken.by_address.remove(&key);
            }
        }
    }
}

/// The key for the host at `address`: an IPv4 address, or the /64 network of an
/// IPv6 address.
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(max: usize, max_per_address: usize) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(max, max_per_address))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_total_is_met_exactly() {
        let limiter = limiter(2, 2);
        let first = limiter.take(ip("10.0.0.1"));
        let second = limiter.take(ip("10.0.0.2"));
        assert!(first.is_some() && second.is_some());
        assert!(limiter.take(ip("10.0.0.3")).is_none());
        drop(first);
        assert!(limiter.take(ip("10.0.0.3")).is_some());
    }

    #[test]
    fn one_address_does_not_take_the_others_places() {
        let limiter = limiter(3, 1);
        let _first = limiter.take(ip("10.0.0.1")).unwrap();
        assert!(limiter.take(ip("10.0.0.1")).is_none());
        assert!(limiter.take(ip("::ffff:10.0.0.1")).is_none());
        assert!(limiter.take(ip("10.0.0.2")).is_some());
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let limiter = limiter(3, 1);
        let _first = limiter.take(ip("2001:db8::1")).unwrap();
        assert!(limiter.take(ip("2001:db8::2")).is_none());
        assert!(limiter.take(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn what_has_no_address_is_held_by_the_total_alone() {
        let limiter = limiter(2, 1);
        let first = limiter.take(None);
        assert!(first.is_some() && limiter.take(None).is_some());
        let _second = limiter.take(None).unwrap();
        assert!(limiter.take(None).is_none());
        drop(first);
        assert_eq!(limiter.count(), 1);
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let limiter = limiter(3, 3);
        drop([limiter.take(ip("10.0.0.1")), limiter.take(ip("10.0.0.2"))]);
        assert_eq!(limiter.count(), 0);
        assert!(limiter.taken().by_address.is_empty());
    }
}
