//! Several attempts beside one another, of which the first success wins.

use std::{io, net::SocketAddr, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use super::{Attempt, ConnectError};
use crate::options::{OptionError, SocketOptions};

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would fail for every address.
    Options(OptionError),
    Io(io::Error),
}

/// Begins an attempt for one address after the other, the next when one fails or
/// `delay` has passed; the first that succeeds ends the rest.
pub(super) async fn first<T, F>(
    addresses: &[SocketAddr],
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, ConnectError>
where
    F: Future<Output = Result<T, Failure>>,
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
                    Err(Failure::Options(error)) => return Err(error.into()),
                    Err(Failure::Io(source)) => {
                        failed.push(Attempt { address, source });
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
            return Err(ConnectError::Failed(failed));
        }
    }
}

/// One address, with the options set before.
pub(super) async fn attempt(
    address: SocketAddr,
    local: Option<SocketAddr>,
    options: &SocketOptions,
) -> Result<TcpStream, Failure> {
    let socket = open(address, local, options)?;
    socket.connect(address).await.map_err(Failure::Io)
}

fn open(
    address: SocketAddr,
    local: Option<SocketAddr>,
    options: &SocketOptions,
) -> Result<TcpSocket, Failure> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(Failure::Io)?;
    options.apply(&socket).map_err(Failure::Options)?;
    let bound = local.map_or(Ok(()), |local| socket.bind(&SockAddr::from(local)));
    bound
        .and_then(|()| socket.set_nonblocking(true))
        .map_err(Failure::Io)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How the address with that port behaves: fails or answers after so many
    /// milliseconds.
    enum Peer {
        Answers(u64),
        Refuses(u64),
        Silent,
    }

    /// Who won, and after how many milliseconds.
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
                        Err(Failure::Io(io::ErrorKind::ConnectionRefused.into()))
                    }
                    Peer::Silent => std::future::pending().await,
                }
            },
        )
        .await;
        let result = result.map_err(|error| match error {
            ConnectError::Failed(attempts) => attempts.len(),
            other => panic!("{other}"),
        });
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
}
