//! QUIC over a simulated link: whole transfers in virtual time, from a seed.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use quinn::{ClientConfig, ServerConfig};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, Event, StreamEvent, StreamId,
};
use sockkit_testing::sim::{Link, LinkConfig, LossModel};

use super::{Congestion, QuicConfig, identity, socket};

/// Some connections from one host to another, over one link.
struct Network {
    now: Instant,
    begun: Instant,
    /// There and back.
    links: [Link<Packet>; 2],
    flows: Vec<Flow>,
}

/// One connection, which carries as much as it can.
struct Flow {
    config: QuicConfig,
    /// The sender, and the receiver.
    ends: [End; 2],
    starts: Instant,
    /// What the sender has not written yet.
    left: u64,
    arrived: u64,
    arrived_at: Instant,
}

struct End {
    address: SocketAddr,
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    stream: Option<StreamId>,
}

/// A datagram with room for the headers below UDP, whose length counts on the link.
#[derive(Clone)]
struct Packet {
    flow: usize,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Network {
    /// Each flow begins so long after the first.
    fn new(link: &LinkConfig, seed: u64, flows: &[(&QuicConfig, Duration)]) -> Self {
        let now = Instant::now();
        let flow = |(flow, (config, after)): (usize, &(&QuicConfig, Duration))| Flow {
            config: (*config).clone(),
            ends: [0, 1].map(|end| End::new(flow, end, config)),
            starts: now + *after,
            left: u64::MAX,
            arrived: 0,
            arrived_at: now,
        };
        Self {
            now,
            begun: now,
            links: [seed, !seed].map(|seed| Link::new(link.clone(), seed)),
            flows: flows.iter().enumerate().map(flow).collect(),
        }
    }

    /// Lets time pass until then.
    fn run(&mut self, time: Duration) {
        let until = self.begun + time;
        while self.now < until {
            for flow in 0..self.flows.len() {
                self.flows[flow].begin(self.now);
                for end in [0, 1] {
                    self.drive(flow, end);
                }
            }
            let now = self.now;
            let starts = self.flows.iter().map(|flow| flow.starts);
            let starts = starts.filter(|starts| *starts > now).min();
            let timers = self.flows.iter_mut().flat_map(Flow::deadlines).min();
            let links = self.links.iter().filter_map(Link::deadline).min();
            let next = [starts, timers, links].into_iter().flatten().min();
            self.now = next.unwrap_or(until).max(now);
            for end in [0, 1] {
                while let Some(packet) = self.links[1 - end].poll(self.now) {
                    self.take(packet, end);
                }
            }
        }
    }

    /// Gives one end what has come for it.
    fn take(&mut self, packet: Packet, end: usize) {
        let Packet { flow, mut bytes } = packet;
        bytes.truncate(bytes.len() - BELOW_UDP_BYTES);
        let from = address(flow, 1 - end);
        let answers = self.flows[flow].ends[end].handle(self.now, from, &bytes);
        if !answers.is_empty() {
            self.put(flow, end, answers);
        }
    }

    /// Lets one end do what it has to.
    fn drive(&mut self, flow: usize, end: usize) {
        let one = &mut self.flows[flow];
        one.ends[end].handle_timeout(self.now);
        match end {
            0 => one.ends[0].write(&mut one.left),
            _ => one.read(self.now),
        }
        while let Some(datagrams) = self.flows[flow].ends[end].poll_transmit(self.now) {
            for datagram in datagrams {
                self.put(flow, end, datagram);
            }
        }
    }

    fn put(&mut self, flow: usize, end: usize, mut bytes: Vec<u8>) {
        bytes.extend([0; BELOW_UDP_BYTES]);
        self.links[end].send(self.now, Packet { flow, bytes });
    }
}

impl Flow {
    fn begin(&mut self, now: Instant) {
        let [sender, receiver] = &mut self.ends;
        if sender.connection.is_none() && now >= self.starts {
            let tls = identity::dialler(&self.config).unwrap();
            let mut client = ClientConfig::new(Arc::new(tls));
            client.transport_config(self.config.transport(0));
            let made = sender
                .endpoint
                .connect(now, client, receiver.address, identity::NAME);
            sender.connection = Some(made.unwrap());
        }
    }

