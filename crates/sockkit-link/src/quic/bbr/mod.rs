//! Congestion control by what arrives: how fast, and how soon (BBR).
//!
//! Pure: quinn passes the time in, and asks for the window. quinn paces by that window and its
//! own smoothed round trip, so a gain here is one of the window alone.
//!
//! # Source
//! draft-ietf-ccwg-bbr, "BBR Congestion Control". Of it are the model (the greatest rate of
//! delivery and the least round trip) and the phases; not its pacing, nor its response to loss:
//! this is for links that lose packets though they are not full. Loss counts only while packets
//! wait, and then as in loss-based control: a cut, and a slow return.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

mod delivery;
mod others;
mod round_trips;

use delivery::{Delivery, Sample, whole_bytes};
use others::Others;
use round_trips::{HEAVY_LOSS, RoundTrips, WAKE_NOISE};

/// Makes a controller for each path.
#[derive(Debug)]
pub(super) struct BbrConfig;

impl ControllerFactory for BbrConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Bbr::new(now, current_mtu))
    }
}

/// One path's congestion controller.
///
/// ```text
///  Startup ──the rate grows no more──> Drain ──the queue is empty──> Probe <──┐
///     doubles the window a round        one bandwidth-delay product    │      │
///       │                                         no short round trip │      │ 200 ms
///       │                                                 for 5 s     v      │
///       └──────────much is lost, and no round trip has grown──────> ProbeRtt ──┘
/// ```
#[derive(Clone, Debug)]
struct Bbr {
    mtu: u64,
    window: u64,
    phase: Phase,
    delivery: Delivery,
    round_trips: RoundTrips,
    /// Bytes lost and delivered lately.
    lost: f64,
    delivered: f64,
    round: Round,
    /// No gain is greater: less when a queue is full.
    most_gain: f64,
    /// Whether some packet of the last round waited for no other.
    queue_was_empty: bool,
    others: Others,
}

/// What happened in one round.
#[derive(Clone, Copy, Debug)]
struct Round {
    lost: f64,
    delivered: f64,
    min_rtt: Duration,
}

impl Round {
    const NEW: Self = Self {
        lost: 0.0,
        delivered: 0.0,
        min_rtt: Duration::MAX,
    };

