//! A cable whose packets pass through this process: delay, bursts, rate and
//! queue.

use std::{
    fs::File,
    io::{Read, Write},
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::kernel;
use crate::sim::{Link, LinkConfig, LinkStats};

/// The cable between a host and the switch, made by [`Port::relay`](super::Port::relay).
/// Unplugged when dropped: the host then has no such interface.
#[derive(Debug)]
#[must_use = "a relay that is dropped is unplugged"]
pub struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<RelayStats>>,
}

/// Statistics of a relay, per direction.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RelayStats {
    /// Of packets that the host sent.
    pub from_host: LinkStats,
    /// Of packets sent to the host.
    pub to_host: LinkStats,
}

impl Relay {
    /// Relays frames between the two ends; the host's is first.
    pub(super) fn start(ends: [File; 2], config: &LinkConfig, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let links = [seed, seed.rotate_left(32) ^ 1].map(|seed| Link::new(config.clone(), seed));
        let relaying = Relaying {
            ends,
            links,
            frame: vec![0; MAX_FRAME_BYTES],
        };
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || relaying.run(&stop)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Unplugs the cable; packets in flight are lost.
    ///
    /// # Panics
    /// If the relay panicked.
    pub fn unplug(mut self) -> RelayStats {
        self.stop().unwrap_or_default()
    }

    fn stop(&mut self) -> Option<RelayStats> {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take()?.join();
        // One panic is enough.
        match ended {
            Ok(stats) => Some(stats),
            Err(_) if thread::panicking() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// State of the relay's thread.
struct Relaying {
    ends: [File; 2],
    /// From each end to the other.
    links: [Link<Vec<u8>>; 2],
    frame: Vec<u8>,
}

impl Relaying {
    fn run(mut self, stop: &AtomicBool) -> RelayStats {
        kernel::wait_precisely();
        while !stop.load(Relaxed) {
            for end in [0, 1] {
                self.take(end);
                self.deliver(end);
            }
            let deadlines = self.links.iter().filter_map(Link::deadline);
            let left = deadlines.min().map_or(STOP_WITHIN, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            let [one, other] = &self.ends;
            kernel::wait([one, other], left.min(STOP_WITHIN)).expect("both ends are open");
        }
        let [from_host, to_host] = self.links.map(|link| link.stats());
        RelayStats { from_host, to_host }
    }

    /// Reads what one end sends into its link.
    fn take(&mut self, end: usize) {
        let [from, to] = [&self.ends[end], &self.ends[1 - end]];
        for _ in 0..FRAMES_A_TURN {
            let mut from = from;
            // It would block, or the interface is down and sends nothing.
            let Ok(bytes) = from.read(&mut self.frame) else {
                return;
            };
            let frame = &self.frame[..bytes];
            if is_about_neighbours(frame) {
                give(to, frame);
            } else {
                self.links[end].send(Instant::now(), frame.to_vec());
            }
        }
    }

    /// Writes what has arrived over this end's link to the other end.
    fn deliver(&mut self, end: usize) {
        let now = Instant::now();
        while let Some(frame) = self.links[end].poll(now) {
            give(&self.ends[1 - end], &frame);
        }
    }
}

/// An interface that is down accepts no frames, like an unconnected cable.
fn give(mut to: &File, frame: &[u8]) {
    let _ = to.write(frame);
}

/// Whether the frame is part of neighbour discovery: ARP, or the ICMPv6
/// messages of RFC 4861. It passes immediately. Losing one would delay all
/// packets for a second, which is the kernel's retry interval and not part of a
/// link's description.
fn is_about_neighbours(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some(&[0x08, 0x06]) => true,
        Some(&[0x86, 0xdd]) => {
            frame.get(20) == Some(&58) && matches!(frame.get(54), Some(133..=137))
        }
        _ => false,
    }
}

/// How many frames one end may send before the other is polled.
const FRAMES_A_TURN: usize = 16;

/// Larger than any interface here sends at once.
const MAX_FRAME_BYTES: usize = 1 << 16;

/// How long an idle relay may take to notice that it is stopped.
const STOP_WITHIN: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_about_neighbours_are_told_from_other_packets() {
        let frame = |ethertype: [u8; 2], next_header, message| {
            let mut frame = [0; 60];
            frame[12..14].copy_from_slice(&ethertype);
            (frame[20], frame[54]) = (next_header, message);
            frame
        };
        assert!(is_about_neighbours(&frame([0x08, 0x06], 0, 0)));
        assert!(is_about_neighbours(&frame([0x86, 0xdd], 58, 135)));
        // An echo request; UDP; IPv4; and what is cut short.
        for other in [
            frame([0x86, 0xdd], 58, 128),
            frame([0x86, 0xdd], 17, 135),
            frame([0x08, 0x00], 58, 135),
        ] {
            assert!(!is_about_neighbours(&other));
        }
        let whole = frame([0x86, 0xdd], 58, 135);
        for length in 0..=54 {
            assert!(!is_about_neighbours(&whole[..length]), "{length} bytes");
        }
    }
}
