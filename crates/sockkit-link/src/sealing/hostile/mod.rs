//! Sealed streams under attack: nothing that is not the sender's is taken, and the
//! honest stream loses nothing.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use fastrand::Rng;
use sockkit_codec::shard::{
    MessageKind, Older, Parity, SplitConfig, Splitter, StreamId,
    seal::{Position, Suite},
};

use super::{Direction, Key, Opener, Sealer, ToldStream};
use crate::channel::{Filter, Inbound, IncomingDatagram, Limits, Message, OpenError, RecvError};

#[cfg(feature = "pairing")]
mod group;

#[test]
fn nothing_forged_is_taken_and_the_honest_stream_loses_nothing() {
    attack(1_000_000);
}

#[test]
#[ignore = "soak"]
fn nothing_of_ten_million_forged_is_taken() {
    attack(10_000_000);
}

fn attack(datagrams: u64) {
    let (out, back) = (Direction::FromSender, Direction::ToSender);
    for (direction, is_told) in [(out, false), (back, false), (out, true)] {
        let mut scene = Scene::new(direction, is_told);
        while scene.forged < datagrams / 3 {
            scene.send();
            match scene.rng.u8(..) {
                0 => scene.restart(),
                1 | 2 if is_told => scene.begin_epoch(),
                _ => {}
            }
        }
    }
}

/// A sender, a receiver, and one who hears all and has a key of another stream.
struct Scene {
    rng: Rng,
    now: Instant,
    direction: Direction,
    /// Whether the receiver has subscribed, and is told of the stream and its epochs.
    is_told: bool,
    sealer: Sealer,
    inbound: Inbound,
    /// What was sent, in this run and in earlier ones.
    recorded: Vec<Vec<u8>>,
    earlier: Vec<Vec<u8>>,
    forged: u64,
}

impl Scene {
    fn new(direction: Direction, is_told: bool) -> Self {
        let mut rng = Rng::with_seed(7);
        let mut scene = Self {
            sealer: sealer(&mut rng, key(), direction),
            rng,
            now: Instant::now(),
            direction,
            is_told,
            inbound: inbound(Opener::new(key(), direction)),
            recorded: Vec::new(),
            earlier: Vec::new(),
            forged: 0,
        };
        if is_told {
            scene.subscribe();
        }
        scene
    }

    /// The receiver is told of the stream, some of which was sent before.
    fn subscribe(&mut self) {
        for _ in 0..10 {
            let before = split(&mut self.sealer, b"before", Parity::NONE);
            self.earlier.extend(before);
        }
        let stream = told(self.sealer.stream(), self.sealer.position());
        self.inbound = inbound(Opener::told(self.direction, [stream]));
    }

    /// The next epoch begins, with another key; now and then because a member was removed,
    /// which knows this one.
    fn begin_epoch(&mut self) {
        let epoch = self.sealer.position().epoch() + 1;
        let removed = self.rng.bool();
        self.inbound
            .tell(self.sealer.stream(), epoch, key(), removed);
        if removed {
            self.earlier.append(&mut self.recorded);
        }
        self.sealer.begin_epoch(epoch, key());
    }

    /// The sender is started again, and draws another stream.
    fn restart(&mut self) {
        self.sealer = sealer(&mut self.rng, key(), self.direction);
        // Once in a while its first key ends soon.
        if !self.is_told {
            let ends_soon = Position::EPOCH_DATAGRAMS - self.rng.u64(1..200);
            self.sealer.skip_to(Position(ends_soon));
        }
        self.earlier.append(&mut self.recorded);
        let spare = self.earlier.len().saturating_sub(20_000);
        self.earlier.drain(..spare);
        if self.is_told {
            self.subscribe();
        }
    }

    /// One message, each datagram among forged ones.
    fn send(&mut self) {
        self.now += Duration::from_millis(1);
        let text: Vec<u8> = (0..self.rng.usize(1..300))
            .map(|_| self.rng.u8(..))
            .collect();
        let parity = Parity::percent(self.rng.u8(..50));
        let datagrams = split(&mut self.sealer, &text, parity);
        let mut arrived = None;
        for honest in datagrams {
            for _ in 0..self.rng.u8(..8) {
                self.strike(&honest);
            }
            let taken = take(&mut self.inbound, self.now, SENDER, &honest);
            arrived = taken.expect("it is honest").or(arrived);
            self.recorded.push(honest.clone());
            for _ in 0..self.rng.u8(..8) {
                self.strike(&honest);
            }
        }
        assert_eq!(arrived.expect("all of it came").bytes, text);
    }

