//! Datagrams made to break the reassembler.

use std::{net::SocketAddr, time::Instant};

use sockkit_codec::shard::{
    HEADER_BYTES, MessageKind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter,
    StreamId,
};

#[test]
fn hostile_datagrams() {
    check_hostile(100_000);
}

#[test]
#[ignore = "soak"]
fn ten_million_hostile_datagrams() {
    check_hostile(10_000_000);
}

/// No panic, and no growth beyond the limits, by the allocator's own count.
fn check_hostile(datagrams: u64) {
    let mut hostile = Hostile::new();
    let config = ReassemblyConfig::default()
        .max_messages(MESSAGES)
        .max_buffered_bytes(LIMIT_BYTES)
        .max_message_bytes(MESSAGE_BYTES);
    let mut reassembler = Reassembler::new(config);
    // The tables of the code are made once for the process.
    hostile.warm_up();

    let now = Instant::now();
    let mut delivered = 0;
    let allocations = allocation_counter::measure(|| {
        for _ in 0..datagrams {
            let (from, datagram) = hostile.next();
            let taken = reassembler.handle_datagram(now, from, datagram);
            delivered += u64::from(matches!(taken, Ok(Some(_))));
            assert!(reassembler.buffered_bytes() <= LIMIT_BYTES);
        }
    });
    let peak_bytes = usize::try_from(allocations.bytes_max).unwrap();
    let stats = reassembler.stats();
    println!("{datagrams} hostile: peak {peak_bytes} bytes, {stats:?}");
    assert_eq!(stats.datagrams, datagrams);
    assert_eq!(stats.delivered, delivered);
    assert!(stats.malformed > 0 && stats.corrupt > 0 && stats.given_up > 0);
    // What the documentation of `Reassembler` promises.
    assert!(peak_bytes <= LIMIT_BYTES + 5 * MESSAGE_BYTES + MESSAGES * (72 << 10));
}

/// Makes datagrams from honest ones by what an attacker might try.
struct Hostile {
    rng: fastrand::Rng,
    /// Datagrams of messages of several lengths.
    honest: Vec<Vec<u8>>,
    datagram: Vec<u8>,
}

impl Hostile {
    fn new() -> Self {
        let mut honest = Vec::new();
        let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        for message_bytes in [0, 5, 1_365, 4_000, 60_000, MESSAGE_BYTES] {
            let message = vec![7; message_bytes];
            let shards = splitter
                .split(MessageKind(1), &message, Parity::percent(30))
                .unwrap();
            honest.extend(shards.datagrams().map(<[u8]>::to_vec));
        }
        Self {
            rng: fastrand::Rng::with_seed(9),
            honest,
            datagram: Vec::with_capacity(2_048),
        }
    }

    /// Has one message repaired.
    fn warm_up(&self) {
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        for datagram in self.honest.iter().skip(3) {
            let _ = reassembler.handle_datagram(Instant::now(), peer(0), datagram);
        }
        assert!(reassembler.stats().delivered > 0);
    }

    fn next(&mut self) -> (SocketAddr, &[u8]) {
        let rng = &mut self.rng;
        let from = peer(rng.u8(..4));
        self.datagram.clear();
        let honest = rng.usize(..self.honest.len());
        self.datagram.extend_from_slice(&self.honest[honest]);
        match rng.u8(..16) {
            // Noise, with or without a good beginning.
            0 => {
                let keep = rng.usize(..=self.datagram.len().min(HEADER_BYTES));
                self.datagram[keep..].fill_with(|| rng.u8(..));
            }
            // Cut or lengthened.
            1 => self.datagram.truncate(rng.usize(..2_000)),
            2 => self.datagram.resize(rng.usize(..2_000), 0),
            // One field of the header, small or huge.
            3..=7 => {
                let place = rng.usize(2..HEADER_BYTES);
                let any = rng.u8(..);
                self.datagram[place] = rng.choice([0, 1, 0x7f, 0xff, any]).unwrap();
            }
            // A header whose counts agree with its shard, under any number.
            8..=11 => self.consistent(),
            // A wrong shard under an honest header.
            12 | 13 => {
                let place = rng.usize(HEADER_BYTES..self.datagram.len());
                self.datagram[place] ^= 1;
            }
            // Honest datagrams, over and over, of a restarted sender.
            _ => self.datagram[11] = rng.u8(..8),
        }
        (from, &self.datagram)
    }

    /// Writes counts and a length that fit the shard, so that it is taken.
    fn consistent(&mut self) {
        let rng = &mut self.rng;
        let data = rng.choice([1, 2, 3, 40, 1_000, 32_000]).unwrap();
        let parity = rng.u16(..=data + 32);
        let shard_bytes = 2 * rng.usize(1..=(1_000_000 / usize::from(data)).min(682));
        let message_bytes = u32::try_from(shard_bytes * usize::from(data)).unwrap();
        self.datagram.resize(HEADER_BYTES + shard_bytes, 3);
        let number = rng.u64(..100);
        self.datagram[12..20].copy_from_slice(&number.to_be_bytes());
        self.datagram[20..24].copy_from_slice(&message_bytes.to_be_bytes());
        let index = rng.u16(..data + parity);
        self.datagram[28..30].copy_from_slice(&index.to_be_bytes());
        self.datagram[30..32].copy_from_slice(&data.to_be_bytes());
        self.datagram[32..34].copy_from_slice(&parity.to_be_bytes());
    }
}

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 5_006))
}

const MESSAGES: usize = 32;
const MESSAGE_BYTES: usize = 1 << 20;
const LIMIT_BYTES: usize = 4 << 20;
