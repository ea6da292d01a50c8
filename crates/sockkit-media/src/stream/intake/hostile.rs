//! Streams of datagrams that mean harm, in simulated time, and an honest
//! camera, which must be shown all the same.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use sockkit_codec::shard::{MessageKind, Older, Parity, SplitConfig, Splitter, StreamId};
use sockkit_link::channel::{Filter, Inbound, IncomingDatagram, RecvError};

use super::Intake;
use crate::{
    latest::Subscriber,
    picture::{Picture, PixelFormat, Timestamp},
    stream::{
        Event, ReceiverConfig, Report, Stats,
        control::ControlMessage,
        ingest::{Ingest, Moment},
        message::{CONTROL, PICTURE},
    },
};

#[test]
fn an_honest_stream_is_shown_after_hostile_ones() {
    check_hostile(0..5_000);
}

#[test]
#[ignore = "soak"]
fn an_honest_stream_is_shown_after_a_million_hostile_ones() {
    check_hostile(0..1_000_000);
}

/// No panic, and the honest camera is shown within a second of what each seed
/// makes of an attack.
fn check_hostile(seeds: std::ops::Range<u64>) {
    let mut datagrams = 0;
    for seed in seeds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sim = Sim::new(Filter::default());
        let mut camera = Camera::new(1, 7);
        // Long followed, or not there yet, when the attack begins; then silent
        // or not.
        let is_known = rng.bool();
        let is_silent = !is_known || rng.bool();
        if is_known {
            sim.at.now += Duration::from_secs(2);
            sim.send(&mut camera);
            sim.pass(Duration::from_secs(2));
            sim.send(&mut camera);
        }
        let most_millis = if is_known { 1_500 } else { 400 };
        let mut attack = Attack::new(&mut rng, most_millis);
        for _ in 0..attack.datagrams {
            sim.pass(attack.pause);
            attack.strike(&mut rng, &mut sim, &camera);
            datagrams += 1;
            if !is_silent && rng.u8(..4) == 0 {
                sim.send(&mut camera);
            }
        }
        assert!(sim.shows_within_a_second(&mut camera), "seed {seed}");
    }
    println!("{datagrams} hostile datagrams");
}

/// What one seed does.
struct Attack {
    datagrams: u32,
    pause: Duration,
    host: u8,
    ports: u16,
    streams: u64,
    /// Grows by one a datagram, where numbers are in sequence.
    next: u64,
}

impl Attack {
    fn new(rng: &mut fastrand::Rng, most_millis: u32) -> Self {
        let datagrams = rng.u32(1..40);
        Self {
            datagrams,
            pause: Duration::from_millis(rng.u32(0..=most_millis).into()) / datagrams,
            host: rng.u8(1..4),
            ports: rng.choice([1, 2, 130]).unwrap(),
            streams: rng.choice([1, 3, u64::MAX]).unwrap(),
            next: rng.u64(..),
        }
    }

    fn strike(&mut self, rng: &mut fastrand::Rng, sim: &mut Sim, victim: &Camera) {
        let mut from = address(self.host);
        from.set_port(5_006 + rng.u16(..self.ports));
        let stream = match rng.u8(..3) {
            0 => 100 + rng.u64(..self.streams),
            _ => victim.stream,
        };
        let number = self.number(rng, victim.number);
        match rng.u8(..8) {
            0 => {
                let noise: Vec<u8> = (0..rng.usize(..100)).map(|_| rng.u8(..)).collect();
                sim.take(from, &noise);
            }
            1 => sim.say(from, control(rng)),
            // One shard of some message, or an honest one bent.
            2 | 3 => {
                let mut datagram = victim.clone().picture(sim.at.wall).swap_remove(0);
                let place = rng.usize(..datagram.len());
                datagram[place] = rng.choice([0, 1, 0x7f, 0xff]).unwrap();
                set_number(&mut datagram, number);
                sim.take(from, &datagram);
            }
            _ => {
                let captured = captured(rng, sim.at.wall);
                let picture = forged(number, captured);
                for mut datagram in split(StreamId(stream), PICTURE, &picture) {
                    set_number(&mut datagram, number);
                    sim.take(from, &datagram);
                }
            }
        }
    }

    fn number(&mut self, rng: &mut fastrand::Rng, honest: u64) -> u64 {
        self.next = self.next.wrapping_add(1);
        let near = rng.u64(..200);
        match rng.u8(..8) {
            0 => u64::MAX - rng.u64(..3),
            1 => rng.u64(..3),
            2 => rng.u64(..),
            3 => honest.wrapping_add(near).wrapping_sub(100),
            4 => honest.wrapping_add(rng.u64(..1_100)),
            5 => honest.wrapping_add(self.next % 40),
            _ => self.next,
        }
    }
}

fn captured(rng: &mut fastrand::Rng, wall: Timestamp) -> u64 {
    let now = wall.as_micros();
    let any = rng.u64(..);
    let near = now
        .wrapping_add(rng.u64(..4_000_000))
        .wrapping_sub(2_000_000);
    rng.choice([now, now, near, 0, 1 << 62, u64::MAX, any])
        .unwrap()
}