    fn strike(&mut self, honest: &[u8]) {
        let Some(forged) = self.forge(honest) else {
            return;
        };
        self.forged += 1;
        let from = self.rng.choice([SENDER, STRANGER]).unwrap();
        let taken = take(&mut self.inbound, self.now, from, &forged);
        assert!(
            matches!(taken, Err(RecvError::NotOpened { .. })),
            "taken: {taken:?} of {forged:02x?}, forged of {honest:02x?}"
        );
    }

    /// A datagram that the sender did not send now.
    fn forge(&mut self, honest: &[u8]) -> Option<Vec<u8>> {
        let rng = &mut self.rng;
        let position = u64::from_be_bytes(honest[POSITION].try_into().unwrap());
        let mut forged = honest.to_vec();
        let set_position = |forged: &mut [u8], position: u64| {
            forged[POSITION].copy_from_slice(&position.to_be_bytes());
        };
        match rng.u8(..12) {
            // Every field of the header, the position, the text, the tag.
            0..3 => {
                let at = rng.usize(..forged.len());
                forged[at] ^= 1 << rng.u8(..8);
            }
            3 => {
                let at = rng.usize(..HEADER.min(forged.len()));
                forged[at] = forged[at].wrapping_add(rng.u8(1..));
            }
            // Another stream, a known one perhaps.
            4 => {
                let other = rng
                    .choice(&self.earlier)
                    .map(|other| other[STREAM].to_vec());
                forged[STREAM].copy_from_slice(&other.unwrap_or_else(|| vec![7; 8]));
            }
            // Another epoch; another place in this one.
            5 => {
                let epoch = Position::EPOCH_DATAGRAMS << rng.u8(..40);
                set_position(&mut forged, position.wrapping_add(epoch));
            }
            6 => set_position(&mut forged, position.wrapping_add(rng.u64(1..5_000))),
            // Inside of the window and outside of it.
            7 => forged.clone_from(rng.choice(&self.recorded)?),
            // After a restart.
            8 => forged.clone_from(rng.choice(&self.earlier)?),
            // Cut, or longer.
            9 => match rng.bool() {
                true => forged.truncate(rng.usize(..forged.len())),
                false => forged.extend((0..rng.usize(1..40)).map(|_| 0)),
            },
            // Sealed, by others.
            10 => return Some(self.sealed_by_another(honest)),
            // In the clear.
            _ => {
                let mut splitter = Splitter::new(SplitConfig::default(), StreamId(rng.u64(..3)));
                let plain = splitter
                    .split(MessageKind(1), b"believe me", Parity::NONE)
                    .unwrap();
                forged = plain.as_bytes().to_vec();
            }
        }
        // What was sent before may be of the same stream.
        (forged != honest).then_some(forged)
    }

    /// Sealed with another viewer's key, for another sender, or the other way,
    /// under the stream's own number.
    fn sealed_by_another(&mut self, honest: &[u8]) -> Vec<u8> {
        let back = self.direction.back();
        let (key, direction) = match self.rng.u8(..3) {
            0 => (Key::new(&[8; 32]), self.direction),
            1 => (key().of_sender([1; 32]), self.direction),
            _ => (key(), back),
        };
        let stream = u64::from_be_bytes(honest[STREAM].try_into().unwrap());
        let splitter = Splitter::new(SplitConfig::default(), StreamId(stream));
        let mut sealer = Sealer::new(key, direction, splitter);
        let position = u64::from_be_bytes(honest[POSITION].try_into().unwrap());
        sealer.skip_to(Position(position + self.rng.u64(..3)));
        split(&mut sealer, b"believe me", Parity::NONE).remove(0)
    }
}

#[test]
fn a_copy_that_overtakes_the_original_costs_nothing() {
    let mut rng = Rng::with_seed(1);
    let mut sealer = sealer(&mut rng, key(), Direction::FromSender);
    let mut inbound = inbound(Opener::new(key(), Direction::FromSender));
    let now = Instant::now();
    for number in 0..100 {
        let mut arrived = Vec::new();
        for datagram in split(&mut sealer, &[number; 1_000], Parity::NONE) {
            let mut from = [SENDER, STRANGER];
            if number > 0 && rng.bool() {
                from.reverse();
            }
            let first = take(&mut inbound, now, from[0], &datagram);
            arrived.extend(first.expect("it is authentic"));
            let second = take(&mut inbound, now, from[1], &datagram).unwrap_err();
            assert!(is(&second, &OpenError::NotNew));
        }
        let whole: Vec<_> = arrived
            .iter()
            .map(|one| (&one.bytes[..], one.from))
            .collect();
        assert_eq!(whole, [(&[number; 1_000][..], SENDER)]);
    }
}

