//! Pacing: spreads a burst so that receive buffers and switches keep up, and
//! limits what others can make this side send.
//!
//! Pure: the caller passes `now` in and does the waiting.

use std::time::{Duration, Instant};

/// Spreads bytes over time.
///
/// Report what was sent, then wait as told before sending more. Shared behind a
/// lock, it is one bandwidth budget for many connections:
///
/// ```
/// # mod sockkit { pub mod link { pub use ::sockkit_link::channel; } }
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// use std::sync::{Arc, Mutex};
///
/// use sockkit::link::channel::Pacer;
/// use tokio::{io::{AsyncWrite, AsyncWriteExt}, time::{Instant, sleep_until}};
///
/// /// Sends at the rate that the other connections leave.
/// async fn send(
///     mut to: impl AsyncWrite + Unpin,
///     bytes: &[u8],
///     budget: Arc<Mutex<Pacer>>,
/// ) -> std::io::Result<()> {
///     for piece in bytes.chunks(16 << 10) {
///         to.write_all(piece).await?;
///         let until = budget.lock().unwrap().on_sent(Instant::now().into(), piece.len());
///         if let Some(until) = until {
///             sleep_until(until.into()).await;
///         }
///     }
///     Ok(())
/// }
///
/// let begun = Instant::now();
/// let budget = Arc::new(Mutex::new(Pacer::new(1_000_000, begun.into())));
/// let film = vec![0; 2_000_000];
/// let (one, other) = tokio::join!(
///     send(tokio::io::sink(), &film, Arc::clone(&budget)),
///     send(tokio::io::sink(), &film, budget),
/// );
/// (one?, other?);
/// // 4 MB at 1 MB/s, less the initial burst.
/// assert!(begun.elapsed().as_secs_f64() > 3.5);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pacer {
    bytes_per_second: u64,
    bucket: TokenBucket,
}

impl Pacer {
    /// Allows 128 KiB at once, and a steady rate after that.
    pub fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self::with_burst(bytes_per_second, BURST_BYTES, now)
    }

    /// Allows `burst_bytes` at once, and a steady rate after that.
    pub fn with_burst(bytes_per_second: u64, burst_bytes: usize, now: Instant) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            bytes_per_second,
            bucket: TokenBucket::new(cost(burst_bytes, bytes_per_second), now),
        }
    }

    /// Records that `bytes` were just sent. Returns until when to wait before
    /// sending more, if at all.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        self.bucket.spend(now, cost(bytes, self.bytes_per_second))
    }

    /// Whether to wait before sending more.
    pub(super) fn is_ahead(&self, now: Instant) -> bool {
        self.bucket.paid_at > now + self.bucket.burst
    }
}

/// How long so many bytes take at that rate.
fn cost(bytes: usize, bytes_per_second: u64) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(bytes_per_second);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A token bucket measured in time: it refills as time passes, up to `burst`.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    burst: Duration,
    /// When everything spent so far is repaid.
    paid_at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub fn new(burst: Duration, now: Instant) -> Self {
        Self {
            burst,
            paid_at: now,
        }
    }

    /// Spends `cost`, on credit if necessary. Returns until when to wait, if at
    /// all.
    pub fn spend(&mut self, now: Instant, cost: Duration) -> Option<Instant> {
        self.paid_at = self.paid_at.max(now) + cost;
        (self.paid_at > now + self.burst).then(|| self.paid_at - self.burst)
    }

    /// Spends `cost` if the bucket holds it. Returns whether it did.
    pub fn try_spend(&mut self, now: Instant, cost: Duration) -> bool {
        let paid_at = self.paid_at.max(now) + cost;
        let holds = paid_at <= now + self.burst;
        if holds {
            self.paid_at = paid_at;
        }
        holds
    }
}

/// A gigabit a second, in bytes.
pub const GIGABIT: u64 = 125_000_000;

/// The initial burst: a compressed picture, and about a third of Linux's
/// default receive buffer.
const BURST_BYTES: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(1 << 20, start);
        assert_eq!(pacer.on_sent(start, 64 << 10), None);
        assert_eq!(pacer.on_sent(start, 64 << 10), None);
        assert!(!pacer.is_ahead(start));
        let wait = pacer.on_sent(start, 1 << 10).unwrap() - start;
        assert!((900..=1_100).contains(&wait.as_micros()), "{wait:?}");
        assert!(pacer.is_ahead(start) && !pacer.is_ahead(start + wait));
    }

    #[test]
    fn the_rate_holds_over_time() {
        let start = Instant::now();
        let (mut pacer, mut now) = (Pacer::new(10_000_000, start), start);
        for _ in 0..1_000 {
            if let Some(until) = pacer.on_sent(now, 50_000) {
                now = until;
            }
        }
        let took = (now - start).as_secs_f64();
        assert!((4.9..=5.1).contains(&took), "{took} s for 50 MB");
    }

    #[test]
    fn silence_saves_up_no_more_than_one_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(1 << 20, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(pacer.on_sent(later, 128 << 10), None);
        assert!(pacer.on_sent(later, 1).is_some());
    }

    #[test]
    fn what_the_bucket_does_not_hold_is_not_spent() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut bucket = TokenBucket::new(2 * second, start);
        let spent = [(); 3].map(|()| bucket.try_spend(start, second));
        assert_eq!(spent, [true, true, false]);
        assert!(!bucket.try_spend(start + second / 2, second));
        assert!(bucket.try_spend(start + second, second));
    }
}