fn control(rng: &mut fastrand::Rng) -> ControlMessage {
    let nonce = rng.u64(..);
    match rng.u8(..3) {
        0 => ControlMessage::ClockRequest { nonce },
        1 => ControlMessage::ClockReply {
            nonce,
            received: Timestamp::from_micros(rng.u64(..)),
            sent: Timestamp::from_micros(rng.u64(..)),
        },
        _ => ControlMessage::Report(Report {
            received: u64::MAX,
            lost: rng.u64(..),
            ..Report::default()
        }),
    }
}

/// A receiver in simulated time.
pub(super) struct Sim {
    pub(super) intake: Intake,
    inbound: Inbound,
    /// Where datagrams are sent to.
    pub(super) to: Option<IpAddr>,
    at: Moment,
    pictures: Subscriber<Picture>,
}

impl Sim {
    pub(super) fn new(filter: Filter) -> Self {
        let (ingest, pictures, _stats) = Ingest::new();
        Self {
            intake: Intake::new(ingest),
            inbound: Inbound::new(filter, &ReceiverConfig::limits(), Older::GiveUp),
            to: None,
            at: Moment {
                now: Instant::now(),
                wall: Timestamp::from_micros(1 << 50),
            },
            pictures,
        }
    }

    pub(super) fn at(&self) -> Moment {
        self.at
    }

    pub(super) fn stats(&self) -> Stats {
        self.intake
            .ingest
            .stats()
            .meter()
            .clone()
            .snapshot(self.at.now)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.at.now += time;
        self.at.wall = self.at.wall + time;
    }

    pub(super) fn send(&mut self, camera: &mut Camera) {
        for datagram in camera.picture(self.at.wall) {
            self.take(camera.address, &datagram);
        }
    }

    /// A whole picture in the camera's name.
    pub(super) fn forge(&mut self, camera: &Camera, number: u64) {
        let picture = forged(number, self.at.wall.as_micros());
        for mut datagram in split(StreamId(camera.stream), PICTURE, &picture) {
            set_number(&mut datagram, number);
            self.take(camera.address, &datagram);
        }
    }

    pub(super) fn say(&mut self, from: SocketAddr, control: ControlMessage) {
        for datagram in split(StreamId(99), CONTROL, &control.emit()) {
            self.take(from, &datagram);
        }
    }

    fn take(&mut self, from: SocketAddr, bytes: &[u8]) {
        let incoming = IncomingDatagram {
            bytes,
            from,
            to: self.to,
        };
        // As the receiver's task does.
        match self.inbound.handle_datagram(self.at.now, &incoming) {
            Ok(Some(message)) => {
                if let Ok(Some(sender)) = self.intake.handle_message(self.at, message) {
                    self.inbound.prefer(sender);
                }
            }
            Ok(None) => {}
            Err(RecvError::Filtered { .. }) => self.intake.count(Event::Filtered),
            Err(_) => self.intake.count(Event::Refused),
        }
    }

    fn shows_within_a_second(&mut self, camera: &mut Camera) -> bool {
        (0..25).any(|_| {
            self.send(camera);
            self.pass(Duration::from_millis(40));
            let newest = self.pictures.latest();
            newest.is_some_and(|picture| {
                (picture.data()[0], picture.number()) == (HONEST, camera.number - 1)
            })
        })
    }
}

/// An honest sender.
#[derive(Clone)]
pub(super) struct Camera {
    address: SocketAddr,
    stream: u64,
    /// Of the next picture, and its message.
    pub(super) number: u64,
}

impl Camera {
    pub(super) fn new(host: u8, stream: u64) -> Self {
        Self {
            address: address(host),
            stream,
            number: 1_000,
        }
    }

    fn picture(&mut self, captured: Timestamp) -> Vec<Vec<u8>> {
        let picture = Picture::new(PixelFormat::Gray, 64, 48, vec![HONEST; 64 * 48]);
        let picture = picture.unwrap().captured_at(captured).numbered(self.number);
        let mut datagrams = split(
            StreamId(self.stream),
            PICTURE,
            &picture.to_message().unwrap(),
        );
        for datagram in &mut datagrams {
            set_number(datagram, self.number);
        }
        self.number += 1;
        datagrams
    }
}

pub(super) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 5_006))
}

fn forged(number: u64, captured: u64) -> Vec<u8> {
    let picture = Picture::new(PixelFormat::Gray, 2, 1, vec![FORGED; 2]).unwrap();
    let captured = Timestamp::from_micros(captured);
    let picture = picture.captured_at(captured).numbered(number);
    picture.to_message().unwrap().to_vec()
}

fn split(stream: StreamId, kind: MessageKind, message: &[u8]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new(SplitConfig::default(), stream);
    let shards = splitter.split(kind, message, Parity::NONE).unwrap();
    shards.datagrams().map(<[u8]>::to_vec).collect()
}

/// The number of the message is under no checksum.
fn set_number(datagram: &mut [u8], number: u64) {
    datagram[12..20].copy_from_slice(&number.to_be_bytes());
}

/// Datagrams of an honest picture.
pub(super) const SHARDS: u64 = 3;

const HONEST: u8 = 7;
const FORGED: u8 = 66;
