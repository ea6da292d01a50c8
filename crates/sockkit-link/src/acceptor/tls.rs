//! TLS: concurrent handshakes, in a task owned by the listener.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use sockkit_core::{
    server::{Accepted, Backoff, ConnectionLimiter, Permit, Transport},
    tcp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::tcp::place;
use crate::{Connection, tls::rustls::ServerConfig};

/// A listener whose connections have completed their handshakes. Dropping it
/// aborts pending handshakes.
#[derive(Debug)]
pub(crate) struct TlsAcceptor {
    local: SocketAddr,
    ready: mpsc::Receiver<Accepted<Connection>>,
    task: JoinHandle<()>,
}

impl TlsAcceptor {
    /// Accepts connections from now on; each handshake may take
    /// `handshake_timeout`.
    pub(crate) fn start(
        listener: tcp::Listener,
        limiter: ConnectionLimiter,
        config: Arc<ServerConfig>,
        handshake_timeout: Duration,
        plain_refusal: Arc<[u8]>,
    ) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (to_ready, ready) = mpsc::channel(1);
        let handshakes = Handshakes {
            tls: config.into(),
            timeout: handshake_timeout,
            plain_refusal,
            ready: to_ready,
        };
        let task = tokio::spawn(handshakes.keep(listener, Arc::new(limiter)));
        Ok(Self { local, ready, task })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        let accepted = self.ready.recv().await;
        accepted.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        self.ready.try_recv().ok()
    }
}

impl Drop for TlsAcceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// State shared by all handshakes.
struct Handshakes {
    tls: tokio_rustls::TlsAcceptor,
    timeout: Duration,
    /// The answer to a peer that does not encrypt, if there is one.
    plain_refusal: Arc<[u8]>,
    ready: mpsc::Sender<Accepted<Connection>>,
}

impl Handshakes {
    /// Runs until the listener is dropped.
    async fn keep(self, mut listener: tcp::Listener, limiter: Arc<ConnectionLimiter>) {
        let mut running = FuturesUnordered::new();
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                accepted = backoff.accept(&mut listener) => {
                    let Ok(accepted) = accepted else { return };
                    match place(&limiter, &accepted) {
                        Some(permit) => running.push(self.admit(accepted, permit)),
                        None => accepted.transport.abort(),
                    }
                }
                Some(()) = running.next() => {}
            }
        }
    }

    /// Performs the handshake, and holds the connection until it is accepted.
    async fn admit(&self, accepted: Accepted<TcpStream>, permit: Permit) {
        let (tcp, accepted) = accepted.replace(());
        let peer = accepted.peer.clone();
        let shaking = async {
            let mut tcp = tcp::Connection::new(tcp)?;
            self.refuse_plain(&mut tcp).await?;
            let stream = self.tls.accept(tcp).await?;
            Ok::<_, io::Error>(Connection::tls(stream)?.holding(permit))
        };
        match timeout(self.timeout, shaking).await {
            Ok(Ok(connection)) => {
                let peer = connection.peer_addr();
                let ((), mut accepted) = accepted.replace(connection);
                accepted.peer = peer.into();
                // Fails if the listener was dropped.
                let _ = self.ready.send(accepted).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
            Err(_elapsed) => tracing::debug!(%peer, "handshake timed out"),
        }
    }

    /// Tells a peer that does not encrypt so, in the words of its protocol.
    async fn refuse_plain(&self, tcp: &mut tcp::Connection) -> io::Result<()> {
        if self.plain_refusal.is_empty() {
            return Ok(());
        }
        let mut first = [0];
        if tcp.peek(&mut first).await? == 0 || first == [HANDSHAKE] {
            return Ok(());
        }
        tcp.write_all(&self.plain_refusal).await?;
        tcp.shutdown().await?;
        // Closing with unread input would discard the answer.
        let _ = timeout(FAREWELL, drain(tcp)).await;
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the peer does not encrypt",
        ))
    }
}

/// Reads up to a limit, or to the end.
async fn drain(tcp: &mut tcp::Connection) -> io::Result<()> {
    let mut rest = tcp.take(MAX_DRAINED);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

/// The type of a TLS record of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

const FAREWELL: Duration = Duration::from_secs(2);
const MAX_DRAINED: u64 = 1 << 20;