#[test]
fn each_reason_has_its_words() {
    let mut rng = Rng::with_seed(1);
    let direction = Direction::FromSender;
    let now = Instant::now();
    let mut sealer = sealer(&mut rng, key(), direction);
    let datagrams = split(&mut sealer, &[7; 300], Parity::NONE);
    let plain = Splitter::new(SplitConfig::default(), StreamId(1))
        .split(MessageKind(1), b"plain", Parity::NONE)
        .unwrap()
        .as_bytes()
        .to_vec();
    let mut changed = datagrams[1].clone();
    *changed.last_mut().unwrap() ^= 1;

    let mut inbound = inbound(Opener::new(key(), direction));
    let mut refused = |datagram: &[u8]| take(&mut inbound, now, SENDER, datagram).unwrap_err();
    assert!(is(&refused(&plain), &OpenError::NotSealed));
    assert!(is(&refused(&changed), &OpenError::OtherKey));
    take(&mut inbound, now, SENDER, &datagrams[0]).unwrap();
    let mut refused = |datagram: &[u8]| take(&mut inbound, now, SENDER, datagram).unwrap_err();
    assert!(is(&refused(&changed), &OpenError::Altered));
    assert!(is(&refused(&datagrams[0]), &OpenError::NotNew));

    // A receiver with no key at all.
    let mut inbound = Inbound::new(Filter::default(), &Limits::default(), Older::Keep);
    let error = take(&mut inbound, now, SENDER, &datagrams[0]).unwrap_err();
    assert!(matches!(
        error,
        RecvError::Refused {
            source: sockkit_codec::shard::ShardError::Sealed,
            ..
        }
    ));
}

#[test]
fn one_that_was_told_takes_that_stream_from_there_on() {
    let mut rng = Rng::with_seed(1);
    let direction = Direction::FromSender;
    let mut sealer = sealer(&mut rng, key(), direction);
    let recorded = split(&mut sealer, b"recorded before", Parity::NONE).remove(0);
    let (stream, next) = (sealer.stream(), sealer.position());
    let mut inbound = inbound(Opener::told(direction, [told(stream, next)]));
    let now = Instant::now();
    let stale = take(&mut inbound, now, SENDER, &recorded).unwrap_err();
    assert!(is(&stale, &OpenError::NotNew));

    let mut another = self::sealer(&mut rng, key(), direction);
    let another = split(&mut another, b"an earlier run", Parity::NONE).remove(0);
    let other = take(&mut inbound, now, SENDER, &another).unwrap_err();
    assert!(is(&other, &OpenError::OtherStream));

    let honest = split(&mut sealer, b"now", Parity::NONE).remove(0);
    let taken = take(&mut inbound, now, SENDER, &honest).unwrap();
    assert_eq!(taken.unwrap().bytes, "now");
}

/// Of a stream whose receivers are told each epoch's key.
#[test]
fn an_epoch_ends_a_second_after_the_next_and_at_once_after_a_removal() {
    for (removed, wait, error) in [
        (false, 1_000, None),
        (false, 1_001, Some(OpenError::NotNew)),
        (true, 0, Some(OpenError::NotNew)),
    ] {
        let mut rng = Rng::with_seed(1);
        let direction = Direction::FromSender;
        let mut sealer = sealer(&mut rng, key(), direction);
        // Within the window of what follows.
        sealer.skip_to(Position(Position::EPOCH_DATAGRAMS - 10));
        let stream = sealer.stream();
        let mut inbound = inbound(Opener::told(direction, [told(stream, sealer.position())]));
        let late = split(&mut sealer, b"late", Parity::NONE).remove(0);
        let unknown = Key::new(&[9; 32]);
        sealer.begin_epoch(1, unknown.clone());
        let next = split(&mut sealer, b"next", Parity::NONE).remove(0);

        let now = Instant::now();
        let untold = take(&mut inbound, now, SENDER, &next).unwrap_err();
        assert!(is(&untold, &OpenError::OtherEpoch));
        inbound.tell(stream, 1, unknown, removed);
        assert!(take(&mut inbound, now, SENDER, &next).unwrap().is_some());
        let later = now + Duration::from_millis(wait);
        let taken = take(&mut inbound, later, SENDER, &late);
        match error {
            None => assert!(taken.unwrap().is_some()),
            Some(error) => assert!(is(&taken.unwrap_err(), &error), "{removed}, {wait}"),
        }
        // An epoch that was told before is not told again.
        inbound.tell(stream, 1, key(), removed);
        let next = split(&mut sealer, b"next", Parity::NONE).remove(0);
        assert!(take(&mut inbound, later, SENDER, &next).unwrap().is_some());
    }
}

