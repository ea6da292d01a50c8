//! A simulated link: loss, bursts, duplication, reordering, delay, rate.
//!
//! Pure: it reads no clock and uses no system randomness. The same seed and the
//! same calls have the same result, so a failing run can be reproduced from its
//! seed.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

mod config;
mod loss;
mod translate;

pub use config::LinkConfig;
pub use loss::{Loss, LossModel};
pub use translate::Unsupported;

/// One direction of a network, driven by explicit time.
///
/// [`send`](Self::send) takes datagrams, [`poll`](Self::poll) returns those
/// that have arrived by `now`, and [`deadline`](Self::deadline) tells when to
/// poll again. With tokio's paused clock, pass
/// `tokio::time::Instant::now().into_std()` and sleep until the deadline.
///
/// ```
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use std::time::{Duration, Instant};
/// use sockkit::testing::sim::{Link, LinkConfig, LossModel};
///
/// let config = LinkConfig::default()
///     .loss(LossModel::independent(0.05))
///     .delay(Duration::from_millis(20));
/// let mut link = Link::new(config, 7);
///
/// let mut now = Instant::now();
/// for number in 0..100_u8 {
///     link.send(now, vec![number]);
/// }
/// let mut arrived = 0;
/// while let Some(deadline) = link.deadline() {
///     now = deadline;
///     while link.poll(now).is_some() {
///         arrived += 1;
///     }
/// }
/// assert_eq!(arrived + link.stats().lost, 100);
/// ```
#[derive(Debug)]
pub struct Link<D> {
    config: LinkConfig,
    loss: Loss,
    rng: fastrand::Rng,
    in_flight: BinaryHeap<InFlight<D>>,
    /// When the last accepted datagram will have left the queue.
    busy_until: Option<Instant>,
    /// Arrival of the last datagram that was not reordered.
    last_arrival: Option<Instant>,
    sequence: u64,
    stats: LinkStats,
}

/// Counters of a link, in datagrams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Passed to [`Link::send`].
    pub sent: u64,
    /// Lost.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delayed, so that later ones may overtake.
    pub reordered: u64,
    /// Returned by [`Link::poll`], including duplicates.
    pub delivered: u64,
}

impl<D: AsRef<[u8]> + Clone> Link<D> {
    /// Creates an empty link. `seed` determines every random choice.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            loss: Loss::new(config.loss, seed),
            // A separate generator: adding jitter to a test must not change
            // which datagrams are lost.
            rng: fastrand::Rng::with_seed(!seed),
            in_flight: BinaryHeap::new(),
            busy_until: None,
            last_arrival: None,
            sequence: 0,
            stats: LinkStats::default(),
            config,
        }
    }

    /// Sends one datagram at time `now`, which must not decrease.
    pub fn send(&mut self, now: Instant, datagram: D) {
        self.stats.sent += 1;
        let Some(departure) = self.queue(now, datagram.as_ref().len()) else {
            self.stats.overflowed += 1;
            return;
        };
        if self.loss.drops() {
            self.stats.lost += 1;
            return;
        }
        if self.happens(self.config.duplicate) {
            self.stats.duplicated += 1;
            let arrival = self.arrival(departure);
            self.push(arrival, datagram.clone());
        }
        let arrival = self.arrival(departure);
        self.push(arrival, datagram);
    }

    /// Returns the next datagram that has arrived by `now`.
    ///
    /// Call it until it returns `None`, then again at
    /// [`deadline`](Self::deadline).
    pub fn poll(&mut self, now: Instant) -> Option<D> {
        if self.deadline()? > now {
            return None;
        }
        self.stats.delivered += 1;
        self.in_flight.pop().map(|in_flight| in_flight.datagram)
    }

    /// When the next datagram arrives; `None` if the link is empty.
    pub fn deadline(&self) -> Option<Instant> {
        self.in_flight.peek().map(|in_flight| in_flight.arrival)
    }

    /// Counters so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// When a datagram of `len` bytes has passed the rate limit; `None` if the
    /// queue is full.
    fn queue(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.config.rate_bytes_per_second else {
            return Some(now);
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let backlog = sending_time(self.config.queue_bytes, rate);
        if start - now > backlog {
            return None;
        }
        let departure = start + sending_time(len, rate);
        self.busy_until = Some(departure);
        Some(departure)
    }

    /// Jitter adds delay but keeps the order, as queues do; only datagrams
    /// chosen for reordering are overtaken.
    fn arrival(&mut self, departure: Instant) -> Instant {
        let mut arrival = departure + self.config.delay;
        if !self.config.jitter.is_zero() {
            arrival += self.config.jitter.mul_f64(self.rng.f64());
        }
        if let Some(last) = self.last_arrival {
            arrival = arrival.max(last);
        }
        if self.happens(self.config.reorder) {
            self.stats.reordered += 1;
            return arrival + self.config.reorder_by;
        }
        self.last_arrival = Some(arrival);
        arrival
    }

    fn push(&mut self, arrival: Instant, datagram: D) {
        self.in_flight.push(InFlight {
            arrival,
            sequence: self.sequence,
            datagram,
        });
        self.sequence += 1;
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }
}