    fn read(&mut self, now: Instant) {
        let bytes = self.ends[1].read();
        if bytes > 0 {
            self.arrived += bytes;
            self.arrived_at = now;
        }
    }

    fn deadlines(&mut self) -> impl Iterator<Item = Instant> {
        let connections = self
            .ends
            .iter_mut()
            .filter_map(|end| end.connection.as_mut());
        connections.filter_map(|(_, connection)| connection.poll_timeout())
    }
}

impl End {
    fn new(flow: usize, end: usize, config: &QuicConfig) -> Self {
        let server = (end == 1).then(|| {
            let (tls, _) = identity::listener(config).unwrap();
            let mut server = ServerConfig::with_crypto(Arc::new(tls));
            server.transport_config(config.transport(1));
            Arc::new(server)
        });
        let seed = [u8::try_from(2 * flow + end).unwrap(); 32];
        let endpoint = Endpoint::new(Arc::new(socket::config()), server, true, Some(seed));
        Self {
            address: address(flow, end),
            endpoint,
            connection: None,
            stream: None,
        }
    }

    /// Takes a datagram in; what to answer at once, if anything.
    fn handle(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let bytes = BytesMut::from(bytes);
        match self
            .endpoint
            .handle(now, from, None, None, bytes, &mut answer)
        {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut answer, None);
                self.connection = accepted.ok();
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
        answer
    }

    /// Lets the endpoint and the connection hear of each other.
    fn handle_timeout(&mut self, now: Instant) {
        let Some((handle, connection)) = &mut self.connection else {
            return;
        };
        connection.handle_timeout(now);
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected => self.stream = connection.streams().open(Dir::Bi),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    self.stream = connection.streams().accept(dir);
                }
                Event::ConnectionLost { reason } => panic!("{reason}"),
                _ => {}
            }
        }
    }

    /// Writes as much of what is left as there is room for.
    fn write(&mut self, left: &mut u64) {
        let (Some((_, connection)), Some(stream)) = (&mut self.connection, self.stream) else {
            return;
        };
        let mut sending = connection.send_stream(stream);
        let block = [7; 16_384];
        while *left > 0 {
            let next = block
                .len()
                .min(usize::try_from(*left).unwrap_or(usize::MAX));
            let Ok(bytes) = sending.write(&block[..next]) else {
                return;
            };
            *left -= bytes as u64;
        }
    }

    /// Reads all that has come; how much that was.
    fn read(&mut self) -> u64 {
        let (Some((_, connection)), Some(stream)) = (&mut self.connection, self.stream) else {
            return 0;
        };
        let mut receiving = connection.recv_stream(stream);
        let Ok(mut chunks) = receiving.read(true) else {
            return 0;
        };
        let mut bytes = 0;
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            bytes += chunk.bytes.len() as u64;
        }
        let _ = chunks.finalize();
        bytes
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Vec<Vec<u8>>> {
        let (_, connection) = self.connection.as_mut()?;
        let mut buffer = Vec::new();
        let transmit = connection.poll_transmit(now, MAX_RUN, &mut buffer)?;
        let segment = transmit.segment_size.unwrap_or(transmit.size);
        Some(buffer.chunks(segment).map(<[u8]>::to_vec).collect())
    }
}

fn address(flow: usize, end: usize) -> SocketAddr {
    let port = 5_000 + u16::try_from(flow).unwrap();
    SocketAddr::from(([10, 0, 0, u8::try_from(end).unwrap() + 1], port))
}

/// 100 Mbit/s, with a queue of one round trip.
fn link(round_trip: Duration, loss: LossModel) -> LinkConfig {
    let queue = usize::try_from(round_trip.as_micros()).unwrap() * 25 / 2;
    LinkConfig::default()
        .rate(BYTES_PER_SECOND)
        .queue_bytes(queue.max(100_000))
        .delay(round_trip / 2)
        .loss(loss)
}

/// The share of link × (1 − loss) that one connection has, until 120 MB have arrived.
fn share(round_trip: u64, loss: f64, seed: u64, config: &QuicConfig) -> f64 {
    share_of(round_trip, LossModel::independent(loss), loss, seed, config)
}