    fn loss(&self) -> f64 {
        self.lost / (self.lost + self.delivered).max(1.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The rate of the last round that brought a quarter more, and the rounds since.
    Startup {
        rate: f64,
        rounds: u32,
    },
    Drain,
    /// The place in the cycle of gains, and when it was entered.
    Probe {
        place: usize,
        since: Instant,
    },
    /// Until when; not known before little is in flight.
    ProbeRtt {
        until: Option<Instant>,
    },
}

impl Bbr {
    fn new(now: Instant, mtu: u16) -> Self {
        Self {
            mtu: mtu.into(),
            window: INITIAL_WINDOW_BYTES,
            phase: Phase::Startup {
                rate: 0.0,
                rounds: 0,
            },
            delivery: Delivery::new(now),
            round_trips: RoundTrips::new(now),
            lost: 0.0,
            delivered: 0.0,
            round: Round::NEW,
            most_gain: GAINS[0],
            queue_was_empty: true,
            others: Others::default(),
        }
    }

    /// What fills the link and no queue, in bytes: that which gets lost is on its way as well,
    /// unless it is lost in a queue.
    fn link_bytes(&self) -> f64 {
        let product = self.delivery.rate() * self.round_trips.least().as_secs_f64();
        if !self.queue_was_empty {
            return product;
        }
        let most = match self.round_trips.are_doubtful() {
            true => MOST_DOUBTFUL_LOSS,
            false => MOST_LOSS,
        };
        product / (1.0 - self.loss().min(most))
    }

    fn loss(&self) -> f64 {
        self.lost / (self.lost + self.delivered).max(1.0)
    }

    fn note_round_trip(&mut self, now: Instant, rtt: Duration) {
        self.round.min_rtt = self.round.min_rtt.min(rtt);
        self.round_trips.note(now, rtt, self.loss());
    }

    /// Loss alone says nothing; loss while packets wait is a full queue's.
    fn end_round(&mut self, now: Instant) {
        let round = std::mem::replace(&mut self.round, Round::NEW);
        self.round_trips.end_round();
        let waited = round.min_rtt > self.round_trips.far_longer();
        let is_full = waited && round.loss() > FULL_LOSS;
        self.queue_was_empty = round.min_rtt <= self.round_trips.a_little_longer(WAKE_NOISE);
        let stands = round.min_rtt > self.round_trips.least().mul_f64(STANDING);
        self.others.end_round(now, stands, is_full, self.loss());
        self.most_gain = if is_full {
            (self.most_gain * FULL_GAIN).max(LEAST_FULL_GAIN)
        } else {
            (self.most_gain + ROOM_GAIN).min(GAINS[0])
        };
        self.lost *= LOSS_KEPT;
        self.delivered *= LOSS_KEPT;
    }

    fn advance(&mut self, now: Instant, in_flight: u64, sample: &Sample) {
        self.phase = match self.phase {
            Phase::Startup { rate, rounds } => self.start_up(rate, rounds, sample),
            Phase::Drain if in_flight <= self.window_for(1.0) => Phase::Probe {
                // Any place but that of the greatest gain, so that two do not probe together.
                place: 2 + usize::try_from(in_flight).unwrap_or_default() % (GAINS.len() - 2),
                since: now,
            },
            Phase::Probe { place, since } => self.probe(now, in_flight, place, since),
            Phase::ProbeRtt { until: None } if in_flight <= self.probe_rtt_window() => {
                let until = now + PROBE_RTT_FOR.max(self.round_trips.least());
                self.round_trips.begin_probe();
                Phase::ProbeRtt { until: Some(until) }
            }
            Phase::ProbeRtt { until: Some(until) } if now >= until => {
                self.round_trips.end_probe(now);
                Phase::Probe {
                    place: 2,
                    since: now,
                }
            }
            phase => phase,
        };
    }

    fn start_up(&self, rate: f64, rounds: u32, sample: &Sample) -> Phase {
        if !sample.is_round_start || sample.is_app_limited {
            return Phase::Startup { rate, rounds };
        }
        let now = self.delivery.rate();
        if now >= rate * STARTUP_GROWTH {
            return Phase::Startup {
                rate: now,
                rounds: 0,
            };
        }
        if rounds + 1 < STARTUP_ROUNDS {
            return Phase::Startup {
                rate,
                rounds: rounds + 1,
            };
        }
        if self.loss() > HEAVY_LOSS && self.round_trips.are_doubtful() {
            return Phase::ProbeRtt { until: None };
        }
        Phase::Drain
    }

    fn probe(&self, now: Instant, in_flight: u64, place: usize, since: Instant) -> Phase {
        let believed_for = match self.others.do_not_yield() {
            true => BELIEVED_BESIDE_OTHERS_FOR,
            false => self.round_trips.believed_for(self.loss()),
        };
        if now.saturating_duration_since(self.round_trips.short_at()) > believed_for {
            return Phase::ProbeRtt { until: None };
        }
        let is_over = match place {
            DRAIN => in_flight <= self.window_for(GAINS[DRAIN]),
            _ => now.saturating_duration_since(since) > self.round_trips.least(),
        };
        if is_over {
            return Phase::Probe {
                place: (place + 1) % GAINS.len(),
                since: now,
            };
        }
        Phase::Probe { place, since }
    }

    /// Nearly nothing, so that the queue of the others is seen as well: half a window hides
    /// behind theirs, and each then takes the queue for a part of the way.
    fn probe_rtt_window(&self) -> u64 {
        4 * self.mtu
    }

    fn window_for(&self, gain: f64) -> u64 {
        let spare = match self.phase {
            Phase::Probe { place: DRAIN, .. } => DRAIN_PACKETS * self.mtu,
            _ => self.spare_bytes(),
        };
        whole_bytes(self.link_bytes() * gain) + spare
    }

    /// Many senders' would fill a short queue, so it shrinks with the gain.
    fn spare_bytes(&self) -> u64 {
        let spare = self.delivery.aggregation().max(SPARE_PACKETS * self.mtu);
        if self.others.do_not_yield() {
            return spare;
        }
        let room = ((self.most_gain - 1.0) / (SPARE_GAIN - 1.0)).min(1.0);
        whole_bytes(spare as f64 * room).max(LEAST_SPARE_PACKETS * self.mtu)
    }

    /// A long round trip would spend its first ones on doubling. A link that is full meanwhile is
    /// seen to be, before three times as much is sent.
    fn growth(&self) -> u64 {
        let is_small = self.window < QUICK_WINDOW_BYTES;
        let starts = matches!(self.phase, Phase::Startup { .. });
        if starts && is_small { 2 } else { 1 }
    }

    fn set_window(&mut self, acked: u64) {
        // Twice as much in the next round would overflow. It may be a program that was late,
        // too, so the phase does not end.
        let is_full = self.round_trips.have_queued();
        let gain = match self.phase {
            Phase::Startup { .. } if is_full => FULL_STARTUP_GAIN,
            Phase::Startup { .. } => STARTUP_GAIN,
            Phase::Drain => 1.0,
            Phase::Probe { .. } if self.others.do_not_yield() => GAIN_BESIDE_OTHERS,
            Phase::Probe { place, .. } => GAINS[place].min(self.most_gain),
            Phase::ProbeRtt { .. } => {
                self.window = self.probe_rtt_window();
                return;
            }
        };
        let target = self.window_for(gain);
        // In the beginning the rate is that of a few packets.
        let grown = self.window + self.growth() * acked;
        self.window = match self.phase {
            Phase::Startup { .. } if !is_full => grown.min(target).max(self.window),
            _ => grown.min(target),
        }
        .max(4 * self.mtu);
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.delivery.handle_sent(now);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        self.delivery.handle_ack(now, sent, bytes);
        self.delivered += bytes as f64;
        self.round.delivered += bytes as f64;
        self.note_round_trip(now, now.saturating_duration_since(sent));
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        let Some(sample) =
            self.delivery
                .end_acks(now, in_flight, app_limited, self.round_trips.least())
        else {
            return;
        };
        if sample.is_round_start {
            self.end_round(now);
        }
        self.advance(now, in_flight, &sample);
        self.set_window(sample.acked);
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        _sent: Instant,
        _is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        if self.delivery.delivered() < HANDSHAKE_PACKETS * self.mtu {
            // Packets of the handshake. The peer acknowledges nothing else without them, so what
            // is in flight stays, and their repetition must fit beside it.
            self.window += lost_bytes + 4 * self.mtu;
        }
        self.lost += lost_bytes as f64;
        self.round.lost += lost_bytes as f64;
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_WINDOW_BYTES
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What goes out before anything is known of the link, at the pace of the round trip.
const INITIAL_WINDOW_BYTES: u64 = 200 * 1_200;

/// Up to here the window trebles each round in place of doubling.
const QUICK_WINDOW_BYTES: u64 = 4 * INITIAL_WINDOW_BYTES;

/// A window of so many bandwidth-delay products doubles the rate each round.
const STARTUP_GAIN: f64 = 2.885;

/// While packets wait.
const FULL_STARTUP_GAIN: f64 = 1.25;

/// More than this a round, and the link is not full.
const STARTUP_GROWTH: f64 = 1.25;
const STARTUP_ROUNDS: u32 = 3;

/// Once so many are delivered, the handshake is over.
const HANDSHAKE_PACKETS: u64 = 8;

/// Once around: ask for more, let the queue run empty, and keep the link full.
const GAINS: [f64; 8] = [1.5, 1.0, 1.15, 1.15, 1.15, 1.15, 1.15, 1.15];

/// The place where the queue runs empty.
const DRAIN: usize = 1;

/// What may be in flight beyond: the system takes packets in runs.
const SPARE_PACKETS: u64 = 16;
const LEAST_SPARE_PACKETS: u64 = 2;

/// All of it, if the gain may be as great as this.
const SPARE_GAIN: f64 = 1.2;

/// While the queue runs empty.
const DRAIN_PACKETS: u64 = 8;

/// More loss than this is a full queue's; less is enough where the queue may be full unseen.
const MOST_LOSS: f64 = 0.25;
const MOST_DOUBTFUL_LOSS: f64 = 0.1;

/// Of older losses, a round later.
const LOSS_KEPT: f64 = 0.8;

/// More than this while packets wait, and the queue is full.
const FULL_LOSS: f64 = 0.005;
const FULL_GAIN: f64 = 0.7;

/// What is left of the gain however often the queue is full: others do not yield.
const LEAST_FULL_GAIN: f64 = 1.05;

/// How much greater a gain may be than in a round before. Cubic takes some seconds as well.
const ROOM_GAIN: f64 = 0.01;

/// A round trip that is so many times as long as the least waits behind others.
const STANDING: f64 = 1.3;

/// In flight beside senders that do not yield, in bandwidth-delay products: as much as they have.
const GAIN_BESIDE_OTHERS: f64 = 2.0;

/// Their own search for the least round trip, every 10 s, shows it to others as well.
const BELIEVED_BESIDE_OTHERS_FOR: Duration = Duration::from_secs(10);

/// How long little is in flight, while the least round trip is looked for.
const PROBE_RTT_FOR: Duration = Duration::from_millis(200);
