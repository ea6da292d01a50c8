//! Pictures over a simulated link, whose parity follows the reports: whole streams in
//! milliseconds, from a seed.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::{Missing, Older, Parity, SplitConfig, Splitter, StreamId};
use sockkit_link::channel::{Filter, Inbound, IncomingDatagram, RepairBudget};
use sockkit_testing::sim::{Link, LinkConfig, LossModel};

use super::{
    ReceiverConfig,
    control::ControlMessage,
    ingest::{Ingest, Moment},
    intake::Intake,
    loss,
    message::PICTURE,
    reports::Reports,
};
use crate::picture::{Picture, PixelFormat, Timestamp};

/// A camera, a link to a viewer and one back.
struct Show {
    now: Instant,
    begun: Instant,
    splitter: Splitter,
    reports: Reports,
    there: Link<Vec<u8>>,
    back: Link<Vec<u8>>,
    inbound: Inbound,
    intake: Intake,
    stats: super::StatsHandle,
    repairs: RepairBudget,
    sent: u64,
    bytes: u64,
}

impl Show {
    fn new(link: &LinkConfig, seed: u64) -> Self {
        let now = Instant::now();
        let (ingest, _pictures, stats) = Ingest::new();
        Self {
            now,
            begun: now,
            splitter: Splitter::new(SplitConfig::default(), StreamId(seed)),
            reports: Reports::new(vec![VIEWER], 1),
            there: Link::new(link.clone(), seed),
            back: Link::new(link.clone(), !seed),
            inbound: Inbound::new(Filter::default(), &ReceiverConfig::limits(), Older::GiveUp),
            intake: Intake::new(ingest),
            stats,
            repairs: RepairBudget::default(),
            sent: 0,
            bytes: 0,
        }
    }

    /// Sends so many pictures, one after the other.
    fn run(&mut self, pictures: u64) {
        for _ in 0..pictures {
            self.send();
            if self.sent.is_multiple_of(RATE_HZ) {
                self.report();
            }
            self.pass(self.begun + INTERVAL * u32::try_from(self.sent).unwrap());
        }
    }

    fn send(&mut self) {
        let picture = Picture::new(PixelFormat::Gray, 300, 200, vec![7; PICTURE_BYTES]).unwrap();
        let picture = picture.numbered(self.sent).captured_at(self.wall());
        let message = picture.to_message().unwrap();
        let parity = self.parity();
        let shards = self.splitter.split(PICTURE, &message, parity).unwrap();
        for datagram in shards.datagrams() {
            self.there.send(self.now, datagram.to_vec());
        }
        self.repairs.refill(shards, 1);
        self.bytes += shards.as_bytes().len() as u64;
        self.sent += 1;
    }

    fn parity(&self) -> Parity {
        loss::parity(self.reports.losses(self.now, None))
    }

    /// The viewer says what it has seen; that may be lost as well.
    fn report(&mut self) {
        let report = self.intake.report(self.now, self.inbound.reception());
        if let Some((_, report)) = report {
            self.back.send(self.now, report.emit());
        }
    }

    /// Lets all arrive that is due until then.
    fn pass(&mut self, until: Instant) {
        loop {
            let links = [
                self.there.deadline(),
                self.back.deadline(),
                self.inbound.next_missing(),
            ];
            match links.into_iter().flatten().min() {
                Some(due) if due <= until => self.now = self.now.max(due),
                _ => break,
            }
            while let Some(datagram) = self.there.poll(self.now) {
                self.arrive(&datagram);
            }
            while let Some(message) = self.back.poll(self.now) {
                match ControlMessage::parse(&message) {
                    Some(ControlMessage::Report(report)) => {
                        self.reports.note(self.now, VIEWER, report)
                    }
                    Some(ControlMessage::Repair(missing)) => self.repair(missing),
                    other => panic!("{other:?}"),
                }
            }
            if let Some((_, missing)) = self.inbound.missing(self.now) {
                self.back
                    .send(self.now, ControlMessage::Repair(missing).emit());
            }
        }
        self.now = until;
    }

    /// As a channel does.
    fn repair(&mut self, missing: Missing) {
        let last = self.splitter.last().unwrap();
        for datagram in self.repairs.take(0, last, missing) {
            self.bytes += datagram.len() as u64;
            self.there.send(self.now, datagram.to_vec());
        }
    }

    fn arrive(&mut self, bytes: &[u8]) {
        let incoming = IncomingDatagram {
            bytes,
            from: CAMERA,
            to: None,
        };
        let whole = self.inbound.handle_datagram(self.now, &incoming).unwrap();
        if let Some(message) = whole {
            let at = Moment {
                now: self.now,
                wall: self.wall(),
            };
            if let Some(sender) = self.intake.handle_message(at, message).unwrap() {
                self.inbound.prefer(sender);
            }
        }
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1 << 50) + (self.now - self.begun)
    }

    fn shown(&self) -> u64 {
        self.stats.meter().clone().snapshot(self.now).received
    }
}

/// The share shown, and the overhead, of 12,000 pictures behind the first three seconds.
fn measure(link: &LinkConfig) -> (f64, f64) {
    let (mut shown, mut bytes) = (0, 0);
    for seed in 0..SEEDS {
        let mut show = Show::new(link, seed);
        show.run(3 * RATE_HZ);
        let before = (show.shown(), show.bytes);
        show.run(PICTURES);
        shown += show.shown() - before.0;
        bytes += show.bytes - before.1;
    }
    let sent = (SEEDS * PICTURES) as f64;
    (
        shown as f64 / sent,
        bytes as f64 / (sent * PICTURE_BYTES as f64) - 1.0,
    )
}

fn link(loss: LossModel) -> LinkConfig {
    LinkConfig::default()
        .rate(12_500_000)
        .delay(Duration::from_millis(5))
        .loss(loss)
}

#[track_caller]
fn check(loss: LossModel, least_shown: f64, most_overhead: f64) {
    let (shown, overhead) = measure(&link(loss));
    println!("{:.3} % shown at {:.1} %", 100.0 * shown, 100.0 * overhead);
    assert!(shown >= least_shown, "{shown} shown");
    assert!(overhead <= most_overhead, "{overhead} overhead");
}

#[test]
fn a_link_that_loses_nothing_costs_next_to_nothing() {
    check(LossModel::none(), 1.0, 0.1);
}

#[test]
fn a_link_that_loses_five_per_cent_shows_999_of_1000_pictures() {
    check(LossModel::independent(0.05), 0.999, 0.4);
}

#[test]
fn a_link_that_loses_in_bursts_shows_999_of_1000_pictures() {
    check(LossModel::bursts(0.05, 4.0), 0.999, 0.4);
}

const CAMERA: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    5_006,
);
const VIEWER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
    5_006,
);

const RATE_HZ: u64 = 30;
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / RATE_HZ);
const PICTURE_BYTES: usize = 60_000;
const SEEDS: u64 = 6;
const PICTURES: u64 = 2_000;
