//! Receivers that are stopped, killed, or late.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::program::Program;

use super::{Class, succeeds};

impl Class {
    /// Waits until the receiver has so many files of at least so many bytes: first one with
    /// what it was sent, then those that it makes of that.
    #[track_caller]
    pub(super) fn wait_for_files(&self, host: u8, count: usize, bytes: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let length = |file: &fs::DirEntry| file.metadata().map_or(0, |file| file.len());
        let counted = || {
            let files = fs::read_dir(self.folder_of(host)).into_iter().flatten();
            files.flatten().filter(|file| length(file) >= bytes).count()
        };
        while counted() < count {
            assert!(Instant::now() < deadline, "host {host} gets nothing");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Three receivers, all as usual. Returns how long the first took.
    fn undisturbed(&self, bytes: usize) -> Duration {
        let film = self.film(bytes);
        let (sender, line) = self.send_to(3, RATE);
        let receivers = [1, 2, 3].map(|host| self.receive(host, &line));
        sender.wait_for_error("has accepted (3 of 3)");
        let began_at = Instant::now();
        let took = (1..).zip(receivers).map(|(host, receiver)| {
            self.is_whole(host, receiver, &film);
            began_at.elapsed()
        });
        let took = took.min().unwrap();
        succeeds(&sender.end());
        took
    }

    /// The first is as usual, the second is stopped, the third is killed and started again,
    /// and a fourth joins in the middle. Returns how long the first took.
    fn disturbed(&self, bytes: usize, stopped_for: Duration) -> Duration {
        let film = self.film(bytes);
        let (sender, line) = self.send_to(3, RATE);
        let [usual, stopped, killed] = [1, 2, 3].map(|host| self.receive(host, &line));
        sender.wait_for_error("has accepted (3 of 3)");
        let began_at = Instant::now();
        (1..=3).for_each(|host| self.wait_for_files(host, 1, 1 << 20));
        stopped.freeze();
        let frozen_at = Instant::now();
        killed.kill();
        assert!(!killed.end().status.success());
        // The stopped one keeps the sender from ending before they are there.
        let [back, late] = [3, 4].map(|host| self.receive(host, &line));
        self.is_whole(1, usual, &film);
        let took = began_at.elapsed();
        self.is_whole(3, back, &film);
        self.is_whole(4, late, &film);
        thread::sleep(stopped_for.saturating_sub(frozen_at.elapsed()));
        stopped.thaw();
        self.is_whole(2, stopped, &film);
        let end = sender.end();
        succeeds(&end);
        let last = end.lines.last().unwrap();
        assert!(last.starts_with("4 of 4 have everything"), "{end:?}");
        took
    }

    #[track_caller]
    fn is_whole(&self, host: u8, receiver: Program, film: &Path) {
        let end = receiver.end();
        succeeds(&end);
        assert!(self.has_film(host, film), "{host}: {end:?}");
    }
}

#[test]
fn those_that_are_stopped_killed_or_late_end_whole_and_are_one_member_each() {
    let Some(class) = Class::new("many: stopped, killed, late", 4, 0.01) else {
        return;
    };
    class.disturbed(8 << 20, Duration::ZERO);
}

#[test]
#[ignore = "soak"]
fn one_that_is_stopped_for_half_a_minute_delays_the_others_little_and_ends_whole() {
    let Some(class) = Class::new("many: stopped for long", 4, 0.01) else {
        return;
    };
    let alone = class.undisturbed(32 << 20);
    for host in 1..=3 {
        fs::remove_file(class.folder_of(host).join("film")).unwrap();
    }
    let delayed = class.disturbed(32 << 20, Duration::from_secs(30));
    println!("{delayed:?} instead of {alone:?}");
    assert!(delayed <= alone.mul_f64(1.05));
}

/// Slow enough for something to happen meanwhile.
const RATE: &[&str] = &["--rate", "24"];
