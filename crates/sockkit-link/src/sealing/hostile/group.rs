//! A group under attack: by hosts without its key, and by another member, which can seal
//! as the sender does.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fastrand::Rng;
use sockkit_codec::shard::{
    MessageKind, Older, Parity, SplitConfig, Splitter, StreamId, seal::Position,
};

use super::{SENDER, STRANGER, address, inbound, is, split, take};
use crate::{
    channel::{Filter, Inbound, Limits, Message, OpenError},
    sealing::{
        Direction, Key, Opener, Sealer, ToldStream,
        sign::{SignedPlace, Signer, Verifier},
    },
};

#[test]
fn no_forged_message_is_taken_and_the_honest_stream_loses_nothing() {
    attack(100_000, &[STRANGER, MEMBER]);
}

#[test]
#[ignore = "soak"]
fn no_message_of_ten_million_forged_datagrams_is_taken() {
    attack(10_000_000, &[STRANGER, MEMBER]);
}

/// What a member seals under the sender's own address may hinder the sender's messages. It is
/// not taken for one.
#[test]
fn under_the_senders_address_nothing_forged_is_taken_either() {
    attack(100_000, &[STRANGER, MEMBER, SENDER]);
}

fn attack(datagrams: u64, from: &[SocketAddr]) {
    let mut scene = Scene::new(from);
    while scene.forged < datagrams {
        let taken = scene.send();
        assert!(taken || from.contains(&SENDER), "an honest message is lost");
        if scene.rng.u8(..) < 4 {
            scene.tell_epoch();
        }
    }
    assert!(scene.taken > 100);
}

/// A sender, a member that is attacked, and another one that has all keys.
struct Scene {
    rng: Rng,
    now: Instant,
    from: Vec<SocketAddr>,
    signer: Signer,
    sealer: Sealer,
    inbound: Inbound,
    /// The member's own, and what it seals in place of the message that is sent.
    own: Signer,
    shadow: Sealer,
    shadowed: Vec<Vec<u8>>,
    /// Datagrams and signed messages of earlier messages.
    recorded: Vec<Vec<u8>>,
    signed: Vec<Vec<u8>>,
    /// The epoch that was told and has not begun.
    next: Option<u64>,
    forged: u64,
    taken: u64,
}

impl Scene {
    fn new(from: &[SocketAddr]) -> Self {
        let mut rng = Rng::with_seed(7);
        let sealer = sealer(StreamId(rng.u64(..)), 0);
        let stream = sealer.stream();
        let (inbound, signer) = joined(stream);
        Self {
            rng,
            now: Instant::now(),
            from: from.to_vec(),
            own: Signer::new(stream).unwrap(),
            shadow: self::sealer(stream, 0),
            shadowed: Vec::new(),
            signer,
            sealer,
            inbound,
            recorded: Vec::new(),
            signed: Vec::new(),
            next: None,
            forged: 0,
            taken: 0,
        }
    }

    /// The next epoch is told, and begins some messages later.
    fn tell_epoch(&mut self) {
        match self.next.take() {
            Some(epoch) => self.sealer.begin_epoch(epoch, key(epoch)),
            None => {
                let epoch = self.sealer.position().epoch() + 1;
                let (stream, removed) = (self.sealer.stream(), self.rng.bool());
                self.inbound.tell(stream, epoch, key(epoch), removed);
                self.next = Some(epoch);
            }
        }
    }

    /// One message, each datagram among forged ones. Returns whether it is taken.
    fn send(&mut self) -> bool {
        self.now += Duration::from_millis(1);
        let text: Vec<u8> = (0..self.rng.usize(1..200))
            .map(|_| self.rng.u8(..))
            .collect();
        let message = signed(&self.signer, &self.sealer, &text);
        let parity = Parity::percent(self.rng.u8(..50));
        self.shadow();
        let datagrams = split(&mut self.sealer, &message, parity);
        let mut arrived = Vec::new();
        for honest in &datagrams {
            self.strike(honest);
            let taken = take(&mut self.inbound, self.now, SENDER, honest);
            arrived.extend(taken.ok().flatten());
            self.strike(honest);
        }
        self.recorded.extend(datagrams);
        self.signed.push(message);
        for list in [&mut self.recorded, &mut self.signed] {
            let spare = list.len().saturating_sub(20_000);
            list.drain(..spare);
        }
        let expected = match arrived.is_empty() {
            true => vec![],
            false => vec![(Bytes::from(text), SENDER)],
        };
        let arrived = arrived.into_iter().map(|one| (one.bytes, one.from));
        assert_eq!(arrived.collect::<Vec<_>>(), expected);
        self.taken += expected.len() as u64;
        !expected.is_empty()
    }

