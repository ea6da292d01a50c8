//! Hosts on one bridge, and a file.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sockkit::testing::{lab::Lab, program::Program};
use tempfile::TempDir;

use super::{Cell, Figures, MAX_TIMES, PATIENCE, Usage, usage::until_first_ends};
use crate::bench::loss::{BURST_PACKETS, BURSTS_SHARE, Loss};

/// A sender at host 0, and receivers at the others.
pub(super) struct Bed {
    pub(super) lab: Lab,
    pub(super) receivers: u8,
    loss: Loss,
    folder: TempDir,
    film: Vec<u8>,
}

/// Bytes on the Ethernet so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    sent: u64,
    back: u64,
}

impl Bed {
    pub(super) fn new(cell: Cell, bytes: u64) -> anyhow::Result<Self> {
        let Some(lab) = Lab::new("bench many", cell.receivers + 1, 1) else {
            bail!("network namespaces cannot be made here");
        };
        lab.host(0).port(0).offloads_off();
        for receiver in 1..=cell.receivers {
            lab.host(receiver).port(0).offloads_off();
        }
        let bed = Self {
            lab,
            receivers: cell.receivers,
            loss: cell.loss,
            folder: tempfile::tempdir()?,
            film: noise(usize::try_from(bytes)?),
        };
        fs::write(bed.film(), &bed.film)?;
        for receiver in 1..=bed.receivers {
            fs::create_dir(bed.folder_of(receiver))?;
        }
        Ok(bed)
    }

    /// From now on the receivers lose packets. A burst lasts for some packets, however
    /// long after another they come: one of a handshake waits seconds for the next.
    pub(super) fn lose(&self) {
        for receiver in 1..=self.receivers {
            let port = self.lab.host(receiver).port(0);
            match self.loss {
                Loss::Single { .. } => port.loss(self.loss.share()),
                Loss::Bursts => port.loss_in_bursts(BURSTS_SHARE, BURST_PACKETS),
            }
        }
    }

    /// The file to be sent.
    pub(super) fn film(&self) -> PathBuf {
        self.folder().join("film")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a receiver writes.
    pub(super) fn folder_of(&self, receiver: u8) -> PathBuf {
        self.folder().join(format!("in{receiver}"))
    }

    pub(super) fn counted(&self) -> Counted {
        let sent = |host| self.lab.host(host).port(0).sent_bytes();
        Counted {
            sent: sent(0),
            back: (1..=self.receivers).map(sent).sum(),
        }
    }

    /// Waits until the sender, which is the first of the programs, has ended, and compares
    /// the files. `before` is what was counted when the transfer began.
    pub(super) fn finish(
        &self,
        programs: Vec<Program>,
        before: Counted,
        mbits: u64,
    ) -> anyhow::Result<Figures> {
        let begun_at = Instant::now();
        let at_most = self.pure(mbits) * MAX_TIMES + PATIENCE;
        let taken = until_first_ends(&programs, at_most)?;
        let took = begun_at.elapsed();
        let after = self.counted();
        let mut programs = programs.into_iter();
        if let Some(sender) = programs.next() {
            let end = sender.end();
            if !end.status.success() {
                let why = end.errors.lines().last().unwrap_or_default();
                bail!("the sender failed: {why}");
            }
        }
        for receiver in 1..=self.receivers {
            self.compare(receiver)?;
        }
        let file = self.film.len() as f64;
        let ratio = |from: u64, to: u64| (to - from) as f64 / file;
        let (sender, receivers) = taken.split_first().context("there is a sender")?;
        Ok(Figures {
            sent: ratio(before.sent, after.sent),
            back: ratio(before.back, after.back),
            time: took.as_secs_f64() / self.pure(mbits).as_secs_f64(),
            sender: *sender,
            receiver: Usage::of_one(receivers),
            join_bytes: None,
        })
    }

    /// The bytes that a receiver took to join.
    pub(super) fn joined(&self, from: Counted, to: Counted) -> u64 {
        (to.sent + to.back - from.sent - from.back) / u64::from(self.receivers)
    }

    /// Some senders end before the last receiver has written everything.
    fn compare(&self, receiver: u8) -> anyhow::Result<()> {
        let path = self.folder_of(receiver).join("film");
        let deadline = Instant::now() + WRITTEN_WITHIN;
        while fs::read(&path).ok().as_ref() != Some(&self.film) {
            if Instant::now() > deadline {
                bail!("receiver {receiver} does not have the file");
            }
            thread::sleep(AGAIN);
        }
        Ok(fs::remove_file(path)?)
    }

    /// The time of sending the data once in full packets.
    fn pure(&self, mbits: u64) -> Duration {
        let packets = (self.film.len() as u64).div_ceil(PACKET_BYTES_OF_FILE);
        Duration::from_nanos(packets * PACKET_BYTES * 8 * 1_000 / mbits)
    }
}

/// Bytes that cannot be compressed, the same each time.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 6_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        noise.extend_from_slice(&(word ^ word >> 31).to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// Of `send --many`, on the Ethernet.
const PACKET_BYTES: u64 = 1_514;
const PACKET_BYTES_OF_FILE: u64 = 1_444;

const WRITTEN_WITHIN: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);
