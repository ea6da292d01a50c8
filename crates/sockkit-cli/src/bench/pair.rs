//! Compares two implementations, measured alternately.

use std::time::{Duration, Instant};

use anyhow::Context;

/// Duration and number of measurements.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Effort {
    /// Number of measurements of each implementation
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Duration of each measurement in milliseconds
    #[arg(long, default_value_t = 500, value_name = "MS")]
    each: u64,
}

/// The medians of both implementations, in units per second of CPU time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    pub(crate) plain: f64,
    pub(crate) ours: f64,
    /// The median of the ratios of all rounds: other load on the machine
    /// affects both implementations.
    pub(crate) ratio: f64,
}

impl Effort {
    /// Runs `plain` and `ours` alternately. Each call does one unit of work and
    /// returns how much that was.
    pub(crate) async fn measure(
        self,
        mut plain: impl AsyncFnMut() -> anyhow::Result<u64>,
        mut ours: impl AsyncFnMut() -> anyhow::Result<u64>,
    ) -> anyhow::Result<Medians> {
        let (mut plains, mut oursters, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // The first round warms caches and the allocator.
        for round in 0..=self.rounds.max(1) {
            let plain = self.rate(&mut plain).await?;
            let ours = self.rate(&mut ours).await?;
            if round > 0 {
                plains.push(plain);
                oursters.push(ours);
                ratios.push(ours / plain);
            }
        }
        Ok(Medians {
            plain: median(plains),
            ours: median(oursters),
            ratio: median(ratios),
        })
    }

    /// Units of work for each second of this thread's CPU time.
    async fn rate(
        self,
        work: &mut impl AsyncFnMut() -> anyhow::Result<u64>,
    ) -> anyhow::Result<f64> {
        let (start, before) = (Instant::now(), thread_cpu_time()?);
        let mut done = 0;
        while start.elapsed() < Duration::from_millis(self.each) {
            // The clock is read rarely, so that it does not distort the
            // measurement.
            for _ in 0..16 {
                done += work().await?;
            }
        }
        let used = thread_cpu_time()?.saturating_sub(before);
        Ok(done as f64 / used.as_secs_f64())
    }
}

/// CPU time of the calling thread, in user space and in the kernel.
fn thread_cpu_time() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).context("CPU time is read from Linux's /proc")?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    Ok(Duration::from_nanos(
        nanoseconds.with_context(|| format!("{path} says {text:?}"))?,
    ))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
