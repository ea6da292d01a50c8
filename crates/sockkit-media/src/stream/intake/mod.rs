//! From datagrams to pictures: what is taken, from whom, and what it means.
//!
//! Pure: the caller passes datagrams and both clocks in, sends what
//! [`poll_request`](Intake::poll_request) and [`report`](Intake::report) return,
//! and calls [`expire`](Intake::expire) now and then.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use sockkit_codec::shard::{Kind, Message, Older, Reassembler, ReassemblyConfig};

use super::{
    Report,
    clock::{Clock, Offset},
    control::Control,
    follow::{Admission, Arrived, Follower, SenderIs},
    inlet::{Inlet, Moment},
    sender::{CONTROL, MAX_PICTURE_BYTES, PICTURE},
    stats::Event,
};
use crate::picture::Picture;

#[cfg(test)]
mod hostile;

/// What a receiver of datagrams knows.
#[derive(Debug)]
pub(super) struct Intake {
    filter: Filter,
    reassembler: Reassembler,
    follower: Follower,
    inlet: Inlet,
    peer: Option<Peer>,
}

/// A datagram, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) from: SocketAddr,
    /// The address it was sent to, if the system tells.
    pub(super) to: Option<IpAddr>,
}

/// Which datagrams are taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter {
    /// Pictures only if they were sent to this group.
    pub(super) group: Option<IpAddr>,
    /// What this host sends, and nothing else.
    pub(super) host: Option<IpAddr>,
}

/// The sender that is shown, and its clock.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    /// On this very machine, so that there is one clock.
    is_here: bool,
    clock: Clock,
}

impl Intake {
    pub(super) fn new(filter: Filter, inlet: Inlet) -> Self {
        let reassembly = ReassemblyConfig::default()
            .max_message_bytes(MAX_PICTURE_BYTES)
            .max_buffered_bytes(MAX_BUFFERED_BYTES)
            .older(Older::GiveUp);
        Self {
            filter,
            reassembler: Reassembler::new(reassembly),
            follower: Follower::default(),
            inlet,
            peer: None,
        }
    }

    /// Takes one datagram in.
    pub(super) fn handle_datagram(&mut self, at: Moment, datagram: &Incoming<'_>) {
        let peer = self.peer.as_ref().map(|peer| peer.address);
        if !self.filter.lets_in(datagram, peer) {
            self.inlet.count(Event::Filtered);
            return;
        }
        let taken = self
            .reassembler
            .handle_datagram(at.now, datagram.from, datagram.bytes);
        match taken {
            Ok(Some(message)) => self.take_message(at, datagram, message),
            Ok(None) => {}
            Err(error) => {
                self.inlet.count(Event::Refused);
                tracing::debug!(from = %datagram.from, %error, "no shard");
            }
        }
    }

    /// Gives up the messages whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.reassembler.expire(now);
    }

    /// When [`poll_request`](Self::poll_request) has something to send.
    pub(super) fn next_request(&self) -> Option<Instant> {
        let peer = self.peer.as_ref().filter(|peer| !peer.is_here)?;
        Some(peer.clock.deadline())
    }

    /// The question for the sender's clock, if it is due; `nonce` must be hard
    /// to guess.
    pub(super) fn poll_request(&mut self, at: Moment, nonce: u64) -> Option<(SocketAddr, Control)> {
        let peer = self.peer.as_mut()?;
        let request = peer.clock.poll(at.now, at.wall, nonce)?;
        Some((peer.address, request))
    }

    /// What the sender is told of its pictures.
    pub(super) fn report(&self, now: Instant) -> Option<(SocketAddr, Control)> {
        let to = self.follower.sender()?;
        let stats = self.inlet.stats().meter().clone().snapshot(now);
        Some((to, Control::Report(Report::of(&stats))))
    }

    fn take_message(&mut self, at: Moment, last: &Incoming<'_>, message: Message) {
        match message.kind {
            PICTURE => self.take_picture(at, last, message),
            CONTROL => self.take_reply(at, &message),
            _ => self.inlet.count(Event::Refused),
        }
    }

    fn take_picture(&mut self, at: Moment, last: &Incoming<'_>, message: Message) {
        let (from, stream, number) = (message.from, message.stream, message.number);
        let frame = match Picture::from_message(message.bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.inlet.count(Event::Refused);
                tracing::debug!(%from, %error, "no picture");
                return;
            }
        };
        let arrived = Arrived {
            from,
            stream,
            number,
            transit_micros: at.wall.micros_since(frame.captured()),
        };
        match self.follower.admit(at.now, &arrived) {
            Admission::Next { lost, sender } => {
                if sender != SenderIs::Same {
                    self.meet(at.now, last, sender);
                }
                let clock = self.clock_offset(at.now);
                self.inlet.on_picture(at, frame, lost, clock);
            }
            Admission::Waited { lost } => self.inlet.on_waited(frame.number(), lost),
            Admission::Late => self.inlet.count(Event::Late),
            Admission::Doubtful => self.inlet.count(Event::Stale),
            Admission::Foreign => {}
        }
    }

    fn meet(&mut self, now: Instant, last: &Incoming<'_>, sender: SenderIs) {
        tracing::info!(from = %last.from, ?sender, "pictures come");
        if sender == SenderIs::New {
            self.inlet.count(Event::Restart);
        }
        self.inlet.on_new_sender(last.from);
        self.reassembler.prefer(Some(last.from));
        let ip = last.from.ip();
        self.peer = Some(Peer {
            address: last.from,
            // Sent to the address it came from: both are this machine's.
            is_here: ip.is_loopback() || last.to == Some(ip),
            clock: Clock::new(now),
        });
    }

    fn take_reply(&mut self, at: Moment, message: &Message) {
        if let Some(peer) = &mut self.peer
            && peer.address == message.from
            && let Some(Control::ClockReply {
                nonce,
                received,
                sent,
            }) = Control::parse(&message.bytes)
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

impl Filter {
    /// Whether a datagram is meant for this receiver; `peer` is followed.
    fn lets_in(&self, datagram: &Incoming<'_>, peer: Option<SocketAddr>) -> bool {
        let by_host = self
            .host
            .is_none_or(|host| host.to_canonical() == datagram.from.ip().to_canonical());
        let Some(group) = self.group else {
            return by_host;
        };
        // The sender's clock replies are for this receiver alone.
        let is_reply =
            peer == Some(datagram.from) && Kind::of_datagram(datagram.bytes) == Some(CONTROL);
        by_host && (is_reply || datagram.to.is_none_or(|to| to == group))
    }
}

/// Two of the longest pictures.
const MAX_BUFFERED_BYTES: usize = 2 * MAX_PICTURE_BYTES;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        hostile::{Camera, SHARDS, Sim, address},
        *,
    };

    fn in_group() -> Sim {
        Sim::new(Filter {
            group: Some(GROUP),
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
            (address(1), Control::ClockRequest { nonce: 5 })
        );
        sim.to = Some("10.0.0.9".parse().unwrap());
        let reply = Control::ClockReply {
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
