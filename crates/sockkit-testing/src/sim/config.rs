//! Settings of a simulated link.

use std::time::Duration;

use super::LossModel;

/// What a link does to datagrams. Default: nothing.
///
/// One description works in every test bed, in both directions:
///
/// | test bed | supports | datagrams are |
/// | --- | --- | --- |
/// | [`Link`](super::Link), simulated | everything, from a seed | the caller's |
/// | [`Port::relay`](crate::lab::Port::relay), in user space | everything | Ethernet frames |
/// | [`Port::shape`](crate::lab::Port::shape), nft and tbf | independent loss, rate, queue | Ethernet frames |
/// | [`netem`](Self::netem), if the kernel has it | everything but reordering | Ethernet frames |
///
/// What a test bed does not support is an error: [`Unsupported`](super::Unsupported).
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a link is made with it"]
pub struct LinkConfig {
    pub(super) loss: LossModel,
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    pub(super) reorder_by: Duration,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) rate_bytes_per_second: Option<u64>,
    pub(super) queue_bytes: usize,
}

impl LinkConfig {
    /// Which datagrams are lost. Default: none.
    pub fn loss(mut self, loss: LossModel) -> Self {
        self.loss = loss;
        self
    }

    /// Fraction of datagrams that arrive twice. Default: 0.
    ///
    /// # Panics
    /// If `probability` is not between 0 and 1.
    pub fn duplicate(mut self, probability: f64) -> Self {
        self.duplicate = checked(probability);
        self
    }

    /// Fraction of datagrams that arrive later by `by`, so that later ones
    /// overtake them. Default: 0.
    ///
    /// # Panics
    /// If `probability` is not between 0 and 1.
    pub fn reorder(mut self, probability: f64, by: Duration) -> Self {
        self.reorder = checked(probability);
        self.reorder_by = by;
        self
    }

    /// Delay from the end of sending to the arrival. Default: 0.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Maximum additional delay, uniformly distributed; the order is kept.
    /// Default: 0.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Rate at which datagrams are sent. Default: no limit.
    ///
    /// # Panics
    /// If the rate is 0.
    pub fn rate(mut self, bytes_per_second: u64) -> Self {
        assert!(
            bytes_per_second > 0,
            "a link that sends nothing is a cut one"
        );
        self.rate_bytes_per_second = Some(bytes_per_second);
        self
    }

    /// Size of the queue before the rate limit, beyond which datagrams are
    /// dropped. Default: 256 KiB. Has no effect without a [`rate`](Self::rate).
    pub fn queue_bytes(mut self, queue_bytes: usize) -> Self {
        self.queue_bytes = queue_bytes;
        self
    }
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            loss: LossModel::none(),
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate_bytes_per_second: None,
            queue_bytes: DEFAULT_QUEUE_BYTES,
        }
    }
}

/// Checks that `probability` is one.
#[track_caller]
pub(super) fn checked(probability: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&probability),
        "{probability} is no probability"
    );
    probability
}

const DEFAULT_QUEUE_BYTES: usize = 256 * 1024;
