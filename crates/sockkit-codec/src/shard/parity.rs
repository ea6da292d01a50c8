//! The number of parity shards of a message.

/// How much parity to add to a message.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::shard::Parity;
///
/// assert_eq!(Parity::percent(20).shards(44), 9);
/// // 60 KB at 5 % loss; one message in 100,000 is lost.
/// assert_eq!(Parity::for_loss(0.05, 1e-5).shards(44), 12);
/// // With the same target, a single datagram is sent four times.
/// assert_eq!(Parity::for_loss(0.05, 1e-5).shards(1), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parity {
    rule: Rule,
    /// Not more than so many for each hundred data shards.
    at_most: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Percent(u8),
    Loss { datagram: f64, message: f64 },
}

impl Parity {
    /// No parity: one lost datagram loses the message.
    pub const NONE: Self = Self::of(Rule::Percent(0));

    /// Parity shards per hundred data shards, rounded up; values above 100 are
    /// clamped.
    ///
    /// Headers add to this: 36 bytes per datagram, 2.6 % at 1,400 bytes.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        Self::of(Rule::Percent(if percent > 100 { 100 } else { percent }))
    }

    /// The smallest number of parity shards for which at most the fraction
    /// `message` of messages is lost if the fraction `datagram` of datagrams is
    /// lost.
    ///
    /// Short messages need far more parity for the same target: there is no
    /// upper limit of 100 %. The calculation assumes independent losses. For
    /// bursts of losses, use a larger `datagram`; see `docs/wire/shard.md`.
    ///
    /// `datagram` is clamped to 0..=0.5, `message` to 10^-12..=1; NaN counts as
    /// the worst value of the range.
    #[must_use]
    pub const fn for_loss(datagram: f64, message: f64) -> Self {
        let datagram = if datagram.is_nan() { 0.5 } else { datagram };
        let message = if message.is_nan() { 0.0 } else { message };
        Self::of(Rule::Loss {
            datagram: datagram.clamp(0.0, 0.5),
            message: message.clamp(1e-12, 1.0),
        })
    }

    /// The same, but no more than so many parity shards for each hundred data
    /// shards, rounded up.
    #[must_use]
    pub const fn at_most(mut self, percent: u8) -> Self {
        self.at_most = Some(percent);
        self
    }

    const fn of(rule: Rule) -> Self {
        Self {
            rule,
            at_most: None,
        }
    }

    /// Number of parity shards for a message of `data` shards.
    #[must_use]
    pub fn shards(self, data: usize) -> usize {
        let share = |percent| (data * usize::from(percent)).div_ceil(100);
        let most = self.at_most.map_or(usize::MAX, share).min(max_shards(data));
        match self.rule {
            Rule::Percent(percent) => share(percent).min(most),
            Rule::Loss { datagram, message } => fewest(data, datagram, message, most),
        }
    }
}

/// Maximum number of parity shards for a message of `data` shards.
///
/// Enough to repeat a single datagram 33 times, and small enough that the
/// decoder's memory stays in proportion to the data received.
pub(super) fn max_shards(data: usize) -> usize {
    data + 32
}

/// The smallest number of parity shards, at most `most`, that the number of losses
/// before the `data`-th arrival exceeds with a probability of at most `target`.
///
/// # Source
/// The negative binomial distribution: C(data-1+j, j) loss^j (1-loss)^data is
/// the probability of exactly `j` losses before the `data`-th arrival.
fn fewest(data: usize, loss: f64, target: f64, most: usize) -> usize {
    if loss == 0.0 {
        return 0;
    }
    let mut parity = 0;
    // Logarithms, because (1-loss)^data underflows for long messages.
    let mut ln_chance = data as f64 * (1.0 - loss).ln();
    let mut arrived = ln_chance.exp();
    while 1.0 - arrived > target && parity < most {
        ln_chance += (loss * (data + parity) as f64 / (parity + 1) as f64).ln();
        arrived += ln_chance.exp();
        parity += 1;
    }
    parity
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chance that more than `parity` of all shards are lost, summed directly.
    fn lost(data: usize, parity: usize, loss: f64) -> f64 {
        let shards = data + parity;
        let mut chance = (1.0 - loss).powi(i32::try_from(shards).unwrap());
        let mut arrived = chance;
        for j in 0..parity {
            chance *= (shards - j) as f64 / (j + 1) as f64 * loss / (1.0 - loss);
            arrived += chance;
        }
        1.0 - arrived
    }

    #[test]
    fn percent_rounds_up_and_stops_at_a_hundred() {
        assert_eq!(Parity::NONE.shards(44), 0);
        assert_eq!(Parity::percent(1).shards(1), 1);
        assert_eq!(Parity::percent(25).shards(44), 11);
        assert_eq!(Parity::percent(100).shards(44), 44);
        assert_eq!(Parity::percent(255).shards(44), 44);
    }

    #[test]
    fn loss_target_is_met_and_not_with_one_shard_less() {
        for data in [1, 2, 3, 10, 44, 100, 300] {
            for loss in [0.001, 0.01, 0.05, 0.1, 0.2] {
                for target in [1e-2, 1e-3, 1e-5, 1e-9] {
                    let parity = Parity::for_loss(loss, target).shards(data);
                    assert!(lost(data, parity, loss) <= target * 1.001);
                    assert!(parity == 0 || lost(data, parity - 1, loss) > target * 0.999);
                }
            }
        }
    }

    #[test]
    fn a_cap_holds_where_more_would_be_needed() {
        let parity = Parity::for_loss(0.2, 1e-4);
        assert_eq!(parity.shards(44), 28);
        assert_eq!(parity.at_most(50).shards(44), 22);
        assert_eq!(parity.at_most(50).shards(1), 1);
        assert_eq!(parity.at_most(100).shards(44), 28);
        assert_eq!(Parity::percent(80).at_most(25).shards(44), 11);
    }

    #[test]
    fn a_target_that_is_met_exactly_is_met() {
        assert_eq!(Parity::for_loss(0.5, 0.5).shards(1), 0);
        assert_eq!(Parity::for_loss(0.5, 0.25).shards(1), 1);
    }

    #[test]
    fn long_messages_do_not_underflow() {
        // Mean 3,000 losses before the 12,000th arrival, deviation 61.
        let parity = Parity::for_loss(0.2, 1e-6).shards(12_000);
        assert!((3_250..3_350).contains(&parity), "{parity}");
    }

    #[test]
    fn numbers_out_of_range_are_brought_in() {
        assert_eq!(Parity::for_loss(0.0, 0.0).shards(44), 0);
        assert_eq!(Parity::for_loss(-1.0, 2.0).shards(44), 0);
        assert_eq!(
            Parity::for_loss(f64::NAN, f64::NAN).shards(1),
            max_shards(1).min(39)
        );
    }
}
