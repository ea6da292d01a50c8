//! An hour of pictures from a camera whose clock is fast, in a tab that is slow.

use std::{fs, path::PathBuf, time::Instant};

use sockkit::testing::{
    lab::Lab,
    needs::{Need, met},
    program::Program,
};

use crate::{
    browser::{Browser as _, Page},
    command,
    viewer::sorted_ages,
};

/// A clock of 500 ppm is 1.8 s ahead after it.
#[test]
#[ignore = "soak"]
fn pictures_are_as_fresh_after_an_hour() {
    let needs = ["chromium", "faketime"].map(Need::Program);
    if !met("pictures of a fast clock", &needs) {
        return;
    }
    // On one machine there is one clock: `view` believes a sender on its own.
    let Some(lab) = Lab::new("pictures of a fast clock", 2, 1) else {
        return;
    };
    let (here, there) = (lab.host(1), lab.host(0));
    let at = here.port(0).ipv4();
    let listen = format!("udp://{at}:0");
    let mut view = command();
    view.args(["view", "--plain", "--listen", &listen, "--stats", "--web"]);
    view.arg(format!("{at}:0"));
    let view = here.run(|| Program::start(&mut view));
    let to = format!("udp://{}", view.listening());
    let page = view.line_after("watch     ");
    let begun = Instant::now();
    let _cam = there.run(|| fast_cam(&to));
    let mut page = here.run(|| Page::open(&page));
    page.until("String(tiles.size)", |found| found == "1");
    page.throttle(SLOWER);

    let mut minute = |seconds| {
        let by_view = last_minute(&view, seconds);
        let in_the_tab = p99_ms(&mut page, begun);
        println!(
            "{:.0?}: p99 {in_the_tab:.1} ms in the tab, {by_view:.1} ms",
            begun.elapsed()
        );
        [in_the_tab, by_view]
    };
    let (first, last) = (minute(60), minute(LASTING_S - 60));
    for (first, last) in first.into_iter().zip(last) {
        assert!(last <= first + INTERVAL_MS, "{first} ms, then {last} ms");
    }
}

/// Its wall clock is fast; the pause between its pictures is not.
fn fast_cam(to: &str) -> Program {
    let mut cam = command();
    cam.args(["cam", "--plain", "--source", "pattern", "--to", to])
        .env("LD_PRELOAD", fake_time())
        .env("FAKETIME", format!("+0 x{}", 1.0 + FAST))
        .env("DONT_FAKE_MONOTONIC", "1");
    Program::start(&mut cam)
}

/// The library that `faketime` loads. The program itself would be between the camera and its
/// signals.
fn fake_time() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let libraries = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketime.so.1"));
    let mut there = libraries.filter(|library| library.exists());
    there.next().expect("faketime's library")
}

/// The p99 of the last minute of so many seconds, as `view` estimates it: the median of its lines.
fn last_minute(view: &Program, seconds: usize) -> f64 {
    // One each second: this waits for them.
    let lines = std::iter::repeat_with(|| view.line_after("received="));
    let lines = lines.take(seconds).skip(seconds - 60);
    let p99s = lines.filter_map(|line| {
        let mut words = line.split(' ');
        let p99 = words.find_map(|word| word.strip_prefix("age_p99_ms="));
        p99.unwrap().parse::<f64>().ok()
    });
    let mut p99s: Vec<_> = p99s.collect();
    p99s.sort_unstable_by(f64::total_cmp);
    p99s[p99s.len() / 2]
}

/// Of ten seconds of pictures in the tab, by the clock of this machine.
fn p99_ms(page: &mut Page, begun: Instant) -> f64 {
    // The stamps are of the fast clock, so that their ages are too low.
    let ahead_ms = begun.elapsed().as_secs_f64() * FAST * 1_000.0;
    let ages = sorted_ages(page, "document.querySelector('canvas')");
    ages[ages.len() * 99 / 100] + ahead_ms
}

const LASTING_S: usize = 3_600;
const INTERVAL_MS: f64 = 40.0;
const FAST: f64 = 0.000_5;
/// The tab has this part of the time that it would have.
const SLOWER: u32 = 4;
