//! Files over a link that loses packets: QUIC beside TCP, in the lab.
//!
//! Two hosts, 100 Mbit/s each way, every packet by itself, and the same share
//! of the packets lost at either end. Goodput is printed and not asserted.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use sockkit::{
    file::{
        Destination, FileSet, OnConflict, OnProgress, Progress, ReceiveConfig, ReceiveError,
        SendConfig, SendError, receive, send,
    },
    options::SocketOptions,
    quic::{self, Congestion},
    tcp,
    testing::{
        lab::Lab,
        needs::{Need, met},
    },
};
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

use super::contents;

/// What carries the session.
#[derive(Clone, Copy, Debug)]
enum Over {
    Tcp,
    Quic(Congestion),
}

/// Shares of packets lost, in each direction.
const LOSSES: [f64; 4] = [0.0, 0.01, 0.05, 0.2];

const QUIC: Over = Over::Quic(Congestion::Bbr);

/// Two hosts and a link; `None` if this machine has no lab.
fn link(test: &str, loss: f64) -> Option<Lab> {
    let needs = ["nft", "ethtool", "tc"].map(Need::Program);
    if !met(test, &needs) {
        return None;
    }
    let lab = Lab::new(test, 2, 1)?;
    for host in 0..2 {
        let port = lab.host(host).port(0);
        port.offloads_off();
        port.rate(100_000_000);
        port.loss(loss);
    }
    Some(lab)
}

/// A file to send, and a place for each transfer to put it.
struct Desk {
    folder: TempDir,
    file: PathBuf,
    contents: Vec<u8>,
}

impl Desk {
    fn new(bytes: usize) -> Self {
        let folder = tempdir().unwrap();
        let (file, contents) = (folder.path().join("film"), contents(bytes, 7));
        fs::write(&file, &contents).unwrap();
        Self {
            folder,
            file,
            contents,
        }
    }

    /// A transfer that has not begun.
    fn transfer(&self, name: &str, over: Over, limit: Duration) -> Transfer {
        let into = self.folder.path().join(name);
        fs::create_dir(&into).unwrap();
        Transfer {
            file: self.file.clone(),
            into,
            over,
            limit,
            moved: Arc::default(),
        }
    }

    /// Whether the file lies there as it was sent.
    fn has(&self, transfer: &Transfer) -> bool {
        fs::read(transfer.into.join("film")).is_ok_and(|there| there == self.contents)
    }
}

struct Transfer {
    file: PathBuf,
    into: PathBuf,
    over: Over,
    limit: Duration,
    /// Bytes of the file that the receiver has.
    moved: Arc<AtomicU64>,
}

impl Transfer {
    /// From the first host to the second; how long until the sender knew that
    /// all had arrived, if it came to that within the limit.
    fn run(&self, lab: &Lab) -> Option<Duration> {
        let (into, over, limit) = (self.into.clone(), self.over, self.limit);
        let moved = Arc::clone(&self.moved);
        let (ready, is_ready) = channel();
        let at = SocketAddr::from((lab.host(1).port(0).ipv4(), 0));
        let receiver = lab
            .host(1)
            .spawn(async move || timeout(limit, take(over, at, ready, &into, moved)).await);
        let address = is_ready.recv().unwrap();
        let started = Instant::now();
        let sent = lab
            .host(0)
            .block_on(async || timeout(limit, give(over, address, &self.file)).await);
        let elapsed = started.elapsed();
        // A sender that ran out of time leaves a broken connection to the receiver.
        let _ = receiver.join();
        matches!(sent, Ok(true)).then_some(elapsed)
    }

    fn megabits_per_second(&self, elapsed: Duration) -> f64 {
        self.moved.load(Relaxed) as f64 * 8.0 / 1e6 / elapsed.as_secs_f64()
    }
}

/// Whether all of it arrived, and not only what the receiver had time for.
async fn give(over: Over, to: SocketAddr, file: &Path) -> bool {
    let source = FileSet::gather([file]).unwrap();
    let config = SendConfig::default();
    let summary = match over {
        Over::Tcp => {
            // The kernel's default may be another one.
            let options = SocketOptions::new().congestion("cubic");
            let connector = tcp::Connector::default().options(options);
            let stream = connector.connect(to).await.unwrap();
            send(stream, source, &config).await
        }
        Over::Quic(congestion) => {
            let quic = quic::QuicConfig::default().congestion(congestion);
            let stream = quic::connect_with(to, &quic).await.unwrap();
            let handle = stream.handle();
            let summary = send(stream, source, &config).await;
            // The runtime ends with this function.
            handle.closed(Duration::from_secs(2)).await;
            summary
        }
    };
    summary.is_ok_and(|summary| summary.is_complete())
}

