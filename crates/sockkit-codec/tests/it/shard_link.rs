//! Messages sent over the simulated link.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::{
    MessageKind, Parity, Reassembler, ReassemblyConfig, ReassemblyStats, ShardError, SplitConfig,
    Splitter, StreamId,
};
use sockkit_testing::sim::{Link, LinkConfig};

/// Messages sent over a link, and what became of them.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) messages: u64,
    /// UDP payload for each message byte, less one.
    pub(crate) overhead: f64,
    pub(crate) stats: ReassemblyStats,
}

impl Run {
    /// Sends the messages one after the other; each that arrives must be equal.
    pub(crate) fn new(
        config: LinkConfig,
        message_bytes: usize,
        parity: Parity,
        messages: u64,
    ) -> Self {
        let source = Source::new(message_bytes);
        let mut link: Link<[u8; 4]> = Link::new(config, LINK_SEED);
        let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        let (mut payload_bytes, mut now) = (0, Instant::now());
        for number in 0..messages {
            let message = source.message(number);
            let shards = splitter.split(MessageKind(1), message, parity).unwrap();
            payload_bytes += shards.as_bytes().len();
            // The link carries indexes: the datagrams stay where they are.
            for index in 0..shards.datagrams().len() {
                link.send(now, u32::try_from(index).unwrap().to_be_bytes());
            }
            while let Some(deadline) = link.deadline() {
                now = deadline;
                while let Some(index) = link.poll(now) {
                    let index = u32::from_be_bytes(index) as usize;
                    let datagram = shards.datagrams().nth(index).unwrap();
                    deliver(&mut reassembler, now, datagram, number, message).unwrap();
                }
            }
            now += Duration::from_millis(33);
        }
        Self {
            messages,
            overhead: payload_bytes as f64 / (messages as f64 * message_bytes as f64) - 1.0,
            stats: reassembler.stats(),
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.messages - self.stats.delivered
    }
}

fn deliver(
    reassembler: &mut Reassembler,
    now: Instant,
    datagram: &[u8],
    number: u64,
    message: &[u8],
) -> Result<(), ShardError> {
    if let Some(arrived) = reassembler.handle_datagram(now, SENDER, datagram)? {
        assert_eq!(arrived.number, number);
        assert!(arrived.bytes == message, "message {number} differs");
    }
    Ok(())
}

/// Messages that all differ, cheap to make again.
pub(crate) struct Source {
    /// For each message its own window into noise.
    noise: Vec<u8>,
    message_bytes: usize,
}

impl Source {
    pub(crate) fn new(message_bytes: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut noise: Vec<_> = (0..message_bytes + WINDOWS * 8)
            .map(|_| rng.u8(..))
            .collect();
        for window in 0..WINDOWS {
            noise[window * 8..][..8].copy_from_slice(&(window as u64).to_be_bytes());
        }
        Self {
            noise,
            message_bytes,
        }
    }

    /// Message `number`; those of 4,096 in a row all differ.
    pub(crate) fn message(&self, number: u64) -> &[u8] {
        let window = usize::try_from(number).unwrap() % WINDOWS;
        &self.noise[window * 8..][..self.message_bytes]
    }
}

const WINDOWS: usize = 4_096;
pub(crate) const LINK_SEED: u64 = 5;
pub(crate) const SENDER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5_006);
