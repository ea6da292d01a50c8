//! A reliable stream over any transport.

mod stream;
mod transport;

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use sockkit_core::{
    server::Permit,
    tcp::{self, Counters, End},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::stream::{Kind, Stream};
#[cfg(feature = "quic")]
use super::Fingerprint;
use super::Scheme;
#[cfg(feature = "quic")]
use super::quic;
#[cfg(feature = "tls")]
use super::tls::TlsStream;
#[cfg(feature = "pairing")]
use super::{certificate, pairing::AuthenticatedPeer};

/// A reliable stream to a peer, over TCP, TLS or QUIC.
///
/// Read and write it with tokio's `AsyncReadExt` and `AsyncWriteExt`.
/// `shutdown` closes the sending side; dropping the connection closes both.
///
/// TCP is not encrypted; TLS and QUIC are: see
/// [`is_encrypted`](Self::is_encrypted).
/// If the [`Node`](crate::Node) has an identity, the peer is authenticated.
#[derive(Debug)]
pub struct Connection {
    /// Locked only briefly, by methods that take `&self`: peeking moves bytes
    /// into it.
    stream: Mutex<Stream>,
    scheme: Scheme,
    peer: SocketAddr,
    counters: Counters,
    end: Option<End>,
    /// Its permit from the acceptor that accepted it.
    permit: Option<Permit>,
    /// The peer, and this side's own key.
    #[cfg(feature = "pairing")]
    authenticated: Option<(AuthenticatedPeer, Fingerprint)>,
}

/// A handle to a connection that has been moved elsewhere.
#[derive(Clone, Debug)]
pub struct Handle {
    #[cfg(feature = "quic")]
    quic: Option<quic::Handle>,
}

/// The connection is not encrypted, so it has no keys to derive from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a connection without encryption has no keying material")]
pub struct NotEncrypted;

impl Connection {
    fn new(kind: Kind, peer: SocketAddr) -> Self {
        Self {
            scheme: kind.scheme(),
            stream: Mutex::new(Stream::new(kind)),
            peer: canonical(peer),
            counters: Counters::default(),
            end: None,
            permit: None,
            #[cfg(feature = "pairing")]
            authenticated: None,
        }
    }

    /// Holds a permit of its acceptor for as long as it lives.
    pub(super) fn holding(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Wraps a TCP connection.
    ///
    /// # Errors
    /// If the peer's address cannot be read because the connection is already
    /// closed.
    pub fn tcp(connection: tcp::Connection) -> io::Result<Self> {
        let peer = connection.peer_addr()?;
        Ok(Self::new(Kind::Tcp(connection), peer))
    }

    /// Wraps a TLS stream of either side whose handshake is complete.
    ///
    /// # Errors
    /// As [`tcp`](Self::tcp).
    #[cfg(feature = "tls")]
    pub fn tls(stream: impl Into<TlsStream<tcp::Connection>>) -> io::Result<Self> {
        let stream = stream.into();
        let peer = stream.get_ref().0.peer_addr()?;
        Ok(Self::new(Kind::Tls(Box::new(stream)), peer))
    }

    /// Wraps a QUIC connection.
    #[cfg(feature = "quic")]
    pub fn quic(connection: quic::Connection) -> Self {
        let peer = connection.peer_addr();
        Self::new(Kind::Quic(Box::new(connection)), peer)
    }

    /// The transport.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the transport encrypts.
    pub fn is_encrypted(&self) -> bool {
        self.scheme != Scheme::Tcp
    }

    /// The peer's address at the time of connecting. IPv4 addresses mapped into
    /// IPv6 are converted back.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes read and written by the caller, without encryption overhead.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Why it ended, as observed by reads and writes.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Derives keying material that only the two ends of this connection can
    /// derive (RFC 5705, RFC 8446 section 7.5): both get the same for the same
    /// `label`.
    ///
    /// # Errors
    /// [`NotEncrypted`] for TCP.
    #[cfg_attr(
        not(any(feature = "tls", feature = "quic")),
        expect(unused_variables, reason = "plain connections have no keys")
    )]
    pub fn export_keying_material<const BYTES: usize>(
        &self,
        label: &str,
    ) -> Result<[u8; BYTES], NotEncrypted> {
        match self.lock().kind() {
            Kind::Tcp(_) => Err(NotEncrypted),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => {
                match &**stream {
                    TlsStream::Client(stream) => stream.get_ref().1.export_keying_material(
                        [0; BYTES],
                        label.as_bytes(),
                        None,
                    ),
                    TlsStream::Server(stream) => stream.get_ref().1.export_keying_material(
                        [0; BYTES],
                        label.as_bytes(),
                        None,
                    ),
                }
                // Fails only before the handshake is complete.
                .map_err(|_| NotEncrypted)
            }
            #[cfg(feature = "quic")]
            Kind::Quic(connection) => connection.export_keying_material(label).ok_or(NotEncrypted),
        }
    }

    /// Fingerprint of the listener's certificate as seen by this side, for
    /// users to compare; `None` for transports without one.
    #[cfg(feature = "quic")]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self.lock().kind() {
            Kind::Quic(connection) => Some(connection.fingerprint()),
            _ => None,
        }
    }

    /// The authenticated peer; `None` unless both nodes have an identity.
    #[cfg(feature = "pairing")]
    pub fn peer(&self) -> Option<&AuthenticatedPeer> {
        self.authenticated.as_ref().map(|(peer, _)| peer)
    }

    /// The key that the peer has authenticated this side by; `None` likewise.
    #[cfg(feature = "pairing")]
    pub fn own_key(&self) -> Option<Fingerprint> {
        self.authenticated.as_ref().map(|(_, own)| *own)
    }

    #[cfg(feature = "pairing")]
    pub(crate) fn authenticated(mut self, peer: AuthenticatedPeer, own: Fingerprint) -> Self {
        self.authenticated = Some((peer, own));
        self
    }

    /// Fingerprint of the peer's certificate; the handshake has proved that the
    /// peer has the key.
    #[cfg(feature = "pairing")]
    pub(crate) fn peer_key(&self) -> io::Result<Fingerprint> {
        match self.lock().kind() {
            Kind::Tcp(_) => Err(io::ErrorKind::InvalidData.into()),
            Kind::Tls(stream) => certificate::fingerprint(stream.get_ref().1.peer_certificates()),
            Kind::Quic(connection) => connection.peer_key(),
        }
    }

    /// The local IP address, if the system reports it.
    pub fn local_ip(&self) -> Option<IpAddr> {
        let tcp = self.lock();
        let address = tcp.tcp()?.get_ref().local_addr().ok()?;
        Some(canonical(address).ip())
    }

    /// Creates a handle for use after the connection has been moved.
    pub fn handle(&self) -> Handle {
        Handle {
            #[cfg(feature = "quic")]
            quic: match self.lock().kind() {
                Kind::Quic(connection) => Some(connection.handle()),
                _ => None,
            },
        }
    }

    fn stream(&mut self) -> &mut Stream {
        let stream = self.stream.get_mut();
        stream.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reason is kept, except that an error after the peer's end
    /// replaces it.
    fn note(&mut self, end: End) {
        if !matches!(end, End::TimedOut(_)) && matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
    }

    fn written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => self.counters.sent_bytes += *bytes as u64,
            Poll::Ready(Err(error)) => self.note(End::from_io(error)),
            Poll::Pending => {}
        }
        result
    }
}

