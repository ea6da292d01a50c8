//! Keeps misbehaving peers from flooding the log.
//!
//! [`LogLimit`] is pure: the caller passes `now` in, and writes the log.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::host;

/// Limits similar events to one log line a minute for each kind and host. Its
/// memory is bounded.
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::server::LogLimit;
/// use std::{net::Ipv4Addr, time::Instant};
///
/// let (limit, peer) = (LogLimit::default(), Ipv4Addr::LOCALHOST.into());
/// if let Some(untold) = limit.note(Instant::now(), "refused", peer) {
///     eprintln!("{peer} was refused, and {untold} times since the last line");
/// }
/// # assert_eq!(limit.note(Instant::now(), "refused", peer), None);
/// ```
#[derive(Debug, Default)]
pub struct LogLimit {
    told: Mutex<Vec<Told>>,
}

#[derive(Debug)]
struct Told {
    kind: &'static str,
    host: IpAddr,
    at: Instant,
    /// Events since then.
    untold: u64,
}

impl LogLimit {
    /// Counts one event. Returns `Some` if it should be logged, with the number
    /// of unlogged events of its kind and host since the last line.
    pub fn note(&self, now: Instant, kind: &'static str, from: IpAddr) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut host = host(from);
        let is_of = |told: &Told, host| told.kind == kind && told.host == host;
        if told.len() >= MAX_HOSTS && !told.iter().any(|told| is_of(told, host)) {
            told.retain(|told| !told.is_due(now));
            if told.len() >= MAX_HOSTS {
                host = OTHERS;
            }
        }
        let Some(known) = told.iter_mut().find(|told| is_of(told, host)) else {
            told.push(Told {
                kind,
                host,
                at: now,
                untold: 0,
            });
            return Some(0);
        };
        if !known.is_due(now) {
            known.untold += 1;
            return None;
        }
        known.at = now;
        Some(std::mem::take(&mut known.untold))
    }
}

impl Told {
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= TELL_EVERY
    }
}

const TELL_EVERY: Duration = Duration::from_secs(60);

/// Maximum number of hosts to distinguish; further ones share a line.
const MAX_HOSTS: usize = 64;

const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_is_one_line_a_minute_with_its_count() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        assert_eq!(limit.note(start, "refused", ip("10.0.0.1")), Some(0));
        for _ in 0..1_000 {
            assert_eq!(limit.note(start, "refused", ip("10.0.0.1")), None);
        }
        let later = start + TELL_EVERY;
        assert_eq!(limit.note(later, "refused", ip("10.0.0.1")), Some(1_000));
        assert_eq!(limit.note(later, "refused", ip("10.0.0.1")), None);
    }

    #[test]
    fn each_kind_and_each_host_has_its_line() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        assert_eq!(limit.note(now, "refused", ip("10.0.0.1")), Some(0));
        assert_eq!(limit.note(now, "full", ip("10.0.0.1")), Some(0));
        assert_eq!(limit.note(now, "refused", ip("2001:db8::1")), Some(0));
        assert_eq!(limit.note(now, "refused", ip("::ffff:10.0.0.1")), None);
        assert_eq!(limit.note(now, "refused", ip("2001:db8::2")), None);
    }

    #[test]
    fn a_thousand_hosts_are_bounded_lines_and_memory() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        let lines = (0..1_000u32)
            .filter(|&host| {
                limit
                    .note(now, "refused", Ipv4Addr::from_bits(host + 1).into())
                    .is_some()
            })
            .count();
        assert_eq!(lines, MAX_HOSTS + 1);
        assert_eq!(limit.told.lock().unwrap().len(), MAX_HOSTS + 1);
    }
}
