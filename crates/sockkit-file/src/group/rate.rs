//! How fast to send, by what most members lose.

/// Less than was asked for while the network cannot carry that.
#[derive(Debug)]
pub(super) struct Rate {
    share: f64,
    /// The share before it was lowered, and the loss then.
    before: Option<(f64, f64)>,
    /// Loss that a lower rate does not help against, such as that of radio.
    inherent: f64,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self {
            share: 1.0,
            before: None,
            inherent: 0.0,
        }
    }

    /// Of the rate that was asked for.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Follows the median of the fractions that the members lost, so that no single one
    /// decides.
    pub(super) fn follow(&mut self, mut losses: Vec<f64>) {
        losses.sort_by(f64::total_cmp);
        let Some(&median) = losses.get(losses.len().saturating_sub(1) / 2) else {
            return;
        };
        if let Some((share, loss)) = self.before.take()
            // Of a full network, what passes grows by as much as the share fell; by
            // nothing where the network was not full.
            && 1.0 - median < (1.0 - loss) * (share / self.share).sqrt()
        {
            (self.share, self.inherent) = (share, median);
            return;
        }
        self.inherent = self.inherent.min(median);
        let excess = median - self.inherent;
        if excess > SLOWER_ABOVE {
            self.slow_down(excess, median);
        } else if excess < FASTER_BELOW {
            self.share = (self.share * FASTER_BY).min(1.0);
        }
    }

    /// At the lowest share nothing is lowered, and the next loss proves nothing.
    fn slow_down(&mut self, excess: f64, median: f64) {
        let slower = (self.share * (1.0 - excess)).max(MIN_SHARE);
        if slower < self.share {
            self.before = Some((self.share, median));
            self.share = slower;
        }
    }
}

const SLOWER_ABOVE: f64 = 0.15;
const FASTER_BELOW: f64 = 0.08;
/// A share of the rate itself, so that it is no leap where the network carries little.
const FASTER_BY: f64 = 1.2;
const MIN_SHARE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares at which it sends over a network that loses what is above `carries`, and
    /// `loss` of the rest.
    fn shares(carries: f64, loss: f64) -> Vec<f64> {
        let mut rate = Rate::new();
        let mut shares = Vec::new();
        for _ in 0..40 {
            let passed = rate.share().min(carries) / rate.share();
            rate.follow(vec![1.0 - passed * (1.0 - loss); 3]);
            shares.push(rate.share());
        }
        shares
    }

    #[test]
    fn it_sends_what_the_network_carries() {
        for carries in [0.01, 0.0125, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 0.8] {
            let shares = shares(carries, 0.01);
            let range = carries.max(MIN_SHARE) * 0.75..=carries.max(MIN_SHARE) * 1.25;
            let is_right = shares[3..].iter().all(|share| range.contains(share));
            assert!(is_right, "{carries}: {shares:?}");
        }
    }

    #[test]
    fn loss_that_is_not_its_own_does_not_slow_it_down_for_long() {
        for loss in [0.05, 0.2, 0.4] {
            let shares = shares(1.0, loss);
            let is_right = shares[1..].iter().all(|share| *share > 0.99);
            assert!(is_right, "{loss}: {shares:?}");
        }
        let both = shares(0.5, 0.2);
        let is_right = both[4..].iter().all(|share| (0.35..0.8).contains(share));
        assert!(is_right, "{both:?}");
    }

    #[test]
    fn no_single_member_decides() {
        let mut rate = Rate::new();
        for _ in 0..10 {
            rate.follow(vec![0.0, 0.5, 0.01]);
        }
        rate.follow(vec![]);
        assert!(rate.share() > 0.99);
    }
}
