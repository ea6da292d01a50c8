//! A QUIC connection as a stream.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use quinn::{
    ConnectionError, Endpoint, ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError,
};
use sockkit_core::server::Permit;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};

use super::{
    Fingerprint,
    error::{ABANDONED, CLOSE_OK, abandoned, lost},
};

/// A reliable, encrypted stream to a peer that is not authenticated.
///
/// Read and write it with tokio's `AsyncReadExt` and `AsyncWriteExt`; use both
/// directions at once with `tokio::io::split`. Its errors have the kinds of a
/// TCP connection's: `TimedOut` for a peer that vanished, `ConnectionAborted`
/// for one that dropped the connection, `BrokenPipe` for one that no longer
/// reads.
///
/// `shutdown` closes the sending side and returns when the peer has
/// acknowledged every byte. A peer that is done in both directions may close
/// the connection before its last acknowledgement arrives; that counts as
/// success.
///
/// Dropping the connection aborts it: unacknowledged bytes are lost, and the
/// peer is notified. Call `shutdown` first to avoid this.
pub struct Connection {
    handle: Handle,
    send: SendStream,
    recv: RecvStream,
    has_read_all: bool,
    peer_is_gone: bool,
    finish: FinishState,
    /// Its permit from the listener that accepted it.
    permit: Option<Permit>,
}

/// State of closing the sending side.
enum FinishState {
    /// Data can be written.
    Open,
    /// FIN sent; waiting for the acknowledgement.
    Sent(Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>),
    /// Everything is acknowledged.
    Acknowledged,
    /// The connection was lost before the acknowledgement.
    Lost,
}

/// A handle to a connection that has been moved elsewhere.
#[derive(Clone)]
pub struct Handle {
    endpoint: Endpoint,
    connection: quinn::Connection,
    fingerprint: Fingerprint,
}

/// Statistics of the network path.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The current estimate of the round-trip time.
    pub rtt: Duration,
    /// Packets sent by this side.
    pub sent_packets: u64,
    /// Of those, packets considered lost; their data was sent again.
    pub lost_packets: u64,
    /// Maximum size of a datagram on this path, in bytes of UDP payload.
    pub datagram_bytes: u16,
    /// The congestion window, in bytes.
    pub window_bytes: u64,
}

impl Connection {
    pub(super) fn new(
        endpoint: Endpoint,
        connection: quinn::Connection,
        send: SendStream,
        recv: RecvStream,
        fingerprint: Fingerprint,
    ) -> Self {
        Self {
            handle: Handle {
                endpoint,
                connection,
                fingerprint,
            },
            send,
            recv,
            has_read_all: false,
            peer_is_gone: false,
            finish: FinishState::Open,
            permit: None,
        }
    }

    pub(super) fn holding(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.handle.connection.remote_address()
    }

    /// Fingerprint of the listener's certificate, as seen by this side.
    pub fn fingerprint(&self) -> Fingerprint {
        self.handle.fingerprint
    }

    /// Creates a handle for use after the connection has been moved.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Fingerprint of the certificate that the peer has presented.
    #[cfg(feature = "pairing")]
    pub(crate) fn peer_key(&self) -> io::Result<Fingerprint> {
        super::connect::fingerprint(&self.handle.connection)
    }

    /// Derives keying material; `None` before the handshake is complete.
    pub(crate) fn export_keying_material<const BYTES: usize>(
        &self,
        label: &str,
    ) -> Option<[u8; BYTES]> {
        let mut material = [0; BYTES];
        let connection = &self.handle.connection;
        connection
            .export_keying_material(&mut material, label.as_bytes(), b"")
            .ok()
            .map(|()| material)
    }

    fn is_through(&self) -> bool {
        self.has_read_all && matches!(self.finish, FinishState::Acknowledged)
    }

    /// The connection is lost, because of a close or otherwise.
    fn on_lost(&mut self, error: ConnectionError) -> io::Error {
        self.peer_is_gone = true;
        lost(error)
    }

    /// The peer has abandoned one direction.
    fn on_given_up(&mut self, code: VarInt) -> io::Error {
        if code == ABANDONED {
            self.peer_is_gone = true;
            return abandoned();
        }
        io::ErrorKind::BrokenPipe.into()
    }
}

impl Handle {
    /// The quinn connection, to open streams for messages.
    pub(crate) fn quinn(&self) -> &quinn::Connection {
        &self.connection
    }

    /// Statistics of the network path.
    pub fn stats(&self) -> Stats {
        let path = self.connection.stats().path;
        Stats {
            rtt: path.rtt,
            sent_packets: path.sent_packets,
            lost_packets: path.lost_packets,
            datagram_bytes: path.current_mtu,
            window_bytes: path.cwnd,
        }
    }