fn share_of(round_trip: u64, model: LossModel, loss: f64, seed: u64, config: &QuicConfig) -> f64 {
    let link = link(Duration::from_millis(round_trip), model);
    let mut network = Network::new(&link, seed, &[(config, Duration::ZERO)]);
    network.flows[0].left = TRANSFER_BYTES;
    network.run(TRANSFER_WITHIN);
    let flow = &network.flows[0];
    let time = flow.arrived_at - network.begun;
    flow.arrived as f64 / (BYTES_PER_SECOND as f64 * time.as_secs_f64() * (1.0 - loss))
}

#[test]
fn loss_costs_a_short_round_trip_what_is_lost_and_little_more() {
    let config = QuicConfig::default();
    for (loss, least) in [(0.0, 0.92), (0.05, 0.92), (0.2, 0.9)] {
        let share = share(20, loss, 1, &config);
        assert!(share >= least, "{share} at {loss}");
    }
}

/// The packets lost at the start leave more gaps in the stream than quinn keeps, if they are many.
#[test]
fn a_start_overflows_the_queue_little() {
    let config = QuicConfig::default();
    for loss in [0.0, 0.05] {
        let link = link(Duration::from_millis(100), LossModel::independent(loss));
        let mut network = Network::new(&link, 3, &[(&config, Duration::ZERO)]);
        network.run(Duration::from_secs(3));
        let stats = network.links[0].stats();
        let overflowed = stats.overflowed as f64 / stats.sent as f64;
        assert!(overflowed < 0.05, "{overflowed} at {loss}");
    }
}

/// The first flight waits for it to arrive, and fills the window.
#[test]
fn a_handshake_that_loses_its_end_goes_on() {
    let config = QuicConfig::default();
    let link = link(Duration::from_millis(100), LossModel::independent(0.2));
    for seed in 1..=24 {
        let mut network = Network::new(&link, seed, &[(&config, Duration::ZERO)]);
        network.flows[0].left = 1_000_000;
        network.run(TRANSFER_WITHIN);
        assert_eq!(network.flows[0].arrived, 1_000_000, "seed {seed}");
    }
}

/// Half of all packets are lost: the gaps are as many as they can be.
#[test]
fn heavy_loss_ends_no_connection() {
    assert!(share(100, 0.5, 1, &QuicConfig::default()) > 0.1);
}

#[test]
#[ignore = "soak"]
fn shares_of_the_link() {
    for congestion in [Congestion::Bbr, Congestion::Cubic, Congestion::NewReno] {
        let config = QuicConfig::default().congestion(congestion);
        for loss in [0.0, 0.01, 0.05, 0.2] {
            for round_trip in [1, 20, 100] {
                let share = share(round_trip, loss, 1, &config);
                println!("{congestion:?}, {loss} lost, {round_trip} ms: {share:.3}");
            }
        }
        for round_trip in [1, 20, 100] {
            let share = share_of(round_trip, LossModel::bursts(0.05, 4.0), 0.05, 1, &config);
            println!("{congestion:?}, 0.05 lost in bursts, {round_trip} ms: {share:.3}");
        }
    }
}

/// What the lesser of two has of what both carry for a time, if the second begins so many
/// milliseconds after the first; and the share that overflowed the queue.
fn two_at_once(round_trip: u64, second: u64, time: Duration) -> (f64, f64) {
    let config = QuicConfig::default();
    let link = link(Duration::from_millis(round_trip), LossModel::none());
    let flows = [0, second].map(|after| (&config, Duration::from_millis(after)));
    let mut network = Network::new(&link, 1, &flows);
    let begun = Duration::from_secs(2);
    network.run(begun);
    let before = [0, 1].map(|flow| network.flows[flow].arrived);
    network.run(begun + time);
    let both = [0, 1].map(|flow| (network.flows[flow].arrived - before[flow]) as f64);
    let stats = network.links[0].stats();
    (
        both[0].min(both[1]) / (both[0] + both[1]),
        stats.overflowed as f64 / stats.sent as f64,
    )
}

