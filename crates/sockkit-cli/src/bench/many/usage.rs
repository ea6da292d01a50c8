//! What processes take.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use sockkit::testing::{program::Program, usage};

/// What a process has taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Usage {
    /// User and system time.
    pub(super) cpu: Duration,
    /// Resident memory at its highest.
    pub(super) peak_bytes: u64,
}

impl Usage {
    /// The mean of the times, the most of the memory.
    pub(super) fn of_one(all: &[Self]) -> Self {
        let count = u32::try_from(all.len()).unwrap_or(1).max(1);
        let cpu: Duration = all.iter().map(|usage| usage.cpu).sum();
        let peak_bytes = all.iter().map(|usage| usage.peak_bytes).max();
        Self {
            cpu: cpu / count,
            peak_bytes: peak_bytes.unwrap_or_default(),
        }
    }
}

/// Waits until the first of the programs has ended, and returns what each has taken.
///
/// # Errors
/// If it does not end in time.
pub(super) fn until_first_ends(
    programs: &[Program],
    at_most: Duration,
) -> anyhow::Result<Vec<Usage>> {
    let deadline = Instant::now() + at_most;
    let mut taken = vec![Usage::default(); programs.len()];
    loop {
        let mut has_ended = false;
        for (number, (program, usage)) in programs.iter().zip(&mut taken).enumerate() {
            has_ended |= look(program.id(), usage) && number == 0;
        }
        if has_ended {
            return Ok(taken);
        }
        if Instant::now() > deadline {
            bail!("the transfer has not ended after {} s", at_most.as_secs());
        }
        thread::sleep(EVERY);
    }
}

/// Updates what the process has taken. Returns whether it has ended.
fn look(id: u32, taken: &mut Usage) -> bool {
    if let Some(peak) = usage::peak_bytes(id) {
        taken.peak_bytes = taken.peak_bytes.max(peak);
    }
    taken.cpu = usage::cpu_time(id).unwrap_or(taken.cpu);
    !usage::is_running(id)
}

const EVERY: Duration = Duration::from_millis(20);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_a_program_takes_is_seen_until_it_has_ended() {
        // Some megabytes, and some time.
        let script = "x=$(head -c 4000000 /dev/zero | tr '\\0' a); i=0; \
                      while [ $i -lt 200000 ]; do i=$((i+1)); done; echo ${#x}";
        let program = Program::start(Command::new("sh").args(["-c", script]));
        let taken = until_first_ends(&[program], Duration::from_secs(60)).unwrap();
        let usage = Usage::of_one(&taken);
        assert!(usage.peak_bytes > 4_000_000, "{usage:?}");
        assert!(usage.cpu >= Duration::from_millis(10), "{usage:?}");
    }

    #[test]
    fn one_receiver_takes_the_mean_time_and_the_most_memory() {
        let usage = |seconds, peak_bytes| Usage {
            cpu: Duration::from_secs(seconds),
            peak_bytes,
        };
        assert_eq!(Usage::of_one(&[usage(1, 9), usage(3, 5)]), usage(2, 9));
        assert_eq!(Usage::of_one(&[]), Usage::default());
    }
}