    /// Waits until the peer has been told that the dropped connection is closed
    /// and has had time to request it again, for at most `timeout`. Returns
    /// whether that succeeded. The kernel does the same for TCP.
    ///
    /// A program that exits immediately after it dropped a connection should
    /// wait for this; otherwise its peer may have to wait for its idle timeout.
    /// It also waits for other connections of the same listener.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.endpoint.wait_idle())
            .await
            .is_ok()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        let read = ready!(self.recv.poll_read_buf(cx, buf));
        if read.is_ok() && room > 0 && buf.filled().len() == before {
            self.has_read_all = true;
        }
        Poll::Ready(read.map_err(|error| match error {
            ReadError::ConnectionLost(error) => self.on_lost(error),
            ReadError::Reset(code) => self.on_given_up(code),
            other => other.into(),
        }))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.send).poll_write(cx, buf));
        Poll::Ready(written.map_err(|error| match error {
            WriteError::ConnectionLost(error) => self.on_lost(error),
            WriteError::Stopped(code) => self.on_given_up(code),
            WriteError::ClosedStream => io::ErrorKind::BrokenPipe.into(),
            other @ WriteError::ZeroRttRejected => other.into(),
        }))
    }

    /// There is no buffer to flush.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let heard = match &mut this.finish {
            FinishState::Sent(heard) => heard,
            FinishState::Acknowledged => return Poll::Ready(Ok(())),
            FinishState::Lost => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            FinishState::Open => {
                // Fails if the connection is lost, which the wait returns.
                let _ = this.send.finish();
                this.finish = FinishState::Sent(Box::pin(this.send.stopped()));
                return self.poll_shutdown(cx);
            }
        };
        let heard = ready!(heard.as_mut().poll(cx));
        let told = match heard {
            Ok(None) => Ok(()),
            Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(close)))
                if close.error_code == CLOSE_OK =>
            {
                Ok(())
            }
            Ok(Some(code)) => Err(this.on_given_up(code)),
            Err(StoppedError::ConnectionLost(error)) => Err(this.on_lost(error)),
            Err(error @ StoppedError::ZeroRttRejected) => Err(error.into()),
        };
        this.finish = if told.is_ok() {
            FinishState::Acknowledged
        } else {
            FinishState::Lost
        };
        Poll::Ready(told)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let connection = self.handle.connection.clone();
        let (time, permit) = (draining_time(&connection), self.permit.take());
        let is_through = self.is_through();
        if is_through {
            connection.close(CLOSE_OK, b"through");
        } else {
            // A close frame is sent once, and may not fit into the peer's
            // buffer. These two are repeated until acknowledged. They fail if
            // that direction has ended.
            let _ = self.send.reset(ABANDONED);
            let _ = self.recv.stop(ABANDONED);
        }
        let abandoned = (!is_through).then(|| CloseOnDrop::unless_kept(connection));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let peer_is_gone = self.peer_is_gone;
        if permit.is_some() || !is_through && !peer_is_gone {
            runtime.spawn(async move {
                match abandoned {
                    Some(abandoned) if !peer_is_gone => abandoned.until_the_peer_closes().await,
                    abandoned => drop(abandoned),
                }
                if let Some(permit) = permit {
                    linger(permit, time).await;
                }
            });
        }
    }
}

/// Keeps the permit of a connection that has just been closed: quinn counts it
/// among the open ones for `time`, and so must its host's share. Otherwise one
/// host that opens and closes connections could close the door to all.
pub(super) async fn linger(permit: Permit, time: Duration) {
    sleep(time).await;
    drop(permit);
}

/// How long quinn remembers a closed connection: three times the probe timeout
/// (RFC 9000, section 10.2), with the variation of a first measurement.
pub(super) fn draining_time(connection: &quinn::Connection) -> Duration {
    3 * (3 * connection.rtt() + MAX_ACK_DELAY)
}

/// Closes an abandoned connection when dropped: quinn itself would close it
/// with code 0, which means success here.
pub(super) struct CloseOnDrop(Option<quinn::Connection>);

impl CloseOnDrop {
    pub(super) fn unless_kept(connection: quinn::Connection) -> Self {
        Self(Some(connection))
    }

    pub(super) fn keep(mut self) {
        self.0 = None;
    }

    async fn until_the_peer_closes(self) {
        if let Some(connection) = &self.0 {
            let _ = timeout(PEERS_TIME_TO_CLOSE, connection.closed()).await;
        }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.close(ABANDONED, b"dropped");
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("peer", &self.connection.remote_address())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer_addr())
            .field("has_read_all", &self.has_read_all)
            .finish_non_exhaustive()
    }
}

/// For a peer that was notified; several retransmissions on a LAN.
const PEERS_TIME_TO_CLOSE: Duration = Duration::from_secs(1);

/// The protocol's default, and the granularity of its timers.
const MAX_ACK_DELAY: Duration = Duration::from_millis(26);