async fn take(
    over: Over,
    at: SocketAddr,
    ready: Sender<SocketAddr>,
    into: &Path,
    moved: Arc<AtomicU64>,
) {
    let destination = Destination::open(into).unwrap();
    let config = ReceiveConfig::default().on_progress(OnProgress::new(move |progress| {
        if let Progress::Moved { bytes, .. } = progress {
            moved.fetch_add(bytes, Relaxed);
        }
    }));
    let summary = match over {
        Over::Tcp => {
            let listener = tcp::Listener::bind(at).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let incoming = receive(stream, &config).await.unwrap();
            incoming.accept(&destination).await
        }
        Over::Quic(_) => {
            let listener = quic::Listener::bind(at).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let handle = stream.handle();
            let incoming = receive(stream, &config).await.unwrap();
            let summary = incoming.accept(&destination).await;
            handle.closed(Duration::from_secs(2)).await;
            summary
        }
    };
    assert!(summary.unwrap().is_complete());
}

/// Sends a file over each, at each loss; what QUIC carries must arrive.
fn compare(test: &str, bytes: usize, overs: &[Over], limit: impl Fn(Over) -> Duration) {
    let desk = Desk::new(bytes);
    for loss in LOSSES {
        let Some(lab) = link(test, loss) else {
            return;
        };
        for &over in overs {
            let transfer = desk.transfer(&format!("{over:?} {loss}"), over, limit(over));
            let through = transfer.run(&lab);
            let elapsed = through.unwrap_or(transfer.limit);
            println!(
                "{:>2} % loss, {over:?}: {:.1} Mbit/s, {} in {elapsed:.1?}",
                loss * 100.0,
                transfer.megabits_per_second(elapsed),
                if through.is_some() {
                    "all of it"
                } else {
                    "not all"
                },
            );
            if matches!(over, Over::Quic(_)) {
                assert!(through.is_some(), "{over:?} at {loss}: not in time");
                assert!(desk.has(&transfer), "{over:?} at {loss}: not the same file");
            }
        }
    }
}

#[test]
fn a_file_arrives_whole_whatever_the_link_loses() {
    compare(
        "files: a lossy link",
        10 << 20,
        &[QUIC, Over::Tcp],
        |over| {
            Duration::from_secs(match over {
                Over::Tcp => 4,
                Over::Quic(_) => 60,
            })
        },
    );
}

#[test]
#[ignore = "soak"]
fn a_hundred_mebibytes_arrive_whole_whatever_the_link_loses() {
    compare(
        "files: a lossy link",
        100 << 20,
        &[QUIC, Over::Tcp],
        |over| {
            Duration::from_secs(match over {
                Over::Tcp => 40,
                Over::Quic(_) => 300,
            })
        },
    );
}

/// For the figures in `docs/decisions/reliable-udp.md`; nothing is asserted.
#[test]
#[ignore = "soak"]
fn congestion_controllers_compared() {
    let desk = Desk::new(20 << 20);
    for congestion in [Congestion::Bbr, Congestion::Cubic, Congestion::NewReno] {
        let over = Over::Quic(congestion);
        for loss in LOSSES {
            let Some(lab) = link("files: controllers", loss) else {
                return;
            };
            let name = format!("{over:?} {loss}");
            let transfer = desk.transfer(&name, over, Duration::from_secs(10));
            let elapsed = transfer.run(&lab).unwrap_or(transfer.limit);
            let rate = transfer.megabits_per_second(elapsed);
            println!("{:>2} % loss, {over:?}: {rate:.1} Mbit/s", loss * 100.0);
        }
        let shares = [(); 5].map(|()| share(20 << 20, over, 0.0).unwrap_or_default());
        println!("{over:?}: the lesser of two has {shares:.2?}");
    }
}