/// How long `bytes` take at `rate` bytes a second.
fn sending_time(bytes: usize, rate: u64) -> Duration {
    Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate)
}

/// The heap's maximum arrives first; ties are in sending order.
#[derive(Debug)]
struct InFlight<D> {
    arrival: Instant,
    sequence: u64,
    datagram: D,
}

impl<D> Ord for InFlight<D> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrival, other.sequence).cmp(&(self.arrival, self.sequence))
    }
}

impl<D> PartialOrd for InFlight<D> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<D> PartialEq for InFlight<D> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<D> Eq for InFlight<D> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` numbered datagrams, one every `step`, and returns what
    /// arrives when, as (number, time since the first was sent).
    fn run(config: LinkConfig, count: u32, step: Duration) -> Vec<(u32, Duration)> {
        let start = Instant::now();
        let mut link = Link::new(config, 11);
        let mut arrived = Vec::new();
        let mut take = |link: &mut Link<[u8; 4]>, now: Instant| {
            while let Some(datagram) = link.poll(now) {
                arrived.push((u32::from_be_bytes(datagram), now - start));
            }
        };
        for number in 0..count {
            let now = start + step * number;
            while let Some(deadline) = link.deadline().filter(|&deadline| deadline <= now) {
                take(&mut link, deadline);
            }
            link.send(now, number.to_be_bytes());
        }
        while let Some(deadline) = link.deadline() {
            take(&mut link, deadline);
        }
        arrived
    }

    fn numbers(arrived: &[(u32, Duration)]) -> Vec<u32> {
        arrived.iter().map(|&(number, _)| number).collect()
    }

    const STEP: Duration = Duration::from_millis(1);

    #[test]
    fn a_default_link_is_perfect() {
        let arrived = run(LinkConfig::default(), 100, STEP);
        let expected: Vec<_> = (0..100).map(|number| (number, STEP * number)).collect();
        assert_eq!(arrived, expected);
    }

    #[test]
    fn delay_is_added_to_each() {
        let delay = Duration::from_millis(30);
        let arrived = run(LinkConfig::default().delay(delay), 100, STEP);
        for (number, time) in arrived {
            assert_eq!(time, STEP * number + delay);
        }
    }

    #[test]
    fn jitter_stays_in_range_and_keeps_the_order() {
        let jitter = Duration::from_millis(50);
        let arrived = run(LinkConfig::default().jitter(jitter), 1_000, STEP);
        assert_eq!(numbers(&arrived), (0..1_000).collect::<Vec<_>>());
        for (number, time) in arrived {
            let sent = STEP * number;
            assert!(
                sent <= time && time <= sent + jitter,
                "{number} at {time:?}"
            );
        }
    }

    #[test]
    fn reordered_datagrams_are_overtaken_and_none_is_lost() {
        let config = LinkConfig::default().reorder(0.1, STEP * 3);
        let mut order = numbers(&run(config, 1_000, STEP));
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn duplicates_arrive_twice() {
        let arrived = run(LinkConfig::default().duplicate(1.0), 3, STEP);
        assert_eq!(numbers(&arrived), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn the_rate_spaces_a_burst() {
        // 4 bytes each at 4000 bytes a second: one a millisecond.
        let config = LinkConfig::default().rate(4_000);
        let arrived = run(config, 5, Duration::ZERO);
        let times: Vec<_> = arrived.iter().map(|&(_, time)| time).collect();
        assert_eq!(times, [1, 2, 3, 4, 5].map(Duration::from_millis));
    }

    #[test]
    fn a_full_queue_drops_the_tail() {
        // One is being sent, then the queue holds two.
        let config = LinkConfig::default().rate(4_000).queue_bytes(8);
        let arrived = run(config, 10, Duration::ZERO);
        assert_eq!(numbers(&arrived), [0, 1, 2]);
    }

    #[test]
    fn the_same_seed_gives_the_same_fate() {
        let config = LinkConfig::default()
            .loss(LossModel::bursts(0.1, 3.0))
            .duplicate(0.05)
            .reorder(0.05, STEP * 2)
            .jitter(STEP);
        assert_eq!(run(config.clone(), 1_000, STEP), run(config, 1_000, STEP));
    }

    #[test]
    fn the_counts_add_up() {
        let config = LinkConfig::default()
            .loss(LossModel::independent(0.2))
            .duplicate(0.1);
        let now = Instant::now();
        let mut link = Link::new(config, 3);
        for _ in 0..1_000 {
            link.send(now, [0_u8]);
        }
        while link.poll(now).is_some() {}
        let stats = link.stats();
        assert_eq!(stats.delivered, stats.sent - stats.lost + stats.duplicated);
        assert!(stats.lost > 0 && stats.duplicated > 0, "{stats:?}");
    }
}