impl Handle {
    /// The QUIC connection, if it is one.
    #[cfg(feature = "quic")]
    pub(crate) fn quic(&self) -> Option<&quic::Handle> {
        self.quic.as_ref()
    }

    /// Waits until the peer has been told that the dropped connection is
    /// closed, for at most `timeout`. Returns whether that succeeded.
    ///
    /// A program that exits immediately after it dropped a QUIC connection
    /// should wait for this; otherwise its peer may have to wait for its idle
    /// timeout. TCP does not need it, because the kernel completes the close.
    ///
    /// # Cancel safety
    /// Cancel safe.
    #[cfg_attr(
        not(feature = "quic"),
        expect(clippy::unused_async, unused_variables, reason = "QUIC alone waits")
    )]
    pub async fn closed(&self, timeout: Duration) -> bool {
        #[cfg(feature = "quic")]
        if let Some(quic) = &self.quic {
            return quic.closed(timeout).await;
        }
        true
    }
}

/// The TLS library's own words speak to programmers.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(
            error.kind(),
            "the peer closed the connection before its end",
        ),
        _ => error,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        let result = self.stream().poll_read(cx, buf);
        let bytes = buf.filled().len() - before;
        self.counters.received_bytes += bytes as u64;
        let result = result.map_err(cut_off);
        match &result {
            Poll::Ready(Ok(())) if bytes == 0 && room > 0 => self.note(End::Finished),
            Poll::Ready(Err(error)) => self.note(End::from_io(error)),
            _ => {}
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream().duplex().poll_write(cx, buf);
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream().duplex().poll_write_vectored(cx, bufs);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().duplex().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().duplex().poll_shutdown(cx)
    }
}

/// A dual-stack listener reports IPv4 addresses mapped into IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        }
        _ => address,
    }
}
