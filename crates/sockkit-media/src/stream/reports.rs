//! What receivers last said of themselves.
//!
//! Pure: the caller passes `now` in.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::control::Report;

/// The last report of each receiver. Its memory is bounded.
#[derive(Debug, Default)]
pub(super) struct Reports {
    receivers: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    from: SocketAddr,
    at: Instant,
    report: Report,
}

impl Reports {
    /// Takes a report in, in the place of the receiver's last one.
    pub(super) fn note(&mut self, now: Instant, from: SocketAddr, report: Report) {
        let heard = Heard {
            from,
            at: now,
            report,
        };
        self.receivers.retain(|other| other.is_recent(now));
        if let Some(known) = self.receivers.iter_mut().find(|other| other.from == from) {
            *known = heard;
        } else if self.receivers.len() < MAX_RECEIVERS {
            self.receivers.push(heard);
        }
    }

    /// The last report of each receiver that spoke lately.
    pub(super) fn recent(&self, now: Instant) -> Vec<(SocketAddr, Report)> {
        self.receivers
            .iter()
            .filter(|heard| heard.is_recent(now))
            .map(|heard| (heard.from, heard.report))
            .collect()
    }
}

impl Heard {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) <= FORGET_AFTER
    }
}

const MAX_RECEIVERS: usize = 256;
const FORGET_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5006))
    }

    #[test]
    fn reports_are_kept_by_receiver_and_forgotten() {
        let start = Instant::now();
        let mut reports = Reports::default();
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
        let mut reports = Reports::default();
        for port in 0..2_000 {
            let from = SocketAddr::from(([10, 0, 0, 1], port));
            reports.note(now, from, Report::default());
        }
        assert_eq!(reports.recent(now).len(), MAX_RECEIVERS);
    }
}
