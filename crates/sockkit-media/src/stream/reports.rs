//! The last report of each receiver.
//!
//! Pure: the caller passes `now` in.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_core::server::host;

#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::hand_over::HandOver;
use super::{control::Report, loss::Loss};

/// The last report of each receiver. Its memory is bounded.
///
/// Reports are not authenticated, and datagrams can come from any address. The
/// number of reports is therefore limited for each host, except for the
/// configured destinations.
#[derive(Debug)]
pub(super) struct Reports {
    expected: Vec<SocketAddr>,
    max_per_host: usize,
    receivers: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    from: SocketAddr,
    at: Instant,
    report: Report,
    loss: Loss,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    hand_over: HandOver,
}

impl Heard {
    fn new(now: Instant, from: SocketAddr, report: Report) -> Self {
        let mut heard = Self {
            from,
            at: now,
            report,
            loss: Loss::default(),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            hand_over: HandOver::default(),
        };
        heard.handle_report(now, report);
        heard
    }

    fn handle_report(&mut self, now: Instant, report: Report) {
        self.at = now;
        self.report = report;
        self.loss.handle_report(report);
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        self.hand_over.on_report();
    }

    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) <= FORGET_AFTER
    }
}

impl Reports {
    /// Keeps reports of the `expected` receivers, and of `max_per_host` others
    /// per host.
    pub(super) fn new(expected: Vec<SocketAddr>, max_per_host: usize) -> Self {
        Self {
            expected,
            max_per_host,
            receivers: Vec::new(),
        }
    }

    /// Records a report, replacing the receiver's last one.
    pub(super) fn note(&mut self, now: Instant, from: SocketAddr, report: Report) {
        if !report.is_plausible() {
            return;
        }
        self.receivers.retain(|other| other.is_recent(now));
        if let Some(known) = self.receivers.iter_mut().find(|other| other.from == from) {
            known.handle_report(now, report);
        } else if self.expects(from) || self.has_room(from) {
            self.receivers.push(Heard::new(now, from, report));
        }
    }

    /// The scope and flow of an IPv6 address may differ.
    fn expects(&self, from: SocketAddr) -> bool {
        let same = |to: &SocketAddr| (to.ip(), to.port()) == (from.ip(), from.port());
        self.expected.iter().any(same)
    }

    /// Whether there is room, in total and for its host, for an unexpected
    /// receiver.
    fn has_room(&self, from: SocketAddr) -> bool {
        let host = host(from.ip());
        let from_there = self
            .receivers
            .iter()
            .filter(|heard| self::host(heard.from.ip()) == host);
        self.receivers.len() < MAX_RECEIVERS && from_there.count() < self.max_per_host
    }

    /// The last report of each receiver that sent one recently.
    pub(super) fn recent(&self, now: Instant) -> Vec<(SocketAddr, Report)> {
        self.receivers
            .iter()
            .filter(|heard| heard.is_recent(now))
            .map(|heard| (heard.from, heard.report))
            .collect()
    }

    /// The share of shards that each of them loses, or this one, if it says so.
    pub(super) fn losses(&self, now: Instant, of: Option<SocketAddr>) -> impl Iterator<Item = f64> {
        let recent = self
            .receivers
            .iter()
            .filter(move |heard| heard.is_recent(now) && of.is_none_or(|of| of == heard.from));
        recent.filter_map(|heard| heard.loss.share())
    }

    /// The same of all but these.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn losses_except(
        &self,
        now: Instant,
        others: &[SocketAddr],
    ) -> impl Iterator<Item = f64> {
        let receivers = self.receivers.iter();
        receivers
            .filter(move |heard| heard.is_recent(now) && !others.contains(&heard.from))
            .filter_map(|heard| heard.loss.share())
    }

    /// Those that have lost too much for a while, and for how long each is to be served by
    /// itself.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn hand_over(&mut self, now: Instant) -> Vec<(SocketAddr, Duration)> {
        let receivers = self.receivers.iter_mut();
        receivers
            .filter(|heard| heard.is_recent(now))
            .filter_map(|heard| {
                let loss = heard.loss.average()?;
                Some((heard.from, heard.hand_over.decide(now, loss)?))
            })
            .collect()
    }
}

