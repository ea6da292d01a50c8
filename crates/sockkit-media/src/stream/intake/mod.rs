//! From messages to pictures: selects a sender, and computes ages.
//!
//! Pure: the caller passes messages and both clocks in, and sends what
//! [`poll_request`](Intake::poll_request) and [`report`](Intake::report)
//! return.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::{ShardCounts, StreamId};
use sockkit_link::channel::Message;

use super::{
    Report,
    clock::{Clock, Offset},
    control::ControlMessage,
    ingest::{Ingest, Moment},
    message::Received,
    selector::{Arrived, Decision, SenderIs, SourceSelector},
    stats::Event,
};
use crate::picture::{MessageError, Picture};

#[cfg(test)]
mod hostile;

/// A receiver's knowledge of its senders.
#[derive(Debug)]
pub(super) struct Intake {
    selector: SourceSelector,
    ingest: Ingest,
    peer: Option<Peer>,
    /// Whether the peer is connected: the only one, and in order.
    is_connected: bool,
    /// Whether an earlier connection delivered pictures.
    had_pictures: bool,
}

/// The selected sender, and its clock.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    /// On the same machine, so that both use the same clock.
    is_here: bool,
    clock: Clock,
}

/// The metadata of a message.
#[derive(Clone, Copy)]
struct Way {
    from: SocketAddr,
    is_here: bool,
    stream: StreamId,
    number: Option<u64>,
}

impl Way {
    fn of(message: &Message) -> Self {
        let ip = message.from.ip();
        Self {
            from: message.from,
            // Sent to its own source address: both are local.
            is_here: ip.is_loopback() || message.to == Some(ip),
            stream: message.place.map_or(StreamId(0), |(stream, _)| stream),
            number: message.place.map(|(_, number)| number),
        }
    }
}

impl Intake {
    pub(super) fn new(ingest: Ingest) -> Self {
        Self {
            selector: SourceSelector::default(),
            ingest,
            peer: None,
            is_connected: false,
            had_pictures: false,
        }
    }

    /// Messages from now on come from this peer, whose clock may be requested; in order
    /// and without loss if it `is_connected`, else as datagrams.
    pub(super) fn on_peer(&mut self, now: Instant, peer: SocketAddr, is_connected: bool) {
        self.had_pictures |= self.has_pictures();
        self.selector = SourceSelector::default();
        self.is_connected = is_connected;
        self.peer = Some(Peer {
            address: peer,
            is_here: false,
            clock: Clock::new(now),
        });
    }

    /// Whether the last connection, or any sender of datagrams, delivered
    /// pictures.
    pub(super) fn has_pictures(&self) -> bool {
        self.selector.sender().is_some()
    }

    /// Processes one message. Returns the selected sender if it has changed.
    ///
    /// # Errors
    /// If it is not a message of this protocol; the error has been counted.
    pub(super) fn handle_message(
        &mut self,
        at: Moment,
        message: Message,
    ) -> Result<Option<SocketAddr>, MessageError> {
        let way = Way::of(&message);
        match Received::read(message) {
            Ok(Received::Picture(picture)) => Ok(self.take_picture(at, way, picture)),
            Ok(Received::Control(control)) => {
                self.take_reply(at, way.from, control);
                Ok(None)
            }
            Ok(Received::Unknown) => Ok(None),
            Err(error) => {
                tracing::debug!(from = %way.from, %error, "invalid message");
                self.count(Event::Refused);
                Err(error)
            }
        }
    }

    /// Counts an event of the channel.
    pub(super) fn count(&self, event: Event) {
        self.ingest.count(event);
    }

    /// The latest time at which [`request_is_due`](Self::request_is_due).
    pub(super) fn next_request(&self) -> Option<Instant> {
        let peer = self.peer.as_ref()?;
        if self.is_connected {
            return Some(peer.clock.deadline() + ASK_ANYWAY_AFTER);
        }
        (!peer.is_here).then(|| peer.clock.deadline())
    }

    /// Whether to request the sender's clock; on a connection while the line is
    /// `quiet`, or when that has taken too long.
    pub(super) fn request_is_due(&self, now: Instant, quiet: bool) -> bool {
        let is_due = |peer: &Peer| quiet && self.is_connected && now >= peer.clock.deadline();
        self.next_request().is_some_and(|at| now >= at) || self.peer.as_ref().is_some_and(is_due)
    }

    /// Returns the clock request if it is due; `nonce` must be hard to guess.
    pub(super) fn poll_request(
        &mut self,
        at: Moment,
        nonce: u64,
    ) -> Option<(SocketAddr, ControlMessage)> {
        let peer = self.peer.as_mut()?;
        let request = peer.clock.poll(at.now, at.wall, nonce)?;
        Some((peer.address, request))
    }

    /// The report for the sender, on its pictures and their shards.
    pub(super) fn report(
        &self,
        now: Instant,
        shards: ShardCounts,
    ) -> Option<(SocketAddr, ControlMessage)> {
        let to = match &self.peer {
            Some(peer) if self.is_connected => peer.address,
            _ => self.selector.sender()?,
        };
        let stats = self.ingest.stats().meter().clone().snapshot(now);
        Some((to, ControlMessage::Report(Report::of(&stats, shards))))
    }

