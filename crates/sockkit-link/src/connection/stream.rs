//! The transport of a connection, with a buffer for peeked bytes.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use sockkit_core::{
    server::Transport,
    tcp::{self, Connection as Tcp},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Scheme;
#[cfg(feature = "quic")]
use crate::quic;
#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// A transport that supports peeking.
#[derive(Debug)]
pub(super) struct Stream {
    kind: Kind,
    /// Peeked and not yet read. TCP's bytes stay in the kernel.
    ahead: Vec<u8>,
}

/// The transports; all but TCP are optional features.
pub(super) enum Kind {
    Tcp(tcp::Connection),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<tcp::Connection>>),
    #[cfg(feature = "quic")]
    Quic(Box<quic::Connection>),
}

impl Stream {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ahead: Vec::new(),
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn into_kind(self) -> Kind {
        self.kind
    }

    /// The transport for everything except reading, which returns peeked bytes
    /// first.
    pub(super) fn duplex(&mut self) -> Pin<&mut (dyn Duplex + '_)> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream),
            #[cfg(feature = "quic")]
            Kind::Quic(stream) => Pin::new(stream),
        }
    }

    pub(super) fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.is_write_vectored(),
            #[cfg(feature = "quic")]
            Kind::Quic(stream) => stream.is_write_vectored(),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.duplex().poll_read(cx, buf);
        }
        let bytes = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..bytes]);
        self.ahead.drain(..bytes);
        Poll::Ready(Ok(()))
    }

    /// Waits until data or EOF has arrived.
    #[cfg_attr(
        not(any(feature = "tls", feature = "quic")),
        expect(clippy::needless_pass_by_ref_mut, reason = "TCP is peeked, not read")
    )]
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.kind {
            Kind::Tcp(stream) => {
                let mut byte = [0];
                let mut byte = ReadBuf::new(&mut byte);
                stream.get_ref().poll_peek(cx, &mut byte).map_ok(drop)
            }
            #[cfg(any(feature = "tls", feature = "quic"))]
            _ => self.poll_look(cx),
        }
    }

    /// TLS and QUIC reveal arrived data only when they are read.
    #[cfg(any(feature = "tls", feature = "quic"))]
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; LOOK_BYTES];
        let mut bytes = ReadBuf::new(&mut bytes);
        std::task::ready!(self.duplex().poll_read(cx, &mut bytes))?;
        self.ahead.extend_from_slice(bytes.filled());
        Poll::Ready(Ok(()))
    }

    /// Checks without waiting, with the operating system's information where
    /// available.
    #[cfg_attr(
        not(any(feature = "tls", feature = "quic")),
        expect(clippy::needless_pass_by_ref_mut, reason = "TCP is peeked, not read")
    )]
    pub(super) fn has_arrived(&mut self) -> io::Result<bool> {
        match &self.kind {
            Kind::Tcp(stream) => stream.get_ref().has_arrived(),
            #[cfg(any(feature = "tls", feature = "quic"))]
            _ => self.look(),
        }
    }

    #[cfg(any(feature = "tls", feature = "quic"))]
    fn look(&mut self) -> io::Result<bool> {
        // The previous wait was cancelled, so there is no task to wake.
        let mut unwoken = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(readable) = self.poll_readable(&mut unwoken) {
            return readable.map(|()| true);
        }
        match self.tcp() {
            Some(tcp) => tcp.get_ref().has_arrived(),
            None => Ok(false),
        }
    }

    /// The underlying TCP connection, if there is one.
    pub(super) fn tcp(&self) -> Option<&Tcp> {
        match &self.kind {
            Kind::Tcp(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Some(stream.get_ref().0),
            #[cfg(feature = "quic")]
            Kind::Quic(_) => None,
        }
    }
}

impl Kind {
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Tcp(_) => Scheme::Tcp,
            #[cfg(feature = "tls")]
            Self::Tls(_) => Scheme::Tls,
            #[cfg(feature = "quic")]
            Self::Quic(_) => Scheme::Quic,
        }
    }
}

/// Both directions in one trait object, so that one match suffices.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.scheme(), f)
    }
}

/// Maximum number of bytes to peek.
#[cfg(any(feature = "tls", feature = "quic"))]
const LOOK_BYTES: usize = 512;
