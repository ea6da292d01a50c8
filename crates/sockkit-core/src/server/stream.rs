//! The stream a handler gets: a connection with its activity watched.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Transport, activity::Activity};
use crate::tcp::End;

/// One accepted connection, as its handler sees it: TCP, or another
/// [`Transport`].
///
/// Reading and writing keeps the server's timeouts and counters; dropping it
/// closes the connection. The stream holds no buffer.
#[derive(Debug)]
pub struct Stream<T = TcpStream> {
    transport: T,
    watch: Arc<Watch>,
}

/// The activity, shared by the stream and the task that times it.
#[derive(Debug)]
pub(super) struct Watch(Mutex<Activity>);

impl Stream {
    /// This side's address.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }
}

impl<T: Transport> Stream<T> {
    pub(super) fn new(transport: T, watch: Arc<Watch>) -> Self {
        Self { transport, watch }
    }

    /// The socket below, to look at and to set options of.
    ///
    /// What is read or written past this stream escapes its timeouts.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// Throws the connection away (RST): what is not delivered yet is lost, and
    /// the peer learns at once that it is.
    pub fn abort(self) {
        self.watch
            .update(|activity, _| activity.handle_end(End::Aborted));
        self.transport.abort();
    }

    /// Waits until there is something to read, or the peer's close.
    ///
    /// A handler that waits here and takes a buffer only then costs next to no
    /// memory while its peer is silent.
    ///
    /// # Errors
    /// If the socket has failed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.watch.update(Activity::handle_read_waits);
        let result = self.transport.readable().await;
        self.watch.update(|activity, _| match &result {
            Ok(()) => activity.handle_readable(),
            Err(error) => activity.handle_end(End::from_io(error)),
        });
        result
    }

    /// Waits until the kernel has sent what it took, as [`tcp::sent`](crate::tcp::sent)
    /// does; the wait counts as one of a write.
    ///
    /// Poll it from the task that writes.
    ///
    /// # Errors
    /// If the socket has failed.
    pub fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.transport.poll_sent(cx);
        self.watch.update(|activity, now| match &result {
            Poll::Ready(Ok(())) => activity.handle_sent(now, 0),
            Poll::Ready(Err(error)) => activity.handle_end(End::from_io(error)),
            Poll::Pending => activity.handle_write_waits(now),
        });
        result
    }

    /// Whether the kernel holds bytes or the peer's close, by its own word: the
    /// runtime hears of them a moment later.
    pub(super) fn has_arrived(&self) -> io::Result<bool> {
        let result = self.transport.has_arrived();
        if let Err(error) = &result {
            let end = End::from_io(error);
            self.watch.update(|activity, _| activity.handle_end(end));
        }
        result
    }

    /// Takes note of what became of a write.
    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.update(|activity, now| match &result {
            Poll::Ready(Ok(bytes)) => activity.handle_sent(now, *bytes),
            Poll::Ready(Err(error)) => activity.handle_end(End::from_io(error)),
            Poll::Pending => activity.handle_write_waits(now),
        });
        result
    }
}

impl<T: Transport> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        let result = Pin::new(&mut self.transport).poll_read(cx, buf);
        let bytes = buf.filled().len() - before;
        self.watch.update(|activity, now| match &result {
            Poll::Ready(Ok(())) if bytes > 0 => activity.handle_received(now, bytes),
            Poll::Ready(Ok(())) if room > 0 => activity.handle_end(End::Finished),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => activity.handle_end(End::from_io(error)),
            Poll::Pending => activity.handle_read_waits(now),
        });
        result
    }
}

impl<T: Transport> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.transport).poll_write(cx, buf);
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.transport).poll_write_vectored(cx, bufs);
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.transport).poll_shutdown(cx));
        Poll::Ready(result)
    }
}

impl Watch {
    pub(super) fn new(activity: Activity) -> Self {
        Self(Mutex::new(activity))
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut Activity, Instant)) {
        self.read(|activity| update(activity, now()));
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Activity) -> T) -> T {
        // A panic cannot leave the few fields half changed.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The runtime's clock, so that a paused test clock is obeyed.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
