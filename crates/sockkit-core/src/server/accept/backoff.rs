//! Accepts connections despite temporary errors.

use std::{io, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::sleep;

use super::{Accept, Accepted};

/// Backs off between failed accepts, from 10 ms to 1 s: descriptors become
/// available when connections end. Shared by accept loops other than
/// [`Server`](crate::server::Server)'s. Not part of the API.
#[derive(Debug)]
#[doc(hidden)]
pub struct Backoff {
    pauses: ExponentialBackoff,
}

impl Backoff {
    /// Accepts the next connection of `listener`, retrying after temporary
    /// errors.
    ///
    /// # Errors
    /// If the listener can accept no more connections.
    ///
    /// # Cancel safety
    /// Cancel safe if the listener is.
    pub async fn accept<A: Accept>(
        &mut self,
        listener: &mut A,
    ) -> io::Result<Accepted<A::Transport>> {
        loop {
            match listener.accept().await {
                Ok(accepted) => {
                    self.succeeded();
                    return Ok(accepted);
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    self.wait().await;
                }
            }
        }
    }

    /// Resets the pause to the shortest.
    pub(in crate::server) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Pauses, and doubles the next pause.
    pub(in crate::server) async fn wait(&mut self) {
        sleep(self.pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .build();
        Self { pauses }
    }
}

/// Whether the error concerns one connection only, so that the next accept may
/// succeed.
pub(in crate::server) fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Whether the listener has ended, as defined by [`Accept::accept`].
pub(in crate::server) fn is_final(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, net::SocketAddr};

    use tokio::{
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;

    /// Fails with these errors, then accepts.
    struct Failing {
        errors: VecDeque<io::ErrorKind>,
        listener: TcpListener,
    }

    impl Accept for Failing {
        type Transport = TcpStream;
        type Address = SocketAddr;

        fn local_addr(&self) -> io::Result<SocketAddr> {
            self.listener.local_addr()
        }

        async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
            match self.errors.pop_front() {
                Some(kind) => Err(kind.into()),
                None => Accept::accept(&mut self.listener).await,
            }
        }

        fn accept_waiting(&mut self) -> Option<Accepted<TcpStream>> {
            None
        }
    }

    async fn failing<const N: usize>(errors: [io::ErrorKind; N]) -> (Failing, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let waiting = TcpStream::connect(listener.local_addr().unwrap()).await;
        let errors = errors.into();
        (Failing { errors, listener }, waiting.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn errors_that_pass_are_waited_out_and_those_of_one_peer_are_not() {
        use io::ErrorKind::{ConnectionAborted, Other};
        let (mut listener, _waiting) = failing([ConnectionAborted, Other, Other, Other]).await;
        let mut backoff = Backoff::default();
        let began = Instant::now();
        backoff.accept(&mut listener).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(10 + 20 + 40));
        assert_eq!(pause(&mut backoff).await, SHORTEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_is_closed_is_asked_no_more() {
        let (mut listener, _waiting) = failing([io::ErrorKind::NotConnected]).await;
        let error = Backoff::default().accept(&mut listener).await.unwrap_err();
        assert!(is_final(&error));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_is_longer_than_a_second() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.wait().await;
        }
        assert_eq!(pause(&mut backoff).await, LONGEST_PAUSE);
    }

    async fn pause(backoff: &mut Backoff) -> Duration {
        let began = Instant::now();
        backoff.wait().await;
        began.elapsed()
    }
}
