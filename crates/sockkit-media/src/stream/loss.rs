//! Parity that follows what receivers report.
//!
//! Pure: it counts in reports, which come once a second.

use sockkit_codec::shard::Parity;

use super::control::Report;

/// What one receiver's reports say of the shards sent to it.
#[derive(Debug)]
pub(super) struct Loss {
    /// Counts are of a receiver's whole life: the first report says nothing of the last second.
    last: Option<Report>,
    /// Shards sent and lost, those of the last reports above all.
    sent: f64,
    lost: f64,
    /// The share lost by the last report alone: more loss is believed at once,
    /// less only after a while.
    latest: f64,
    /// What the share is multiplied by, since pictures were lost in spite of
    /// parity: losses come in bursts.
    caution: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            last: None,
            sent: 0.0,
            lost: 0.0,
            latest: 0.0,
            caution: 1.0,
        }
    }
}

impl Loss {
    /// Takes in what the receiver's counts have grown by.
    pub(super) fn handle_report(&mut self, report: Report) {
        let Some(last) = self.last.replace(report) else {
            return;
        };
        let grown = |now: u64, before: u64| now.checked_sub(before);
        let (Some(sent), Some(lost), Some(pictures)) = (
            grown(report.shards_sent, last.shards_sent),
            grown(report.shards_lost, last.shards_lost),
            grown(report.lost, last.lost),
        ) else {
            // It was restarted, or follows another sender again, or late
            // pictures are not lost any more.
            return;
        };
        if sent == 0 || lost > sent {
            return;
        }
        self.latest = lost as f64 / sent as f64;
        let sent = (sent as f64).min(MOST_SHARDS);
        self.sent = self.sent * KEPT + sent;
        self.lost = self.lost * KEPT + sent * self.latest;
        self.caution = if pictures > 0 {
            (self.caution * CAUTIOUS).min(MOST_CAUTION)
        } else {
            (self.caution * CALMER).max(1.0)
        };
    }

    /// The share of shards that were lost over the last reports; `None` before there is
    /// anything to say.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn average(&self) -> Option<f64> {
        (self.sent >= ENOUGH_SHARDS).then(|| self.lost / self.sent)
    }

    /// The share of shards to be ready for; `None` before there is anything to
    /// say.
    pub(super) fn share(&self) -> Option<f64> {
        if self.sent < ENOUGH_SHARDS {
            return None;
        }
        // One more than were lost: nothing lost yet is not nothing to lose.
        let average = (self.lost + 1.0) / self.sent;
        Some(average.max(self.latest) * self.caution)
    }
}

/// The parity for receivers that lose these shares, the worst of them.
pub(super) fn parity(shares: impl Iterator<Item = f64>) -> Parity {
    let worst = shares.reduce(f64::max).unwrap_or(UNKNOWN);
    Parity::for_loss(worst, PICTURES_LOST).at_most(MOST_PERCENT)
}

/// Of ten million pictures one may be lost, by chance: where losses come in bursts it
/// is rather one in fifty, and those are few enough to be repaired.
const PICTURES_LOST: f64 = 1e-7;

/// Anyone can send a report: that is what one costs the sender.
const MOST_PERCENT: u8 = 50;

/// What is taken for lost before any receiver has reported.
const UNKNOWN: f64 = 0.01;

/// With fewer a single loss would look like many.
const ENOUGH_SHARDS: f64 = 50.0;

/// A report of more weighs no more than this: a forged one must not be remembered for minutes.
const MOST_SHARDS: f64 = 10_000.0;

/// Of the older reports' weight, at each new one: about ten count.
const KEPT: f64 = 0.9;

