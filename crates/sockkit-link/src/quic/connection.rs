//! One connection, as a stream.

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
use sockkit_core::server::Slot;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use super::{
    Fingerprint,
    error::{ABANDONED, THROUGH, abandoned, lost},
};

/// A reliable, encrypted stream to a peer whose identity is not proved.
///
/// Read and write it by tokio's `AsyncReadExt` and `AsyncWriteExt`; both
/// directions at once by `tokio::io::split`. Its errors have the kinds of a TCP
/// connection's: `TimedOut` for a peer that vanished, `ConnectionAborted` for
/// one that dropped the connection, `BrokenPipe` for one that no longer reads.
///
/// `shutdown` closes the sending side and returns when the peer has acknowledged
/// every byte. A peer that has read everything and said everything may close the
/// connection before its last acknowledgement arrives; that is a success too.
///
/// Dropping it gives it up: bytes that were written and not yet acknowledged are
/// lost, and the peer is told so. Who does not want that calls `shutdown` before.
pub struct Connection {
    handle: Handle,
    send: SendStream,
    recv: RecvStream,
    has_read_all: bool,
    peer_is_gone: bool,
    goodbye: Goodbye,
    /// Its place at the listener that accepted it.
    slot: Option<Slot>,
}

/// Where the sending side is with its end.
enum Goodbye {
    /// More may be written.
    NotSaid,
    /// The end is said; waiting for the acknowledgement.
    Said(Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>),
    /// The peer has everything.
    Heard,
    /// It will never be known.
    Lost,
}

/// What is left to ask of a connection whose stream was given away.
#[derive(Clone)]
pub struct Handle {
    endpoint: Endpoint,
    connection: quinn::Connection,
    fingerprint: Fingerprint,
}

/// What the connection knows about its path.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The round trip, as it is estimated now.
    pub rtt: Duration,
    /// Packets sent by this side.
    pub sent_packets: u64,
    /// Of those, how many were taken for lost; the bytes in them went again.
    pub lost_packets: u64,
    /// The largest datagram that the path is known to carry, in bytes of UDP
    /// payload.
    pub datagram_bytes: u16,
    /// How many bytes this side dares to have under way.
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
            goodbye: Goodbye::NotSaid,
            slot: None,
        }
    }

    pub(super) fn holding(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// The other side's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.handle.connection.remote_address()
    }

    /// The listener's certificate, as this side sees it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.handle.fingerprint
    }

    /// For later, when the stream has been given away.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Of the certificate that the peer has shown.
    #[cfg(feature = "pairing")]
    pub(crate) fn peer_key(&self) -> io::Result<Fingerprint> {
        super::connect::fingerprint(&self.handle.connection)
    }

    /// Bytes that only the two ends can derive; `None` before the handshake.
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
        self.has_read_all && matches!(self.goodbye, Goodbye::Heard)
    }

    /// The connection is lost, by a close or in another way.
    fn on_lost(&mut self, error: ConnectionError) -> io::Error {
        self.peer_is_gone = true;
        lost(error)
    }

    /// The peer gave one direction up.
    fn on_given_up(&mut self, code: VarInt) -> io::Error {
        if code == ABANDONED {
            self.peer_is_gone = true;
            return abandoned();
        }
        io::ErrorKind::BrokenPipe.into()
    }
}

impl Handle {
    /// The connection itself, for messages in streams of their own.
    pub(crate) fn quinn(&self) -> &quinn::Connection {
        &self.connection
    }

    /// What the connection knows about its path.
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

    /// Waits, `patience` at most, until the peer has been told that the dropped
    /// connection is closed and has had time to ask again, as TCP's kernel does
    /// after a program's end. Whether that was so.
    ///
    /// A program that ends at once after it dropped a connection should wait for
    /// this: otherwise the peer may have to wait out its idle timeout. It also
    /// waits for other connections of the same listener.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self, patience: Duration) -> bool {
        timeout(patience, self.endpoint.wait_idle()).await.is_ok()
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

    /// Nothing is held back, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let heard = match &mut this.goodbye {
            Goodbye::Said(heard) => heard,
            Goodbye::Heard => return Poll::Ready(Ok(())),
            Goodbye::Lost => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Goodbye::NotSaid => {
                // Fails if the connection is lost, which the wait then tells.
                let _ = this.send.finish();
                this.goodbye = Goodbye::Said(Box::pin(this.send.stopped()));
                return self.poll_shutdown(cx);
            }
        };
        let heard = ready!(heard.as_mut().poll(cx));
        let told = match heard {
            Ok(None) => Ok(()),
            Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(close)))
                if close.error_code == THROUGH =>
            {
                Ok(())
            }
            Ok(Some(code)) => Err(this.on_given_up(code)),
            Err(StoppedError::ConnectionLost(error)) => Err(this.on_lost(error)),
            Err(error @ StoppedError::ZeroRttRejected) => Err(error.into()),
        };
        this.goodbye = if told.is_ok() {
            Goodbye::Heard
        } else {
            Goodbye::Lost
        };
        Poll::Ready(told)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let connection = self.handle.connection.clone();
        if self.is_through() {
            connection.close(THROUGH, b"through");
            return;
        }
        // A close is said once, and the peer's buffer may have no room for it;
        // these two are repeated until they are acknowledged. They fail if that
        // direction has ended.
        let _ = self.send.reset(ABANDONED);
        let _ = self.recv.stop(ABANDONED);
        let abandoned = Abandoned::unless_kept(connection);
        if !self.peer_is_gone
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(abandoned.until_the_peer_closes());
        }
    }
}

/// Closes a connection as given up when it is dropped: quinn itself would close
/// it with code 0, which says the opposite.
pub(super) struct Abandoned(Option<quinn::Connection>);

impl Abandoned {
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

impl Drop for Abandoned {
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

/// For a peer that was told; several retransmissions on a LAN.
const PEERS_TIME_TO_CLOSE: Duration = Duration::from_secs(1);
