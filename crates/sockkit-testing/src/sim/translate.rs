//! Translates a link's description for kernels that support part of it.

use std::{error::Error, fmt, fmt::Write};

use super::{LinkConfig, LossModel};

/// An impairment that a test bed does not support.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The impairment.
    pub what: &'static str,
    /// The test bed.
    pub bed: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, bed } = self;
        write!(f, "{bed} cannot do {what}; `Port::relay` can")
    }
}

impl Error for Unsupported {}

/// The part of a description for nft and tbf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shaping {
    pub(crate) loss: f64,
    pub(crate) bits_per_second: Option<u64>,
    pub(crate) queue_bytes: usize,
}

impl LinkConfig {
    /// For nft, which drops packets, and tbf, which limits the rate.
    pub(crate) fn shaping(&self) -> Result<Shaping, Unsupported> {
        let asked = [
            (!self.delay.is_zero(), "delay"),
            (!self.jitter.is_zero(), "jitter"),
            (self.reorder > 0.0, "reordering"),
            (self.duplicate > 0.0, "duplication"),
            (self.loss.comes_in_bursts(), "loss in bursts"),
        ];
        refuse_any(&asked, "nft and tbf")?;
        Ok(Shaping {
            loss: self.loss.probability,
            bits_per_second: self.bits_per_second(),
            queue_bytes: self.queue_bytes,
        })
    }

    /// Arguments for the kernel's netem, after `tc qdisc add dev INTERFACE root
    /// netem`.
    ///
    /// netem differs in three ways. Lost packets use no bandwidth. The queue is
    /// counted in packets, including delayed ones; here each counts as 1,514
    /// bytes. And the delay comes before the queue instead of after it, so a
    /// full queue hides it.
    ///
    /// # Errors
    /// Reordering: netem sends some packets early, where a link delays some.
    /// Jitter without a rate: netem then does not keep the order.
    pub fn netem(&self) -> Result<String, Unsupported> {
        let jitter = !self.jitter.is_zero();
        let asked = [
            (self.reorder > 0.0, "reordering by a time"),
            (
                jitter && self.rate_bytes_per_second.is_none(),
                "jitter that keeps the order without a rate",
            ),
        ];
        refuse_any(&asked, "netem")?;
        let mut words = format!("limit {}", self.netem_packets());
        if jitter || !self.delay.is_zero() {
            // netem's jitter is symmetric.
            let half = self.jitter / 2;
            let mean = (self.delay + half).as_micros();
            let _ = write!(words, " delay {mean}us {}us", half.as_micros());
        }
        if let Some(loss) = self.loss.netem() {
            let _ = write!(words, " loss {loss}");
        }
        if self.duplicate > 0.0 {
            let _ = write!(words, " duplicate {:.4}%", 100.0 * self.duplicate);
        }
        if let Some(bits_per_second) = self.bits_per_second() {
            let _ = write!(words, " rate {bits_per_second}bit");
        }
        Ok(words)
    }

    /// Number of packets that netem may hold.
    fn netem_packets(&self) -> u64 {
        let Some(rate) = self.rate_bytes_per_second else {
            return NETEM_PACKETS;
        };
        let longest = self.delay + self.jitter;
        let delayed = u128::from(rate) * longest.as_micros() / 1_000_000;
        let bytes = delayed + self.queue_bytes as u128;
        u64::try_from(bytes.div_ceil(PACKET_BYTES)).unwrap_or(NETEM_PACKETS)
    }

    fn bits_per_second(&self) -> Option<u64> {
        self.rate_bytes_per_second
            .map(|rate| rate.saturating_mul(8))
    }
}

impl LossModel {
    /// Whether losses are correlated.
    fn comes_in_bursts(&self) -> bool {
        self.enter != self.stay
    }

    /// netem's Gilbert-Elliott model takes the two transition probabilities.
    fn netem(&self) -> Option<String> {
        let percent = |probability: f64| format!("{:.4}%", 100.0 * probability);
        if self.probability == 0.0 {
            return None;
        }
        Some(if self.comes_in_bursts() {
            format!(
                "gemodel {} {}",
                percent(self.enter),
                percent(1.0 - self.stay)
            )
        } else {
            format!("random {}", percent(self.probability))
        })
    }
}

fn refuse_any(asked: &[(bool, &'static str)], bed: &'static str) -> Result<(), Unsupported> {
    match asked.iter().find(|(asked, _)| *asked) {
        Some(&(_, what)) => Err(Unsupported { what, bed }),
        None => Ok(()),
    }
}

/// Size of an Ethernet frame.
const PACKET_BYTES: u128 = 1_514;

/// Without a rate the queue stays short.
const NETEM_PACKETS: u64 = 100_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn link() -> LinkConfig {
        LinkConfig::default()
    }

    #[test]
    fn nft_and_tbf_lose_and_limit_and_nothing_else() {
        let config = link()
            .loss(LossModel::independent(0.05))
            .rate(12_500_000)
            .queue_bytes(50_000);
        let shaping = config.shaping().unwrap();
        let expected = Shaping {
            loss: 0.05,
            bits_per_second: Some(100_000_000),
            queue_bytes: 50_000,
        };
        assert_eq!(shaping, expected);
        for (config, what) in [
            (link().delay(MS), "delay"),
            (link().jitter(MS), "jitter"),
            (link().reorder(0.1, MS), "reordering"),
            (link().duplicate(0.1), "duplication"),
            (link().loss(LossModel::bursts(0.05, 4.0)), "loss in bursts"),
        ] {
            let error = config.shaping().unwrap_err();
            assert_eq!(error.what, what);
            let said = format!("nft and tbf cannot do {what}; `Port::relay` can");
            assert_eq!(error.to_string(), said);
        }
    }

    #[track_caller]
    fn check(config: &LinkConfig, netem: &str) {
        assert_eq!(config.netem().unwrap(), netem);
    }

    #[test]
    fn netem_is_told_the_same_in_its_words() {
        check(&link(), "limit 100000");
        check(&link().delay(10 * MS), "limit 100000 delay 10000us 0us");
        let lossy = link().loss(LossModel::independent(0.05)).duplicate(0.01);
        check(&lossy, "limit 100000 loss random 5.0000% duplicate 1.0000%");
        let bursts = link().loss(LossModel::bursts(0.05, 4.0));
        check(&bursts, "limit 100000 loss gemodel 1.3158% 25.0000%");
        let slow = link().rate(12_500_000).queue_bytes(250_000).delay(10 * MS);
        // 250,000 bytes wait and 125,000 are delayed.
        check(&slow, "limit 248 delay 10000us 0us rate 100000000bit");
        let unsteady = link().rate(1_000_000).jitter(4 * MS).queue_bytes(0);
        check(&unsteady, "limit 3 delay 2000us 2000us rate 8000000bit");
    }

    #[test]
    fn netem_is_not_asked_for_what_it_does_in_another_way() {
        for config in [link().reorder(0.1, MS), link().jitter(MS)] {
            let error = config.netem().unwrap_err();
            assert_eq!(error.bed, "netem", "{error}");
        }
    }
}
