//! `sockkit send` and `sockkit receive` over `quic://`.

use std::{
    fs,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::program::Program;

use crate::{
    send_receive::{Desk, big, fails_last, send},
    sockkit,
};

impl Desk {
    /// Starts a receiver and waits until it listens; what to give `--to`.
    fn quic_receiver(&self, arguments: &[&str]) -> (Program, String) {
        let into = self.into.path().to_str().unwrap();
        let fixed = [
            "receive",
            "--plain",
            "--into",
            into,
            "--listen",
            "quic://127.0.0.1:0",
        ];
        let program = sockkit(&[&fixed, arguments].concat());
        let place = program.line_after("listening on ");
        assert!(place.starts_with("quic://127.0.0.1:"), "{place}");
        (program, place)
    }
}

/// The sixteen groups of four, wherever they are said.
fn fingerprint(said: &str) -> &str {
    let is_one = |line: &&str| {
        let groups: Vec<_> = line.split('-').collect();
        groups.len() == 16 && groups.iter().all(|group| group.len() == 4)
    };
    said.lines()
        .map(str::trim)
        .find(is_one)
        .unwrap_or_else(|| panic!("no fingerprint: {said}"))
}

#[test]
fn files_arrive_and_both_show_the_same_digests_and_fingerprint() {
    let desk = Desk::new();
    let one = desk.write("one.txt", b"one\n");
    desk.write("사진/바다 1.jpg", &big());
    desk.write("사진/빈/empty", b"");
    let album = desk.from.path().join("사진");

    let (receiver, place) = desk.quic_receiver(&["--yes"]);
    let sent = send(&[&one, album.to_str().unwrap()], &place).end();
    let received = receiver.end();

    assert!(sent.status.success(), "{sent:?}");
    assert!(received.status.success(), "{received:?}");
    assert_eq!(sent.lines, received.lines);
    assert_eq!(fingerprint(&sent.errors), fingerprint(&received.errors));
    for side in [&sent, &received] {
        assert!(side.errors.contains("is not authenticated"), "{side:?}");
        assert!(!side.errors.contains("not encrypted"), "{side:?}");
    }
    assert_eq!(fs::read(desk.arrived("사진/바다 1.jpg")).unwrap(), big());
    assert_eq!(desk.names(), ["one.txt", "사진"]);
}

#[test]
fn ctrl_c_on_either_side_leaves_what_the_next_attempt_goes_on_from() {
    for side in ["sender", "receiver"] {
        let desk = Desk::new();
        let path = desk.write("big", &vec![7; 256 << 20]);
        let (receiver, place) = desk.quic_receiver(&["--yes"]);
        let sender = send(&[&path], &place);
        let deadline = Instant::now() + Duration::from_secs(60);
        while desk.verified_blocks() == 0 {
            assert!(Instant::now() < deadline, "nothing arrives");
            thread::yield_now();
        }
        match side {
            "sender" => sender.interrupt(),
            _ => receiver.interrupt(),
        }
        let pressed = Instant::now();
        let (sent, received) = (sender.end(), receiver.end());
        // The other side is told, and need not wait out a timeout.
        assert!(pressed.elapsed() < Duration::from_secs(15), "{side}");
        let (stopped, other) = match side {
            "sender" => (sent, received),
            _ => (received, sent),
        };
        assert!(stopped.errors.contains("stopped"), "{side}: {stopped:?}");
        assert!(!other.status.success(), "{side}");
        assert!(other.errors.contains("same command to resume"), "{other:?}");
        assert!(!desk.arrived("big").exists());

        let (receiver, place) = desk.quic_receiver(&["--yes"]);
        let (sent, received) = (send(&[&path], &place).end(), receiver.end());
        assert!(
            sent.status.success() && received.status.success(),
            "{sent:?} {received:?}"
        );
        assert!(
            !received.errors.contains("256.00 MiB moved"),
            "{received:?}"
        );
        assert_eq!(desk.names(), ["big"]);
    }
}

#[test]
fn a_killed_peer_is_an_error_within_the_idle_timeout() {
    let desk = Desk::new();
    let path = desk.write("big", &vec![7; 256 << 20]);
    let (receiver, place) = desk.quic_receiver(&["--yes"]);
    let sender = send(&[&path], &place);
    let deadline = Instant::now() + Duration::from_secs(60);
    while desk.verified_blocks() == 0 {
        assert!(Instant::now() < deadline, "nothing arrives");
        thread::yield_now();
    }
    sender.kill();
    let received = receiver.end();
    assert!(!received.status.success());
    assert!(
        received.errors.contains("same command to resume"),
        "{received:?}"
    );
}

#[test]
fn either_side_may_listen() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    let sender = sockkit(&[
        "send",
        "--plain",
        "--yes",
        "--listen",
        "quic://127.0.0.1:0",
        &path,
    ]);
    let place = sender.line_after("listening on ");
    let into = desk.into.path().to_str().unwrap();
    let received = sockkit(&["receive", "--plain", &place, "--yes", "--into", into]).end();
    assert!(received.status.success(), "{received:?}");
    let sent = sender.end();
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(fs::read(desk.arrived("a")).unwrap(), b"contents");
}

#[test]
fn what_cannot_begin_says_why() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("quic://{closed}");
    let words = [
        closed.as_str(),
        "port closed",
        "is the other side listening",
    ];
    fails_last(&["send", "--plain", "--to", &closed, &path], &words);
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mute = format!("quic://{}", mute.local_addr().unwrap());
    fails_last(
        &["send", "--plain", "--to", &mute, &path],
        &[&mute, "did not answer", "firewall"],
    );
}

#[test]
fn garbage_does_not_end_the_receivers_wait() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let (receiver, place) = desk.quic_receiver(&["--yes"]);
    let address = place.strip_prefix("quic://").unwrap().to_owned();
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let stranger = thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = fastrand::Rng::with_seed(2);
        while !has_ended.load(Relaxed) {
            let mut datagram = vec![0; random.usize(..1_400)];
            random.fill(&mut datagram);
            let _ = socket.send_to(&datagram, &address);
        }
    });
    let sent = send(&[&path], &place).end();
    ended.store(true, Relaxed);
    stranger.join().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success());
    assert_eq!(fs::read(desk.arrived("a")).unwrap(), b"a");
}

#[test]
fn somebody_who_offers_nothing_does_not_end_the_receivers_wait() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let (receiver, place) = desk.quic_receiver(&["--yes"]);
    // Another receiver: both want to receive.
    let other = Desk::new();
    let into = other.into.path().to_str().unwrap();
    let wrong = sockkit(&["receive", "--plain", &place, "--yes", "--into", into]).end();
    assert!(wrong.errors.contains("both to receive"), "{wrong:?}");
    let sent = send(&[&path], &place).end();
    assert!(sent.status.success(), "{sent:?}");
    let received = receiver.end();
    assert!(received.status.success(), "{received:?}");
    assert!(received.errors.contains("both to receive"), "{received:?}");
}
