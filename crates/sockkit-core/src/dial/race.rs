//! Runs several connection attempts in parallel; the first success wins.

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;

/// Starts one attempt per address, each when the previous one fails or `delay`
/// has passed. The first success cancels the others.
///
/// # Errors
/// Every address that failed with its error, in that order. An error that
/// `is_final` ends the race at once and comes last.
pub async fn first<T, E, F>(
    addresses: &[SocketAddr],
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
    is_final: impl Fn(&E) -> bool,
) -> Result<T, Vec<(SocketAddr, E)>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            let attempt = attempt(address);
            running.push(async move { (address, attempt.await) });
        }
        let pause = sleep(delay);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some((address, result)) = running.next() => match result {
                    Ok(done) => return Ok(done),
                    Err(error) => {
                        let ends_all = is_final(&error);
                        failed.push((address, error));
                        if ends_all {
                            return Err(failed);
                        }
                        if running.is_empty() || waiting.len() > 0 {
                            break;
                        }
                    }
                },
                () = &mut pause, if waiting.len() > 0 => break,
                else => break,
            }
        }
        if running.is_empty() && waiting.len() == 0 {
            return Err(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How the peer at this port behaves: it answers or refuses after so many
    /// milliseconds.
    enum Peer {
        Answers(u64),
        Refuses(u64),
        /// With an error that every address would give.
        Breaks(u64),
        Silent,
    }

    /// The winner, and after how many milliseconds.
    async fn race(peers: &[Peer]) -> (Result<u16, usize>, u128) {
        let addresses: Vec<_> = (0..peers.len())
            .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("few"))))
            .collect();
        let start = Instant::now();
        let result = first(
            &addresses,
            Duration::from_millis(250),
            |address| async move {
                match peers[usize::from(address.port())] {
                    Peer::Answers(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(address.port())
                    }
                    Peer::Refuses(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Err("refused")
                    }
                    Peer::Breaks(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Err("broken for all")
                    }
                    Peer::Silent => std::future::pending().await,
                }
            },
            |error| *error == "broken for all",
        )
        .await;
        let result = result.map_err(|failed| failed.len());
        (result, start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wins_if_it_answers_in_time() {
        assert_eq!(
            race(&[Peer::Answers(200), Peer::Answers(0)]).await,
            (Ok(0), 200)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_costs_the_delay_and_not_a_timeout() {
        assert_eq!(race(&[Peer::Silent, Peer::Answers(5)]).await, (Ok(1), 255));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_begins_the_next_at_once() {
        assert_eq!(
            race(&[Peer::Refuses(10), Peer::Refuses(10), Peer::Answers(10)]).await,
            (Ok(2), 30)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_one_may_still_win() {
        assert_eq!(
            race(&[Peer::Answers(300), Peer::Silent]).await,
            (Ok(0), 300)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_told() {
        let peers = [Peer::Refuses(400), Peer::Refuses(1), Peer::Refuses(1)];
        assert_eq!(race(&peers).await, (Err(3), 400));
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_fail_for_every_address_ends_it() {
        let peers = [Peer::Silent, Peer::Breaks(10), Peer::Answers(500)];
        assert_eq!(race(&peers).await, (Err(1), 260));
    }
}