    fn strike(&mut self, honest: &[u8]) {
        for _ in 0..self.rng.u8(..6) {
            let from = self.rng.choice(self.from.clone()).unwrap();
            for forged in self.forge(honest) {
                self.forged += 1;
                let taken = take(&mut self.inbound, self.now, from, &forged);
                let taken = taken.ok().flatten();
                assert!(taken.is_none(), "taken: {taken:?} of {forged:02x?}");
            }
        }
    }

    fn forge(&mut self, honest: &[u8]) -> Vec<Vec<u8>> {
        match self.rng.u8(..8) {
            // By a host without the key: every field; and what was sent before.
            0 | 1 => {
                let mut changed = honest.to_vec();
                let at = self.rng.usize(..changed.len());
                changed[at] ^= 1 << self.rng.u8(..8);
                vec![changed]
            }
            2 => self
                .rng
                .choice(&self.recorded)
                .cloned()
                .into_iter()
                .collect(),
            // By the member: nothing signed, or by itself.
            3 => self.sealed(|_| b"believe me".to_vec()),
            4 => self.sealed(|_| vec![7; 200]),
            5 => self.sealed(|scene| signed(&scene.own, &scene.sealer, b"believe me")),
            // What the sender has signed, under other numbers and at other positions.
            6 => self.sealed(|scene| {
                let earlier = scene.rng.choice(&scene.signed).cloned();
                earlier.unwrap_or_default()
            }),
            // Another text under the number and at the position of this datagram.
            _ => self
                .rng
                .choice(&self.shadowed)
                .cloned()
                .into_iter()
                .collect(),
        }
    }

    /// Sealed with the group's key, of this epoch or of another one that was told.
    fn sealed(&mut self, message: impl FnOnce(&mut Self) -> Vec<u8>) -> Vec<Vec<u8>> {
        let current = self.sealer.position();
        let epoch = match self.next {
            Some(next) if self.rng.bool() => next,
            _ => current.epoch().saturating_sub(self.rng.u64(..2)),
        };
        let mut sealer = sealer(self.sealer.stream(), epoch);
        // Its numbers begin at 0.
        for _ in 0..self.rng.u64(..20) {
            split(&mut sealer, b"a number", Parity::NONE);
        }
        let at = epoch * Position::EPOCH_DATAGRAMS;
        sealer.skip_to(Position(at + self.rng.u64(..Position::EPOCH_DATAGRAMS)));
        let message = message(self);
        split(&mut sealer, &message, Parity::percent(20))
    }

    /// Under the number and at the positions of the next message of the sender.
    fn shadow(&mut self) {
        let at = self.sealer.position();
        self.shadow.begin_epoch(at.epoch(), key(at.epoch()));
        self.shadow.skip_to(at);
        let text = vec![7; self.rng.usize(1..300)];
        self.shadowed = split(&mut self.shadow, &text, Parity::percent(20));
    }
}

/// A member of the group with this stream, and the sender's key.
fn joined(stream: StreamId) -> (Inbound, Signer) {
    let signer = Signer::new(stream).unwrap();
    let mut inbound = inbound(Opener::told(DIRECTION, []));
    let verifier = Verifier::new(signer.verifying_key(), stream, 0);
    inbound.join(told(stream), verifier);
    (inbound, signer)
}

/// The message that the datagrams of one make.
fn all(
    inbound: &mut Inbound,
    now: Instant,
    from: SocketAddr,
    datagrams: &[Vec<u8>],
) -> Option<Message> {
    let taken = datagrams
        .iter()
        .map(|datagram| take(inbound, now, from, datagram));
    taken.filter_map(|taken| taken.ok().flatten()).last()
}

/// From another address than the one that the subscription names.
#[test]
fn the_sender_is_known_by_its_signature() {
    let mut sealer = sealer(StreamId(3), 0);
    let (mut inbound, signer) = joined(StreamId(3));
    for number in 0..3 {
        let message = signed(&signer, &sealer, &[number; 300]);
        let datagrams = split(&mut sealer, &message, Parity::NONE);
        let arrived = all(&mut inbound, Instant::now(), MEMBER, &datagrams).unwrap();
        assert_eq!((arrived.bytes.len(), arrived.from), (300, SENDER));
    }
}