const CAUTIOUS: f64 = 1.5;
const CALMER: f64 = 0.98;
const MOST_CAUTION: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of so many shards sent and lost, and pictures lost, one after the other.
    fn after(reports: impl IntoIterator<Item = (u64, u64, u64)>) -> Loss {
        let (mut loss, mut total) = (Loss::default(), Report::default());
        loss.handle_report(total);
        for (sent, lost, pictures) in reports {
            total.shards_sent += sent;
            total.shards_lost += lost;
            total.lost += pictures;
            loss.handle_report(total);
        }
        loss
    }

    #[track_caller]
    fn check(reports: impl IntoIterator<Item = (u64, u64, u64)>, share: f64) {
        let found = after(reports).share().unwrap();
        assert!((found / share - 1.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn before_the_first_report_one_in_a_hundred_is_lost() {
        assert_eq!(Loss::default().share(), None);
        assert_eq!(after([(10, 10, 0)]).share(), None);
        let unknown = parity(std::iter::empty());
        let expected = Parity::for_loss(0.01, PICTURES_LOST);
        assert_eq!(unknown.shards(44), expected.shards(44));
    }

    #[test]
    fn a_steady_loss_is_found() {
        check([(1_600, 80, 0); 20], 0.05);
    }

    #[test]
    fn without_loss_little_parity_is_left() {
        let loss = after([(1_600, 0, 0); 30]);
        assert_eq!(parity(loss.share().into_iter()).shards(44), 2);
    }

    #[test]
    fn a_rise_is_believed_at_once_and_a_fall_later() {
        let rise = [(1_600, 0, 0); 20].into_iter().chain([(1_600, 80, 0)]);
        check(rise.clone(), 0.05);
        let fall = after(rise.chain([(1_600, 0, 0)])).share().unwrap();
        assert!((0.003..0.006).contains(&fall), "{fall}");
    }

    #[test]
    fn pictures_lost_in_spite_of_parity_ask_for_more() {
        check([(1_600, 80, 1); 2], 0.05 * 2.25);
        check([(1_600, 80, 1); 20], 0.2);
        let calm = [(1_600, 80, 1); 20]
            .into_iter()
            .chain([(1_600, 80, 0); 100]);
        check(calm, 0.05);
    }

    #[test]
    fn the_first_report_is_what_later_ones_are_compared_with() {
        let mut loss = Loss::default();
        let long_ago = Report {
            shards_sent: 1_000_000,
            shards_lost: 400_000,
            lost: 7,
            ..Report::default()
        };
        loss.handle_report(long_ago);
        assert_eq!(loss.share(), None);
        loss.handle_report(Report {
            shards_sent: 1_001_600,
            ..long_ago
        });
        assert!(loss.share().unwrap() < 0.001, "{loss:?}");
    }

    #[test]
    fn one_forged_report_is_forgotten_within_half_a_minute() {
        let forged = [(1 << 40, 1 << 40, 0)];
        let honest = [(1_600, 0, 0); 30];
        let reports = honest.into_iter().chain(forged).chain(honest);
        let share = after(reports).share().unwrap();
        assert!(share < 0.05, "{share}");
    }

    #[test]
    fn the_worst_receiver_decides_and_the_cap_holds() {
        let wanted = |shares: &[f64]| parity(shares.iter().copied()).shards(44);
        assert_eq!(wanted(&[0.0, 0.05, 0.01]), wanted(&[0.05]));
        for absurd in [0.4, 1.0, 4.0, f64::INFINITY] {
            assert_eq!(wanted(&[absurd]), 22);
        }
    }

    #[test]
    fn counts_that_go_back_or_jump_do_no_harm() {
        let mut loss = after([(1_600, 80, 0); 20]);
        let before = loss.share();
        for (sent, lost) in [(0, 0), (100, 5), (u64::MAX, u64::MAX), (0, 0)] {
            loss.handle_report(Report {
                shards_sent: sent,
                shards_lost: lost,
                ..Report::default()
            });
        }
        assert!(before.is_some() && loss.share().unwrap().is_finite());
        assert!(parity(loss.share().into_iter()).shards(44) <= 22);
    }
}