/// Maximum number of receivers whose reports are kept, besides the expected
/// ones.
pub(super) const MAX_RECEIVERS: usize = 256;
const FORGET_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn reports() -> Reports {
        Reports::new(vec![from(9)], MAX_RECEIVERS / 4)
    }

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5006))
    }

    #[test]
    fn reports_are_kept_by_receiver_and_forgotten() {
        let start = Instant::now();
        let mut reports = reports();
        let mut report = |now, host, received| {
            let report = Report {
                received,
                ..Report::default()
            };
            reports.note(now, from(host), report);
            reports.recent(now).len()
        };
        assert_eq!(report(start, 1, 1), 1);
        assert_eq!(report(start, 1, 2), 1);
        assert_eq!(report(start, 2, 3), 2);
        assert_eq!(report(start + 2 * FORGET_AFTER, 2, 4), 1);
        assert_eq!(reports.recent(start + 2 * FORGET_AFTER)[0].1.received, 4);
    }

    #[test]
    fn the_table_of_receivers_is_bounded() {
        let now = Instant::now();
        let mut reports = reports();
        for host in 0..2_000 {
            let from = SocketAddr::from((Ipv4Addr::from_bits(host), 5006));
            reports.note(now, from, Report::default());
        }
        assert_eq!(reports.recent(now).len(), MAX_RECEIVERS);
    }

    #[test]
    fn one_host_has_a_quarter_of_the_table() {
        let now = Instant::now();
        for host in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::7"] {
            let host: IpAddr = host.parse().unwrap();
            let mut reports = reports();
            for port in 1..=300 {
                reports.note(now, (host, port).into(), Report::default());
            }
            assert_eq!(reports.recent(now).len(), MAX_RECEIVERS / 4);
            reports.note(now, from(2), Report::default());
            assert_eq!(reports.recent(now).len(), MAX_RECEIVERS / 4 + 1);
        }
        let mut reports = reports();
        for host in 1..=300u128 {
            let from = Ipv6Addr::from_bits(0x2001_0db8 << 96 | host);
            reports.note(now, (from, 5006).into(), Report::default());
        }
        assert_eq!(reports.recent(now).len(), MAX_RECEIVERS / 4);
    }

    #[test]
    fn a_receiver_that_we_send_to_is_never_crowded_out() {
        let now = Instant::now();
        let mut reports = reports();
        for host in 0..2_000 {
            let from = SocketAddr::from((Ipv4Addr::from_bits(host), 1));
            reports.note(now, from, Report::default());
        }
        for port in 1..=300 {
            let from = SocketAddr::from(([10, 0, 0, 9], port));
            reports.note(now, from, Report::default());
        }
        reports.note(now, from(9), Report::default());
        let recent = reports.recent(now);
        assert!(recent.iter().any(|(receiver, _)| *receiver == from(9)));
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    #[test]
    fn those_that_lose_much_are_told_apart() {
        let start = Instant::now();
        let mut reports = reports();
        let mut now = start;
        for second in 0..6 {
            now = start + Duration::from_secs(second);
            for (host, lost) in [(1, 5), (2, 40)] {
                let report = Report {
                    shards_sent: second * 1_000,
                    shards_lost: second * lost * 10,
                    ..Report::default()
                };
                reports.note(now, from(host), report);
            }
        }
        let handed_over = reports.hand_over(now);
        let lossy: Vec<_> = handed_over.iter().map(|(from, _)| *from).collect();
        assert_eq!(lossy, [from(2)]);
        let worst = |others: &[SocketAddr]| reports.losses_except(now, others).fold(0.0, f64::max);
        assert!(worst(&[]) > 0.3);
        let rest = worst(&lossy);
        assert!(0.04 < rest && rest < 0.06, "{rest}");
    }

    #[test]
    fn absurd_figures_are_dropped() {
        let (now, day) = (Instant::now(), Duration::from_secs(86_400));
        let hostile = [
            Report {
                lost: 1 << 63,
                ..Report::default()
            },
            Report {
                received: u64::MAX,
                ..Report::default()
            },
            Report {
                late: u64::MAX,
                ..Report::default()
            },
            Report {
                age_p50: day,
                age_p99: day,
                ..Report::default()
            },
            Report {
                age_p99: Duration::from_micros(u32::MAX.into()),
                ..Report::default()
            },
            Report {
                age_p50: Duration::from_secs(1),
                ..Report::default()
            },
            Report {
                shards_sent: 1,
                shards_lost: 2,
                ..Report::default()
            },
        ];
        for report in hostile {
            let mut reports = reports();
            reports.note(now, from(1), report);
            assert_eq!(reports.recent(now), [], "{report:?}");
        }
    }
}
