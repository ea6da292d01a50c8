//! Which datagrams are lost: independently, or in bursts.

use super::config::checked;

/// A distribution of losses.
///
/// A two-state Markov chain, after Gilbert: in the good state every datagram
/// passes, in the bad one none does. Independent loss is the memoryless case.
///
/// # Source
/// E. N. Gilbert, "Capacity of a Burst-Noise Channel", 1960.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossModel {
    /// Long-term fraction of lost datagrams.
    pub(super) probability: f64,
    /// Probability of a loss after a delivery.
    pub(super) enter: f64,
    /// Probability of a loss after a loss.
    pub(super) stay: f64,
}

/// Decides for each datagram whether it is lost.
///
/// ```
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use sockkit::testing::sim::{Loss, LossModel};
///
/// let mut loss = Loss::new(LossModel::independent(0.5), 1);
/// let lost = (0..1_000).filter(|_| loss.drops()).count();
/// assert!((400..600).contains(&lost));
/// ```
#[derive(Clone, Debug)]
pub struct Loss {
    model: LossModel,
    rng: fastrand::Rng,
    last_was_lost: bool,
}

impl LossModel {
    /// No loss.
    pub const fn none() -> Self {
        Self {
            probability: 0.0,
            enter: 0.0,
            stay: 0.0,
        }
    }

    /// Each datagram is lost with this probability, independently.
    ///
    /// # Panics
    /// If `probability` is not between 0 and 1.
    pub fn independent(probability: f64) -> Self {
        let probability = checked(probability);
        Self {
            probability,
            enter: probability,
            stay: probability,
        }
    }

    /// A fraction `probability` of datagrams is lost, in bursts of `mean_burst`
    /// datagrams on average.
    ///
    /// # Panics
    /// If `probability` is not between 0 and 1, `mean_burst` is below 1, or the
    /// bursts are too short for that fraction.
    pub fn bursts(probability: f64, mean_burst: f64) -> Self {
        let probability = checked(probability);
        assert!(mean_burst >= 1.0, "a burst of {mean_burst} datagrams");
        let leave = 1.0 / mean_burst;
        let enter = if probability == 0.0 {
            0.0
        } else {
            probability * leave / (1.0 - probability)
        };
        Self {
            probability,
            enter: checked(enter),
            stay: 1.0 - leave,
        }
    }
}

impl Loss {
    /// Starts in the chain's stationary distribution.
    pub fn new(model: LossModel, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            last_was_lost: rng.f64() < model.probability,
            model,
            rng,
        }
    }

    /// Whether the next datagram is lost.
    #[inline]
    pub fn drops(&mut self) -> bool {
        let probability = if self.last_was_lost {
            self.model.stay
        } else {
            self.model.enter
        };
        self.last_was_lost = self.rng.f64() < probability;
        self.last_was_lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share lost and the mean length of a run of losses.
    fn measure(model: LossModel) -> (f64, f64) {
        let mut loss = Loss::new(model, 5);
        let (mut lost, mut runs, mut before) = (0_u32, 0_u32, false);
        for _ in 0..COUNT {
            let drops = loss.drops();
            lost += u32::from(drops);
            runs += u32::from(drops && !before);
            before = drops;
        }
        (
            f64::from(lost) / f64::from(COUNT),
            f64::from(lost) / f64::from(runs.max(1)),
        )
    }

    #[track_caller]
    fn check(model: LossModel, share: f64, mean_burst: f64) {
        let (measured_share, measured_burst) = measure(model);
        assert!(
            (measured_share / share - 1.0).abs() < 0.03,
            "{measured_share}"
        );
        assert!(
            (measured_burst / mean_burst - 1.0).abs() < 0.03,
            "{measured_burst}"
        );
    }

    const COUNT: u32 = 2_000_000;

    #[test]
    fn independent_losses_come_as_often_as_asked() {
        check(LossModel::independent(0.05), 0.05, 1.0 / 0.95);
    }

    #[test]
    fn bursts_are_as_long_and_as_frequent_as_asked() {
        check(LossModel::bursts(0.05, 4.0), 0.05, 4.0);
    }

    #[test]
    fn the_extremes_are_exact() {
        assert_eq!(measure(LossModel::none()).0, 0.0);
        assert_eq!(measure(LossModel::independent(0.0)).0, 0.0);
        assert_eq!(measure(LossModel::independent(1.0)).0, 1.0);
        assert_eq!(measure(LossModel::bursts(0.0, 4.0)).0, 0.0);
    }

    #[test]
    #[should_panic(expected = "is no probability")]
    fn more_than_everything_cannot_be_lost() {
        let _ = LossModel::independent(1.5);
    }

    #[test]
    #[should_panic(expected = "is no probability")]
    fn single_losses_cannot_make_up_nine_tenths() {
        let _ = LossModel::bursts(0.9, 1.0);
    }
}
