//! Tests of real time, which a busy machine cannot provide.
//!
//! An ordinary test asserts what happens and in which order, never how fast,
//! and passes on a busy machine. Promises in seconds or pictures a second are
//! tested here: such a test is in a module `real_time`, is marked `#[ignore =
//! "real time"]`, and `scripts/test` runs these tests alone, one after another,
//! after all others.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

/// Repeats `attempt` until it succeeds.
///
/// The machine is measured before and after each attempt. A failure counts only
/// if all cores were available both times. On a machine that is too busy,
/// standard error reports that nothing was measured, and the test passes, even
/// with `SOCKKIT_TEST_ALL=1`.
///
/// ```no_run
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use std::time::{Duration, Instant};
///
/// use sockkit::testing::real_time;
///
/// real_time::check("a restart is seen within a second", || {
///     let begun = Instant::now();
///     // Restart it, and wait until that is detected.
///     let took = begun.elapsed();
///     if took < Duration::from_secs(1) {
///         Ok(())
///     } else {
///         Err(format!("took {took:?}"))
///     }
/// });
/// ```
///
/// # Panics
/// If [`FAILURES`] attempts failed while the machine gave them its time.
#[track_caller]
pub fn check(test: &str, attempt: impl FnMut() -> Result<(), String>) {
    // Other load on the machine may end soon.
    let measure = || machine_is_ours().inspect_err(|_| thread::sleep(PAUSE));
    match judge(measure, attempt) {
        Outcome::Passed => {}
        Outcome::Failed(why) => panic!("{test}: {}", why.join("; ")),
        Outcome::NotMeasured(why) => {
            // `eprintln!` would be captured and lost with the passing test's output.
            let (times, last) = (why.len(), why.last().map_or("", String::as_str));
            let line = format!(
                "NOT MEASURED {test}: the machine is busy, {times} times; at last {last}\n"
            );
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Number of attempts that must fail on an idle machine before a test fails.
pub const FAILURES: usize = 3;

/// Result of all attempts.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    Passed,
    /// Error of each attempt that failed on an idle machine.
    Failed(Vec<String>),
    /// Why each attempt did not count.
    NotMeasured(Vec<String>),
}

fn judge(
    mut machine_is_ours: impl FnMut() -> Result<(), String>,
    mut attempt: impl FnMut() -> Result<(), String>,
) -> Outcome {
    let (mut failed, mut busy) = (Vec::new(), Vec::new());
    while failed.len() < FAILURES {
        if busy.len() == BUSY_TRIES {
            return Outcome::NotMeasured(busy);
        }
        if let Err(why) = machine_is_ours() {
            busy.push(why);
            continue;
        }
        let Err(why) = attempt() else {
            return Outcome::Passed;
        };
        match machine_is_ours() {
            Ok(()) => failed.push(why),
            Err(machine) => busy.push(format!("{why}, {machine}")),
        }
    }
    Outcome::Failed(failed)
}

/// Whether each core can run one of this process's threads without
/// interruption.
///
/// # Errors
/// The longest interruption of a thread.
fn machine_is_ours() -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let spinning: Vec<_> = (0..cores).map(|_| thread::spawn(time_taken_away)).collect();
    let away = spinning
        .into_iter()
        .map(|thread| thread.join().unwrap_or(PROBE));
    let longest = away.max().unwrap_or_default();
    if longest <= PROBE / 10 {
        return Ok(());
    }
    Err(format!("a thread waited {longest:.0?} of {PROBE:?}"))
}

/// How long this thread was interrupted.
fn time_taken_away() -> Duration {
    let begun = Instant::now();
    let (mut last, mut away) = (begun, Duration::ZERO);
    while last - begun < PROBE {
        let now = Instant::now();
        // Reading the clock takes far less.
        if now - last > Duration::from_micros(200) {
            away += now - last;
        }
        last = now;
    }
    away
}

/// Duration of a measurement: long enough for several scheduling periods.
const PROBE: Duration = Duration::from_millis(200);

/// Pause while the machine is busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Number of busy measurements after which a test is abandoned.
const BUSY_TRIES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(machine: &[bool], attempts: &[bool], expected: &str) {
        let (mut machine, mut attempts) = (machine.iter().cycle(), attempts.iter().cycle());
        let said = |value: Option<&bool>, why: &str| match value {
            Some(true) => Ok(()),
            _ => Err(why.to_owned()),
        };
        let verdict = judge(
            || said(machine.next(), "busy"),
            || said(attempts.next(), "slow"),
        );
        let name = match verdict {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::NotMeasured(_) => "not measured",
        };
        assert_eq!(name, expected);
    }

    #[test]
    fn only_failures_on_an_idle_machine_count() {
        check(&[true], &[true], "passed");
        check(&[true], &[false, false, true], "passed");
        check(&[true], &[false], "failed");
        check(&[false], &[false], "not measured");
        // Busy before each attempt, and busy after each.
        check(&[false], &[true], "not measured");
        check(&[true, false], &[false], "not measured");
        check(&[false, true, true, false], &[false, true], "passed");
    }
}