    fn take_picture(&mut self, at: Moment, way: Way, picture: Picture) -> Option<SocketAddr> {
        let arrived = Arrived {
            from: way.from,
            stream: way.stream,
            number: way.number,
            transit_micros: at.wall.micros_since(picture.captured()),
        };
        match self.selector.admit(at.now, &arrived) {
            Decision::Next { lost, sender } => {
                let is_other = sender != SenderIs::Same;
                if is_other {
                    self.meet(at.now, way, sender);
                }
                let clock = self.clock_offset(at.now);
                self.ingest.on_picture(at, picture, lost, clock);
                return is_other.then_some(way.from);
            }
            Decision::Waited { lost } => self.ingest.on_waited(picture.number(), lost),
            Decision::Late => self.count(Event::Late),
            Decision::Doubtful => self.count(Event::Stale),
            Decision::Foreign => {}
        }
        None
    }

    fn meet(&mut self, now: Instant, way: Way, sender: SenderIs) {
        tracing::info!(from = %way.from, ?sender, "receiving pictures");
        if sender == SenderIs::New || self.had_pictures {
            self.count(Event::Restart);
        }
        self.ingest.on_new_sender(way.from);
        match &mut self.peer {
            // Its clock has already been requested.
            Some(peer) if self.is_connected => peer.is_here = way.is_here,
            peer => {
                *peer = Some(Peer {
                    address: way.from,
                    is_here: way.is_here,
                    clock: Clock::new(now),
                });
            }
        }
    }

    fn take_reply(&mut self, at: Moment, from: SocketAddr, control: ControlMessage) {
        if let Some(peer) = &mut self.peer
            && peer.address == from
            && let ControlMessage::ClockReply {
                nonce,
                received,
                sent,
            } = control
        {
            peer.clock
                .handle_reply(at.now, at.wall, nonce, (received, sent));
        }
    }

    fn clock_offset(&self, now: Instant) -> Option<Offset> {
        let peer = self.peer.as_ref()?;
        if peer.is_here {
            return Some(Offset::default());
        }
        peer.clock.offset(now)
    }
}

/// A longer pause between pictures must not delay the clock, and without
/// pictures the reply shows that the sender is alive.
const ASK_ANYWAY_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use sockkit_link::channel::Filter;

    use super::{
        hostile::{Camera, SHARDS, Sim, address},
        *,
    };
    use crate::stream::message::CONTROL;

    fn in_group() -> Sim {
        Sim::new(Filter {
            group: Some(GROUP),
            unicast: Some(CONTROL),
            host: None,
        })
    }

    const GROUP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(239, 77, 0, 1));

    #[test]
    fn a_receiver_of_a_group_takes_what_was_sent_to_that_group() {
        let mut sim = in_group();
        let mut camera = Camera::new(1, 7);
        let other = "239.77.0.2".parse().unwrap();
        let unicast = "10.0.0.9".parse().unwrap();
        for (to, shown) in [
            (Some(other), 0),
            (Some(unicast), 0),
            (Some(GROUP), 1),
            // A system that does not tell.
            (None, 2),
        ] {
            sim.to = to;
            sim.send(&mut camera);
            assert_eq!(sim.stats().received, shown, "{to:?}");
        }
        assert_eq!(sim.stats().filtered, 2 * SHARDS);
    }

    #[test]
    fn a_clock_reply_reaches_a_receiver_of_a_group_by_unicast() {
        let mut sim = in_group();
        let mut camera = Camera::new(1, 7);
        sim.to = Some(GROUP);
        sim.send(&mut camera);
        let at = sim.at();
        let (to, request) = sim.intake.poll_request(at, 5).unwrap();
        assert_eq!(
            (to, request),
            (address(1), ControlMessage::ClockRequest { nonce: 5 })
        );
        sim.to = Some("10.0.0.9".parse().unwrap());
        let reply = ControlMessage::ClockReply {
            nonce: 5,
            received: at.wall,
            sent: at.wall,
        };
        sim.say(address(2), reply);
        assert_eq!(sim.intake.clock_offset(at.now), None);
        sim.say(address(1), reply);
        assert_eq!(sim.intake.clock_offset(at.now), Some(Offset::default()));
    }

    #[test]
    fn from_one_host_alone_when_that_was_asked_for() {
        let mut sim = Sim::new(Filter {
            group: None,
            unicast: None,
            host: Some("::ffff:10.0.0.1".parse().unwrap()),
        });
        let (mut stranger, mut camera) = (Camera::new(2, 8), Camera::new(1, 7));
        sim.send(&mut stranger);
        sim.send(&mut camera);
        assert_eq!(sim.stats().sender, Some(address(1)));
        let stats = sim.stats();
        assert_eq!((stats.received, stats.filtered), (1, SHARDS));
    }

    #[test]
    fn the_sender_is_told_and_each_change_of_it() {
        let mut sim = Sim::new(Filter::default());
        assert_eq!(sim.stats().sender, None);
        sim.send(&mut Camera::new(1, 7));
        assert_eq!(sim.stats().sender, Some(address(1)));
        sim.pass(Duration::from_millis(500));
        sim.send(&mut Camera::new(2, 8));
        assert_eq!(sim.stats().sender, Some(address(2)));
        assert_eq!(sim.stats().restarts, 1);
    }

    #[test]
    fn figures_stay_sane_under_forged_numbers() {
        let mut sim = Sim::new(Filter::default());
        let mut camera = Camera::new(1, 7);
        for _ in 0..50 {
            sim.send(&mut camera);
            sim.forge(&camera, u64::MAX);
            sim.forge(&camera, camera.number + 900);
        }
        let stats = sim.stats();
        assert!(stats.lost <= 50 * 1_000, "{stats:?}");
        assert!(stats.skipped <= 50 * 1_000, "{stats:?}");
    }
}
