//! One reliable stream, whatever carries it.

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
    server::Slot,
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
/// Read and write it by tokio's `AsyncReadExt` and `AsyncWriteExt`. `shutdown`
/// closes the sending side; dropping the connection closes both.
///
/// It is plain unless TLS or QUIC carries it: see [`is_encrypted`](Self::is_encrypted).
/// Who is on the other side is proved where the [`Node`](crate::Node) has an identity.
#[derive(Debug)]
pub struct Connection {
    /// Locked, and never for long, where there is no `&mut` to be sure by: a
    /// look ahead takes bytes from it.
    stream: Mutex<Stream>,
    scheme: Scheme,
    peer: SocketAddr,
    counters: Counters,
    end: Option<End>,
    /// Its place at the acceptor that accepted it.
    slot: Option<Slot>,
    #[cfg(feature = "pairing")]
    proved: Option<AuthenticatedPeer>,
}

/// What is left to ask of a connection that was given away.
#[derive(Clone, Debug)]
pub struct Handle {
    #[cfg(feature = "quic")]
    quic: Option<quic::Handle>,
}

/// The connection has no keys to derive from: it is not encrypted.
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
            slot: None,
            #[cfg(feature = "pairing")]
            proved: None,
        }
    }

    /// Keeps a place at its acceptor for as long as it lives.
    pub(super) fn holding(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Wraps a TCP connection.
    ///
    /// # Errors
    /// If the peer's address cannot be read: the connection is closed already.
    pub fn tcp(connection: tcp::Connection) -> io::Result<Self> {
        let peer = connection.peer_addr()?;
        Ok(Self::new(Kind::Tcp(connection), peer))
    }

    /// Wraps a TLS stream whose handshake is complete, of either side.
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

    /// What carries the bytes.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether others on the network can read what it carries.
    pub fn is_encrypted(&self) -> bool {
        self.scheme != Scheme::Tcp
    }

    /// The peer's address, as it was when the connection was made; an IPv4 address
    /// that was mapped into IPv6 is one of IPv4.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes read and written by the caller, without what encryption adds.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Why it ended, as far as reads and writes have shown.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Derives bytes that only the two ends of this connection can derive (RFC
    /// 5705, RFC 8446 section 7.5): both get the same for the same `label`.
    ///
    /// # Errors
    /// [`NotEncrypted`] if there are no keys to derive them from.
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
                // Only an unfinished handshake has none, and that is behind us.
                .map_err(|_| NotEncrypted)
            }
            #[cfg(feature = "quic")]
            Kind::Quic(connection) => connection.export_keying_material(label).ok_or(NotEncrypted),
        }
    }

    /// The listener's certificate as this side sees it, for people to compare;
    /// `None` over what has none of its own.
    #[cfg(feature = "quic")]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self.lock().kind() {
            Kind::Quic(connection) => Some(connection.fingerprint()),
            _ => None,
        }
    }

    /// Who is on the other side; `None` if its node, or this one, has no identity.
    #[cfg(feature = "pairing")]
    pub fn peer(&self) -> Option<&AuthenticatedPeer> {
        self.proved.as_ref()
    }

    #[cfg(feature = "pairing")]
    pub(crate) fn proved(mut self, peer: AuthenticatedPeer) -> Self {
        self.proved = Some(peer);
        self
    }

    /// Of the certificate that the peer has shown; the handshake proved that it has
    /// the key.
    #[cfg(feature = "pairing")]
    pub(crate) fn peer_key(&self) -> io::Result<Fingerprint> {
        match self.lock().kind() {
            Kind::Tcp(_) => Err(io::ErrorKind::InvalidData.into()),
            Kind::Tls(stream) => certificate::fingerprint(stream.get_ref().1.peer_certificates()),
            Kind::Quic(connection) => connection.peer_key(),
        }
    }

    /// This side's IP address, if the system tells.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        let tcp = self.lock();
        let address = tcp.tcp()?.get_ref().local_addr().ok()?;
        Some(canonical(address).ip())
    }

    /// For later, when the connection has been given away.
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

    /// The first reason stays, but what follows the peer's end tells more.
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
    /// What QUIC alone has.
    #[cfg(feature = "quic")]
    pub(crate) fn quic(&self) -> Option<&quic::Handle> {
        self.quic.as_ref()
    }

    /// Waits, `timeout` at most, until the peer has been told that the dropped
    /// connection is closed. Returns whether it was.
    ///
    /// A program that ends at once after it dropped a QUIC connection should wait
    /// for this, or its peer may have to wait for its own idle timeout. For TCP
    /// the kernel does it.
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

/// A listener for both versions of IP sees IPv4 addresses mapped into IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(address.ip().to_canonical(), address.port())
        }
        _ => address,
    }
}