#[test]
fn a_cable_that_is_cut_ends_the_session_on_both_sides_in_time() {
    const IDLE: Duration = Duration::from_secs(2);
    let Some(lab) = link("files: a cut cable", 0.0) else {
        return;
    };
    let desk = Desk::new(50 << 20);
    let into = desk.folder.path().to_owned();
    let at = SocketAddr::from((lab.host(1).port(0).ipv4(), 0));
    let (ready, is_ready) = channel();
    let (moves, has_moved) = channel();
    let receiver = lab.host(1).spawn(async move || {
        let listener = quic::Listener::bind(at).unwrap();
        ready.send(listener.local_addr().unwrap()).unwrap();
        let destination = Destination::open(&into).unwrap();
        let on_progress = OnProgress::new(move |progress| {
            if let Progress::Moved { .. } = progress {
                let _ = moves.send(());
            }
        });
        let config = ReceiveConfig::default()
            .idle_timeout(IDLE)
            .on_conflict(OnConflict::Overwrite)
            .on_progress(on_progress);
        let (stream, _) = listener.accept().await.unwrap();
        let incoming = receive(stream, &config).await.unwrap();
        incoming.accept(&destination).await
    });
    let (file, to) = (desk.file.clone(), is_ready.recv().unwrap());
    let sender = lab.host(0).spawn(async move || {
        let source = FileSet::gather([file]).unwrap();
        let stream = quic::connect(to).await.unwrap();
        send(stream, source, &SendConfig::default().idle_timeout(IDLE)).await
    });
    has_moved.recv().unwrap();
    lab.host(1).port(0).cut();
    let cut = Instant::now();
    let (sent, received) = (sender.join().unwrap(), receiver.join().unwrap());
    assert!(matches!(sent, Err(SendError::Io(_))), "{sent:?}");
    assert!(matches!(received, Err(ReceiveError::Io(_))), "{received:?}");
    // Well before QUIC's own 20 s.
    assert!(
        cut.elapsed() < Duration::from_secs(12),
        "{:?}",
        cut.elapsed()
    );
}

/// QUIC follows an end that gets another address: no command is given again, and nothing
/// is sent twice.
#[test]
fn a_transfer_survives_a_change_of_the_diallers_address() {
    let Some(lab) = link("files: another address", 0.0) else {
        return;
    };
    let desk = Desk::new(10 << 20);
    let transfer = desk.transfer("moved", QUIC, Duration::from_secs(60));
    let port = lab.host(0).port(0);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| transfer.run(&lab));
        while transfer.moved.load(Relaxed) < 2 << 20 && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        lab.host(0).run(|| {
            let [a, b, c, d] = port.ipv4().octets();
            let (old, new) = (port.ipv4(), Ipv4Addr::new(a, b, c, d + 100));
            for (change, address) in [("del", old), ("add", new)] {
                let address = format!("{address}/24");
                let mut ip = Command::new("ip");
                ip.args(["address", change, &address, "dev", &port.interface()]);
                assert!(ip.status().unwrap().success());
            }
        });
        let changed_at = transfer.moved.load(Relaxed);
        assert!(changed_at < 10 << 20, "the change came too late");
        let took = running.join().unwrap().expect("it comes to its end");
        println!("changed after {changed_at} bytes, done after {took:.1?}");
    });
    assert!(desk.has(&transfer));
    assert_eq!(transfer.moved.load(Relaxed), 10 << 20);
}

/// What the lesser of two transfers at once gets of the link, over the time in
/// which both run; `None` without a lab.
fn share(bytes: usize, over: Over, loss: f64) -> Option<f64> {
    let lab = link("files: two at once", loss)?;
    let desk = Desk::new(bytes);
    let both = ["one", "other"].map(|name| desk.transfer(name, over, Duration::from_secs(120)));
    let start = Barrier::new(2);
    let at_the_first_end = std::thread::scope(|scope| {
        let running = both.each_ref().map(|transfer| {
            let (lab, start, both) = (&lab, &start, &both);
            scope.spawn(move || {
                start.wait();
                transfer.run(lab).expect("in time");
                (
                    Instant::now(),
                    both.each_ref().map(|transfer| transfer.moved.load(Relaxed)),
                )
            })
        });
        let ends = running.map(|running| running.join().unwrap());
        ends.into_iter().min().expect("two").1
    });
    for transfer in &both {
        assert!(desk.has(transfer), "not the same file");
    }
    let [one, other] = at_the_first_end;
    Some(one.min(other) as f64 / (one + other) as f64)
}

#[test]
fn two_transfers_at_once_share_the_link() {
    if let Some(share) = share(10 << 20, QUIC, 0.0) {
        println!("the lesser of two has {:.0} %", share * 100.0);
    }
}

#[test]
#[ignore = "soak"]
fn two_large_transfers_at_once_share_the_link_within_60_to_40() {
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let Some(share) = share(100 << 20, QUIC, 0.0) else {
            return;
        };
        println!("the lesser of two has {:.0} %", share * 100.0);
        best = best.max(share);
        if best >= 0.4 {
            return;
        }
    }
    panic!("in no run did both have at least 40 %; at best {best:.2}");
}
