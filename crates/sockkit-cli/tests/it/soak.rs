//! Memory over a long time.

#![cfg(target_os = "linux")]

use std::{
    io::Read,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::usage;

use crate::{sockkit, viewer::request};

#[test]
fn a_minute_of_pictures_takes_no_more_memory_than_a_few_seconds() {
    check_memory(Duration::from_secs(60));
}

#[test]
#[ignore = "soak"]
fn ten_minutes_of_pictures_take_no_more_memory_than_one() {
    check_memory(Duration::from_secs(600));
}

/// Camera, datagrams, viewer and a browser's stream: what each process holds
/// after a tenth of the time is what it holds at the end.
fn check_memory(lasting: Duration) {
    let view = sockkit(&[
        "view",
        "--plain",
        "udp://127.0.0.1:0",
        "--web",
        "127.0.0.1:0",
    ]);
    let to = format!("udp://{}", view.listening());
    let page: SocketAddr = view
        .line_after("watch     http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let cam = sockkit(&[
        "cam", "--plain", "--source", "pattern", "--to", &to, "--loss", "5",
    ]);
    let mut stream = request(page, "/stream", &page.to_string());
    thread::spawn(move || {
        let mut passing = vec![0; 1 << 16];
        while stream.read(&mut passing).is_ok_and(|bytes| bytes > 0) {}
    });

    let begun = Instant::now();
    let mut early = None;
    loop {
        thread::sleep(Duration::from_millis(100));
        let held =
            [&cam, &view].map(|program| usage::resident_bytes(program.id()).unwrap() / 1_024);
        if begun.elapsed() < lasting / 10 {
            continue;
        }
        let early = *early.get_or_insert(held);
        if begun.elapsed() < lasting {
            continue;
        }
        println!("{early:?} KiB early, {held:?} KiB after {lasting:?} (cam, view)");
        for (early, late) in early.into_iter().zip(held) {
            assert!(late <= early + GROWTH_KIB, "{early} KiB, then {late} KiB");
        }
        break;
    }
    for program in [cam, view] {
        program.interrupt();
        let end = program.end();
        assert_eq!(end.status.code(), Some(130), "{end:?}");
    }
}

/// The allocator's own ups and downs; a leak of one picture in a hundred is more.
const GROWTH_KIB: u64 = 2 << 10;