/// What the least of five has of what all carry for fifteen seconds, after five seconds in which
/// one begins after the other; and the share that overflowed the queue.
fn five_at_once(round_trip: u64, apart: u64) -> (f64, f64) {
    let config = QuicConfig::default();
    let link = link(Duration::from_millis(round_trip), LossModel::none());
    let flows = [0, 1, 2, 3, 4].map(|flow| (&config, Duration::from_millis(apart * flow)));
    let mut network = Network::new(&link, 1, &flows);
    network.run(Duration::from_secs(5));
    let before = network.links[0].stats();
    for flow in &mut network.flows {
        flow.arrived = 0;
    }
    network.run(Duration::from_secs(20));
    let arrived = network.flows.iter().map(|flow| flow.arrived);
    let least = arrived.clone().min().unwrap_or_default() as f64;
    let after = network.links[0].stats();
    (
        least / arrived.sum::<u64>() as f64,
        (after.overflowed - before.overflowed) as f64 / (after.sent - before.sent) as f64,
    )
}

/// A sender that begins behind a full queue must not take it for a part of the way.
#[test]
fn five_at_once_overflow_the_queue_little() {
    let (least, overflowed) = five_at_once(50, 430);
    assert!(overflowed < 0.05, "{overflowed} overflowed");
    assert!(least > 0.1, "the least has {least}");
}

#[test]
#[ignore = "soak"]
fn five_at_once_share_for_long() {
    for round_trip in [5, 20, 50, 100] {
        for apart in [130, 430, 900] {
            let (least, overflowed) = five_at_once(round_trip, apart);
            println!(
                "{round_trip} ms, one after the other after {apart} ms: the least has {least:.2}, \
                 {overflowed:.3} overflowed"
            );
        }
    }
}

#[test]
fn two_at_once_share_within_65_to_35() {
    for second in [350, 500, 800] {
        let (lesser, overflowed) = two_at_once(20, second, Duration::from_secs(12));
        assert!(lesser >= 0.35, "after {second} ms, the lesser has {lesser}");
        assert!(overflowed < 0.1, "{overflowed} overflowed");
    }
}

/// The share that one has beside a flow that takes every loss for a full queue, and begins so
/// many milliseconds later.
fn beside_cubic(round_trip: u64, second: u64, time: Duration) -> f64 {
    let link = link(Duration::from_millis(round_trip), LossModel::none());
    let configs = [Congestion::Bbr, Congestion::Cubic]
        .map(|congestion| QuicConfig::default().congestion(congestion));
    let flows = [
        (&configs[0], Duration::ZERO),
        (&configs[1], Duration::from_millis(second)),
    ];
    let mut network = Network::new(&link, 1, &flows);
    network.run(time);
    let both = [0, 1].map(|flow| network.flows[flow].arrived as f64);
    both[0] / (both[0] + both[1])
}

#[test]
fn beside_cubic_the_share_is_within_65_to_35() {
    for second in [0, 500, 1_500] {
        let share = beside_cubic(20, second, Duration::from_secs(10));
        assert!(
            (0.35..=0.65).contains(&share),
            "{share} beside one that begins after {second} ms"
        );
    }
}

#[test]
#[ignore = "soak"]
fn beside_cubic_for_long() {
    for round_trip in [1, 20, 50, 100] {
        for second in [0, 500, 1_500] {
            for seconds in [10, 30] {
                let share = beside_cubic(round_trip, second, Duration::from_secs(seconds));
                println!("{round_trip} ms, Cubic after {second} ms, {seconds} s: {share:.2}");
            }
        }
    }
}

#[test]
#[ignore = "soak"]
fn two_at_once_share_for_long() {
    for round_trip in [1, 20, 50, 100] {
        for second in [200, 350, 500, 650, 800, 1_500] {
            let (lesser, overflowed) = two_at_once(round_trip, second, Duration::from_secs(12));
            println!(
                "{round_trip} ms, the second after {second} ms: the lesser has {lesser:.2}, \
                 {overflowed:.3} overflowed"
            );
        }
    }
}

const BYTES_PER_SECOND: u64 = 12_500_000;

/// A second of it at full speed is 12.5 MB.
const TRANSFER_BYTES: u64 = 120_000_000;
const TRANSFER_WITHIN: Duration = Duration::from_secs(15);

/// What quinn hands to the system at once.
const MAX_RUN: usize = 10;

/// Ethernet, IPv4 and UDP.
const BELOW_UDP_BYTES: usize = 42;