/// One that sends the sender's message on first does not take the sender's place.
#[test]
fn a_member_that_is_faster_once_takes_nothing_from_the_sender() {
    let (stream, now) = (StreamId(3), Instant::now());
    let (mut sealer, mut member) = (sealer(stream, 0), sealer(stream, 0));
    let (_, signer) = joined(stream);
    let newest = Inbound::new(Filter::default(), &Limits::default(), Older::GiveUp);
    let mut inbound = newest.sealed(Opener::told(DIRECTION, []));
    let verifier = Verifier::new(signer.verifying_key(), stream, 0);
    inbound.join(told(stream), verifier);
    // The next number, which gives up the sender's message if it is taken for the sender's.
    split(&mut member, b"a number", Parity::NONE);
    for number in 0..10 {
        let message = signed(&signer, &sealer, &[number; 300]);
        let honest = split(&mut sealer, &message, Parity::NONE);
        let forged = split(&mut member, &[9; 300], Parity::NONE);
        if number == 0 {
            assert!(all(&mut inbound, now, MEMBER, &honest).is_some());
            continue;
        }
        let (first, rest) = honest.split_at(1);
        assert!(all(&mut inbound, now, SENDER, first).is_none());
        assert!(all(&mut inbound, now, MEMBER, &forged).is_none());
        let arrived = all(&mut inbound, now, SENDER, rest);
        assert!(arrived.is_some(), "{number} is lost");
    }
}

/// The group comes by IPv6, and its repairs over the connection, by IPv4.
#[test]
fn shards_of_both_ip_versions_are_put_together() {
    let mut sealer = sealer(StreamId(3), 0);
    let (mut inbound, signer) = joined(StreamId(3));
    let by_group: SocketAddr = "[2001:db8::1]:5006".parse().unwrap();
    for number in 0..3 {
        let message = signed(&signer, &sealer, &[number; 300]);
        let datagrams = split(&mut sealer, &message, Parity::NONE);
        let (lost, rest) = datagrams.split_at(1);
        let first = all(&mut inbound, Instant::now(), by_group, rest);
        assert!(first.is_none());
        // Of the first message, the address is not known yet.
        let from = if number == 0 { by_group } else { SENDER };
        let arrived = all(&mut inbound, Instant::now(), from, lost).unwrap();
        assert_eq!((arrived.bytes.len(), arrived.from), (300, SENDER));
    }
}

/// A member can seal in an epoch that has not begun, and does not end the current one by that.
#[test]
fn an_epoch_begins_with_a_signed_message() {
    for removed in [false, true] {
        let stream = StreamId(3);
        let (mut inbound, signer) = joined(stream);
        inbound.tell(stream, 1, key(1), removed);
        let now = Instant::now();
        let mut member = sealer(stream, 1);
        let forged = split(&mut member, b"early", Parity::NONE).remove(0);
        let refused = take(&mut inbound, now, MEMBER, &forged).unwrap_err();
        assert!(is(&refused, &OpenError::NotSigned));

        let now = now + Duration::from_secs(9);
        let mut sealer = sealer(stream, 0);
        let [first, late, next] = [0, 1, 2].map(|number| {
            if number == 2 {
                sealer.begin_epoch(1, key(1));
            }
            let message = signed(&signer, &sealer, &[number]);
            split(&mut sealer, &message, Parity::NONE)
        });
        let mut arrives = |datagrams| all(&mut inbound, now, SENDER, datagrams).is_some();
        assert!(arrives(&first) && arrives(&next));
        assert_eq!(arrives(&late), !removed);
    }
}

fn signed(signer: &Signer, sealer: &Sealer, text: &[u8]) -> Vec<u8> {
    let epoch = sealer.position().epoch();
    let place = SignedPlace {
        epoch,
        number: sealer.next_number(),
        kind: MessageKind(1),
    };
    let trailer = signer.trailer(place, &[text]);
    [text, &trailer].concat()
}

fn key(epoch: u64) -> Key {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&epoch.to_be_bytes());
    Key::new(&secret)
}

fn told(id: StreamId) -> ToldStream {
    ToldStream {
        id,
        next: Position(0),
        key: key(0),
        epochs_are_told: true,
        from: SENDER,
    }
}

fn config() -> SplitConfig {
    SplitConfig::default().max_datagram_bytes(128)
}

fn sealer(stream: StreamId, epoch: u64) -> Sealer {
    let splitter = Splitter::new(config(), stream);
    let mut sealer = Sealer::new(key(epoch), DIRECTION, splitter);
    sealer.begin_epoch(epoch, key(epoch));
    sealer
}

const DIRECTION: Direction = Direction::FromSender;
const MEMBER: SocketAddr = address(3);