#[test]
fn both_ciphers_go_over_the_end_of_an_epoch() {
    for suite in [Suite::Aes128Gcm, Suite::ChaCha20Poly1305] {
        let splitter = Splitter::new(SplitConfig::default(), StreamId(5));
        let direction = Direction::ToSender;
        let mut sealer = Sealer::with_suite(key(), direction, splitter, suite);
        sealer.skip_to(Position(Position::EPOCH_DATAGRAMS - 20));
        let mut inbound = inbound(Opener::new(key(), direction));
        let now = Instant::now();
        // The beginning of a stream is its first datagram; then the order is lost.
        let first = split(&mut sealer, b"first", Parity::NONE).remove(0);
        take(&mut inbound, now, SENDER, &first).unwrap();
        let mut datagrams = Vec::new();
        for number in 0..40 {
            datagrams.extend(split(&mut sealer, &[number], Parity::NONE));
        }
        datagrams.reverse();
        for datagram in &datagrams {
            assert!(take(&mut inbound, now, SENDER, datagram).unwrap().is_some());
        }
        for datagram in &datagrams {
            let again = take(&mut inbound, now, SENDER, datagram).unwrap_err();
            assert!(is(&again, &OpenError::NotNew));
        }
    }
}

#[test]
fn a_stranger_makes_no_stream_forgotten() {
    let direction = Direction::FromSender;
    let mut rng = Rng::with_seed(1);
    let mut honest = sealer(&mut rng, key(), direction);
    let now = Instant::now();
    let mut opener = Opener::new(key(), direction);
    let first = split(&mut honest, b"first", Parity::NONE).remove(0);
    opener.open(now, SENDER, &first).unwrap();
    for _ in 0..3_000 {
        let mut stranger = sealer(&mut rng, Key::new(&[8; 32]), direction);
        let forged = split(&mut stranger, b"forged", Parity::NONE).remove(0);
        assert_eq!(
            opener.open(now, STRANGER, &forged).unwrap_err(),
            OpenError::OtherKey
        );
    }
    assert_eq!(
        opener.open(now, SENDER, &first).unwrap_err(),
        OpenError::NotNew
    );
    // Those with the key can: the one that was heard longest ago goes.
    for _ in 0..1_024 {
        let mut member = sealer(&mut rng, key(), direction);
        let own = split(&mut member, b"own", Parity::NONE).remove(0);
        opener.open(now, STRANGER, &own).unwrap();
    }
    assert!(opener.open(now, SENDER, &first).is_ok());
}

fn key() -> Key {
    Key::new(&[7; 32])
}

fn told(id: StreamId, next: Position) -> ToldStream {
    ToldStream {
        id,
        next,
        key: key(),
        epochs_are_told: true,
        from: SENDER,
    }
}

fn sealer(rng: &mut Rng, key: Key, direction: Direction) -> Sealer {
    let config = SplitConfig::default().max_datagram_bytes(128);
    let suites = [Suite::Aes128Gcm, Suite::ChaCha20Poly1305];
    let splitter = Splitter::new(config, StreamId(rng.u64(..)));
    Sealer::with_suite(key, direction, splitter, rng.choice(suites).unwrap())
}

fn inbound(opener: Opener) -> Inbound {
    Inbound::new(Filter::default(), &Limits::default(), Older::Keep).sealed(opener)
}

fn split(sealer: &mut Sealer, text: &[u8], parity: Parity) -> Vec<Vec<u8>> {
    let shards = sealer.split_parts(MessageKind(1), &[text], parity).unwrap();
    shards.datagrams().map(<[u8]>::to_vec).collect()
}

fn take(
    inbound: &mut Inbound,
    now: Instant,
    from: SocketAddr,
    bytes: &[u8],
) -> Result<Option<Message>, RecvError> {
    let datagram = IncomingDatagram {
        bytes,
        from,
        to: None,
    };
    inbound.handle_datagram(now, &datagram)
}

fn is(error: &RecvError, expected: &OpenError) -> bool {
    matches!(error, RecvError::NotOpened { source, .. } if source == expected)
}

const SENDER: SocketAddr = address(1);
const STRANGER: SocketAddr = address(2);

const fn address(host: u8) -> SocketAddr {
    let host = std::net::Ipv4Addr::new(10, 0, 0, host);
    SocketAddr::new(std::net::IpAddr::V4(host), 5_006)
}

const STREAM: std::ops::Range<usize> = 4..12;
const POSITION: std::ops::Range<usize> = 36..44;
const HEADER: usize = 36;
