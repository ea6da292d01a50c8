//! What a process takes, as Linux tells it.

use std::{fs, time::Duration};

/// User and system time of the process so far, in steps of 10 ms. `None` where it cannot
/// be read: the process has ended, or the system is not Linux.
#[must_use]
pub fn cpu_time(process: u32) -> Option<Duration> {
    let fields = stat(process)?;
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Whether the process exists and has not ended.
#[must_use]
pub fn is_running(process: u32) -> bool {
    let state = stat(process).and_then(|fields| fields.into_iter().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// Memory that the process has now. `None` as for [`cpu_time`].
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    status(process, "VmRSS:")
}

/// The most memory it ever had. `None` as for [`cpu_time`].
#[must_use]
pub fn peak_bytes(process: u32) -> Option<u64> {
    status(process, "VmHWM:")
}

/// From the state on: the name before it may contain spaces.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

fn status(process: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_while_it_runs() {
        let own = std::process::id();
        let (now, peak) = (resident_bytes(own).unwrap(), peak_bytes(own).unwrap());
        assert!(now > 0 && peak > 0, "{now} {peak}");
        assert!(is_running(own) && cpu_time(own).is_some());
        // Larger than any process id.
        assert!(!is_running(u32::MAX) && cpu_time(u32::MAX).is_none());
    }
}
