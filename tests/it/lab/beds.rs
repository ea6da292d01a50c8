//! The beds in which real packets meet a link's description: each does what that says.

use std::{
    collections::BTreeSet,
    net::UdpSocket,
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Lab, Relay},
    needs::{Need, met},
    sim::{LinkConfig, LossModel},
};

use super::socket;

/// Two hosts, and a relay on the cable of the first.
struct Bed {
    relay: Relay,
    sockets: [UdpSocket; 2],
    _lab: Lab,
}

impl Bed {
    fn new(test: &str, config: &LinkConfig) -> Option<Self> {
        if !met(test, &[Need::Device("/dev/net/tun")]) {
            return None;
        }
        let lab = Lab::new(test, 2, 1)?;
        let relay = lab.host(0).port(0).relay(config, SEED);
        let sockets =
            [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
        for (from, to) in [(0, 1), (1, 0)] {
            sockets[from]
                .connect(sockets[to].local_addr().unwrap())
                .unwrap();
        }
        Some(Self {
            relay,
            sockets,
            _lab: lab,
        })
    }

    /// Sends numbered datagrams over the link; how many until the newest that arrived, and the
    /// numbers of those that did.
    ///
    /// After each few it waits until one of them has arrived, and sends more until one does: no
    /// buffer but the link's can overflow, however busy the machine is.
    fn fly(&self, at_least: u32) -> (u32, Vec<u32>) {
        let [from, to] = &self.sockets;
        to.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let (mut sent, mut due, mut arrived) = (0, 0, Vec::new());
        while sent < at_least {
            let block = sent + BLOCK;
            while due < block {
                if sent >= block
                    && let Some(number) = receive(to)
                {
                    due = due.max(number + 1);
                    arrived.push(number);
                } else {
                    from.send(&u32::to_be_bytes(sent)).unwrap();
                    sent += 1;
                }
            }
        }
        (due, arrived)
    }

    /// How long a datagram takes there and back.
    fn round_trip(&self) -> Duration {
        let [one, other] = &self.sockets;
        let begun = Instant::now();
        one.send(b"ping").unwrap();
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        other.recv(&mut [0; 4]).unwrap();
        other.send(b"pong").unwrap();
        one.set_read_timeout(Some(PATIENCE)).unwrap();
        one.recv(&mut [0; 4]).unwrap();
        begun.elapsed()
    }

    /// Sends so many datagrams of 1,000 bytes at once; how many arrived, and how long after the
    /// first was sent the last one did.
    fn burst(&self, datagrams: usize) -> (usize, Duration) {
        let [from, to] = &self.sockets;
        let begun = Instant::now();
        for _ in 0..datagrams {
            from.send(&[0; 1_000]).unwrap();
        }
        to.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let (mut arrived, mut last) = (0, Duration::ZERO);
        while to.recv(&mut [0; 1_000]).is_ok() {
            (arrived, last) = (arrived + 1, begun.elapsed());
        }
        (arrived, last)
    }
}

fn receive(socket: &UdpSocket) -> Option<u32> {
    let mut number = [0; 4];
    socket.recv(&mut number).ok()?;
    Some(u32::from_be_bytes(number))
}

/// How many of `sent` are missing, and the mean length of a run of those.
fn losses(sent: u32, arrived: &[u32]) -> (f64, f64) {
    let arrived: BTreeSet<_> = arrived.iter().copied().collect();
    let is_lost = |number: &u32| !arrived.contains(number);
    let lost = (0..sent).filter(is_lost).count();
    let begins = |number: &u32| is_lost(number) && (*number == 0 || !is_lost(&(number - 1)));
    let bursts = (0..sent).filter(begins).count();
    (
        lost as f64 / f64::from(sent),
        lost as f64 / bursts.max(1) as f64,
    )
}

#[track_caller]
fn check_loss(test: &str, model: LossModel, share: f64, mean_burst: f64) {
    let Some(bed) = Bed::new(test, &LinkConfig::default().loss(model)) else {
        return;
    };
    let (sent, arrived) = bed.fly(10_000);
    let (lost, burst) = losses(sent, &arrived);
    assert!((lost - share).abs() < 0.03, "{lost} lost");
    assert!((burst / mean_burst - 1.0).abs() < 0.15, "bursts of {burst}");
    // What it says of itself; the system sent some packets as well.
    let stats = bed.relay.unplug().from_host;
    assert_eq!(stats.overflowed, 0);
    assert_eq!(stats.sent, stats.lost + stats.delivered, "{stats:?}");
    assert!(stats.delivered >= arrived.len() as u64, "{stats:?}");
}

#[test]
fn a_relay_loses_single_packets_as_often_as_described() {
    check_loss("lab: a relay loses", LossModel::independent(0.2), 0.2, 1.25);
}

#[test]
fn a_relay_loses_in_bursts_as_long_as_described() {
    check_loss(
        "lab: a relay loses in bursts",
        LossModel::bursts(0.2, 4.0),
        0.2,
        4.0,
    );
}

#[test]
fn a_relay_delays_each_packet_in_both_directions() {
    let config = LinkConfig::default().delay(Duration::from_millis(20));
    let Some(bed) = Bed::new("lab: a relay delays", &config) else {
        return;
    };
    for _ in 0..5 {
        let took = bed.round_trip();
        assert!(took >= Duration::from_millis(40), "{took:?}");
    }
}

#[test]
fn a_relay_sends_no_faster_than_described_and_drops_what_its_queue_does_not_hold() {
    let config = LinkConfig::default().rate(1_000_000).queue_bytes(64_000);
    let Some(bed) = Bed::new("lab: a relay's rate", &config) else {
        return;
    };
    let (arrived, took) = bed.burst(40);
    assert_eq!(arrived, 40);
    // 42 bytes of headers each.
    assert!(took >= Duration::from_micros(40 * 1_042), "{took:?}");
    let (arrived, _) = bed.burst(500);
    assert!((61..500).contains(&arrived), "{arrived} arrived");
    let overflowed = bed.relay.unplug().from_host.overflowed;
    assert_eq!(overflowed, 500 - arrived as u64);
}

#[test]
fn a_relay_sends_twice_and_lets_overtake() {
    let config = LinkConfig::default()
        .duplicate(0.5)
        .reorder(0.2, Duration::from_millis(5));
    let Some(bed) = Bed::new("lab: a relay duplicates", &config) else {
        return;
    };
    let (sent, mut arrived) = bed.fly(500);
    assert!(!arrived.is_sorted(), "nothing was overtaken");
    let copies = arrived.len();
    arrived.sort_unstable();
    arrived.dedup();
    assert!(copies > arrived.len() * 5 / 4, "{copies} of {sent}");
}

#[test]
fn a_host_without_its_relay_gets_an_ordinary_cable_again() {
    let Some(bed) = Bed::new("lab: a relay is unplugged", &LinkConfig::default()) else {
        return;
    };
    bed.round_trip();
    let Bed {
        relay, _lab: lab, ..
    } = bed;
    relay.unplug();
    lab.host(0).port(0).create();
    let [one, other] =
        [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
    one.send_to(b"ping", other.local_addr().unwrap()).unwrap();
    assert!(super::receives(&other));
}

#[test]
fn the_kernel_loses_and_limits_in_both_directions_and_refuses_the_rest() {
    let test = "lab: the kernel shapes";
    if !met(test, &["nft", "tc", "ethtool"].map(Need::Program)) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    let port = lab.host(0).port(0);
    let delayed = LinkConfig::default().delay(Duration::from_millis(1));
    let refused = port.shape(&delayed).unwrap_err();
    assert_eq!(refused.what, "delay");
    let sockets = [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
    let passes = |from: usize| {
        let to = sockets[1 - from].local_addr().unwrap();
        super::send(&sockets[from], to) && super::comes_within(&sockets[1 - from], super::A_MOMENT)
    };
    assert!(passes(0) && passes(1));
    let all = LinkConfig::default().loss(LossModel::independent(1.0));
    port.shape(&all).unwrap();
    assert!(!passes(0) && !passes(1));
    let slow = LinkConfig::default().rate(1_000_000);
    port.shape(&slow).unwrap();
    for from in [0, 1] {
        let begun = Instant::now();
        for _ in 0..60 {
            sockets[from]
                .send_to(&[0; 1_000], sockets[1 - from].local_addr().unwrap())
                .unwrap();
        }
        for _ in 0..60 {
            assert!(super::receives(&sockets[1 - from]));
        }
        // The bucket's 16 KiB go at once.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(40), "{took:?} from {from}");
    }
    port.shape(&LinkConfig::default()).unwrap();
    assert!(passes(0) && passes(1));
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn a_relay_adds_no_more_than_half_a_millisecond() {
        for delay in [Duration::from_micros(500), Duration::from_millis(50)] {
            check("lab: a relay's delay", || {
                let config = LinkConfig::default().delay(delay);
                let Some(bed) = Bed::new("lab: a relay's delay", &config) else {
                    return Ok(());
                };
                let mut took: Vec<_> = (0..20).map(|_| bed.round_trip()).collect();
                took.sort_unstable();
                let median = took[took.len() / 2];
                if median < 2 * (delay + Duration::from_micros(500)) {
                    return Ok(());
                }
                Err(format!("{median:?} there and back"))
            });
        }
    }

    #[test]
    #[ignore = "real time"]
    fn a_relay_carries_a_hundred_megabits() {
        check("lab: a relay's rate", || {
            let config = LinkConfig::default().rate(12_500_000).queue_bytes(1 << 20);
            let Some(bed) = Bed::new("lab: a relay's rate", &config) else {
                return Ok(());
            };
            // As many as the receive buffer holds.
            let (arrived, took) = bed.burst(80);
            let expected = Duration::from_secs_f64(80.0 * 1_042.0 / 12.5e6);
            if arrived == 80 && took < expected + Duration::from_millis(2) {
                return Ok(());
            }
            Err(format!("{arrived} in {took:?}"))
        });
    }
}

/// Less than any receive buffer holds.
const BLOCK: u32 = 32;
const SEED: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(10);
