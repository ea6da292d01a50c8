//! How fast bytes are delivered.
//!
//! Pure.
//!
//! # Source
//! draft-cheng-iccrg-delivery-rate-estimation: a packet's sample is what was delivered between
//! its sending and its acknowledgement, over the longer of the times that sending and
//! acknowledging those bytes took.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Measures the rate of delivery, and keeps the greatest of the last rounds.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Bytes delivered so far, and when the last were.
    delivered: u64,
    delivered_at: Instant,
    /// When the packet was sent that was delivered last.
    sent_at: Instant,
    flight: VecDeque<Sent>,
    /// The newest of those that the acknowledgements at hand are of.
    newest: Option<Sent>,
    acked: u64,
    round: u64,
    /// A round is over when something is delivered that was sent after so much was.
    round_ends: u64,
    rates: Greatest<f64>,
    /// Bytes that came beyond the rate, in one go.
    excess: Greatest<u64>,
    /// Since when they are counted, and how many came.
    epoch: (Instant, u64),
}

/// What was sent at one moment.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    sent_at: Instant,
}

/// What one batch of acknowledgements tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) acked: u64,
    pub(super) is_round_start: bool,
    pub(super) is_app_limited: bool,
}

impl Delivery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            delivered_at: now,
            sent_at: now,
            flight: VecDeque::new(),
            newest: None,
            acked: 0,
            round: 0,
            round_ends: 0,
            rates: Greatest::default(),
            excess: Greatest::default(),
            epoch: (now, 0),
        }
    }

    pub(super) fn handle_sent(&mut self, now: Instant) {
        if self.flight.is_empty() {
            // After a silence nothing is under way: time counts from here.
            (self.delivered_at, self.sent_at) = (now, now);
        }
        if self.flight.back().is_some_and(|last| last.at == now) {
            return;
        }
        if self.flight.len() == MAX_FLIGHT {
            self.flight.pop_front();
        }
        self.flight.push_back(Sent {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            sent_at: self.sent_at,
        });
    }

    pub(super) fn handle_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivered += bytes;
        self.acked += bytes;
        self.delivered_at = now;
        let place = self.flight.partition_point(|other| other.at < sent);
        let found = self.flight.get(place).filter(|found| found.at == sent);
        if let Some(&found) = found
            && self.newest.is_none_or(|newest| newest.at < found.at)
        {
            self.newest = Some(found);
        }
    }

    /// `None` if nothing was acknowledged.
    pub(super) fn end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        is_app_limited: bool,
        min_rtt: Duration,
    ) -> Option<Sample> {
        let acked = std::mem::take(&mut self.acked);
        let newest = self.newest.take()?;
        self.sent_at = newest.at;
        let is_round_start = newest.delivered >= self.round_ends;
        if is_round_start {
            self.round += 1;
            self.round_ends = self.delivered;
        }
        let acking = now.saturating_duration_since(newest.delivered_at);
        let sending = newest.at.saturating_duration_since(newest.sent_at);
        let took = acking.max(sending);
        // What took less than a round trip was acknowledged in a run.
        if took >= min_rtt && !took.is_zero() {
            let rate = (self.delivered - newest.delivered) as f64 / took.as_secs_f64();
            if !is_app_limited || rate > self.rate() {
                self.rates.note(self.round, rate);
            }
        }
        self.note_excess(now, acked);
        // What was sent long before the newest is lost, or as good as that.
        let old = newest.at.checked_sub(REORDERED_WITHIN);
        while self.flight.front().is_some_and(|sent| Some(sent.at) < old) {
            self.flight.pop_front();
        }
        if in_flight == 0 {
            self.flight.clear();
        }
        Some(Sample {
            acked,
            is_round_start,
            is_app_limited,
        })
    }

    /// Bytes since the connection began.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes a second, the greatest of the last rounds.
    pub(super) fn rate(&self) -> f64 {
        self.rates.get().unwrap_or_default()
    }

    /// How many bytes may come in one go.
    pub(super) fn aggregation(&self) -> u64 {
        self.excess.get().unwrap_or_default()
    }

    fn note_excess(&mut self, now: Instant, acked: u64) {
        let (since, bytes) = self.epoch;
        let expected = self.rate() * now.saturating_duration_since(since).as_secs_f64();
        if bytes as f64 <= expected {
            self.epoch = (now, acked);
            return;
        }
        let bytes = bytes + acked;
        self.epoch = (since, bytes);
        let excess = whole_bytes(bytes as f64 - expected);
        self.excess.note(self.round, excess.min(MOST_EXCESS_BYTES));
    }
}

/// The greatest value of the last [`ROUNDS`] rounds.
#[derive(Clone, Debug)]
pub(super) struct Greatest<T>(VecDeque<(u64, T)>);

impl<T> Default for Greatest<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Copy + PartialOrd> Greatest<T> {
    pub(super) fn note(&mut self, round: u64, value: T) {
        let covers = |(noted, other): &(u64, T)| *noted == round && *other >= value;
        if self.0.back().is_some_and(covers) {
            return;
        }
        while self.0.back().is_some_and(|(_, other)| *other <= value) {
            self.0.pop_back();
        }
        self.0.push_back((round, value));
        while self
            .0
            .front()
            .is_some_and(|(noted, _)| noted + ROUNDS < round)
        {
            self.0.pop_front();
        }
    }

    pub(super) fn get(&self) -> Option<T> {
        self.0.front().map(|(_, value)| *value)
    }
}

/// Below zero is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "brought into range first"
)]
pub(super) fn whole_bytes(bytes: f64) -> u64 {
    bytes.clamp(0.0, f64::from(u32::MAX)) as u64
}

/// As long as the cycle of gains, and a little more.
const ROUNDS: u64 = 10;

/// Moments of sending: 16,000 are some seconds, and 900 KB.
const MAX_FLIGHT: usize = 16_384;

/// Acknowledged later, a packet gives no sample.
const REORDERED_WITHIN: Duration = Duration::from_secs(1);

/// A megabyte in one go is no aggregation any more.
const MOST_EXCESS_BYTES: u64 = 1 << 20;
