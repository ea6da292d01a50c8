//! The stream passed to a handler: a connection whose activity is recorded.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    Transport,
    activity::{Activity, Timeouts},
};
use crate::tcp::End;

/// One accepted connection, as passed to its handler: TCP, or another
/// [`Transport`].
///
/// Reads and writes update the server's timeouts and counters. Dropping the
/// stream closes the connection. It has no buffer.
///
/// When the server shuts down, reads return EOF after everything that arrived
/// has been read: see [`quiet_period`](super::ServerConfig::quiet_period).
#[derive(Debug)]
pub struct Stream<T = TcpStream> {
    transport: T,
    watch: Arc<SharedActivity>,
    /// Whether the drain has ended the reads.
    is_at_end: bool,
}

/// The activity, shared by the stream and the task that times it.
#[derive(Debug)]
pub(super) struct SharedActivity {
    timeouts: Timeouts,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    activity: Activity,
    /// Waker of the task whose read is pending. It may differ from the
    /// connection's task.
    reader: Option<Waker>,
}

impl Stream {
    /// The local address.
    ///
    /// # Errors
    /// If the operating system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }
}

impl<T: Transport> Stream<T> {
    pub(super) fn new(transport: T, watch: Arc<SharedActivity>) -> Self {
        Self {
            transport,
            watch,
            is_at_end: false,
        }
    }

    /// The underlying socket, for inspection and options.
    ///
    /// Data read or written through it bypasses the timeouts and counters.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// Aborts the connection with RST: undelivered data is lost, and the peer
    /// notices at once.
    pub fn abort(self) {
        self.watch
            .look(|activity| activity.handle_end(End::Aborted));
        self.transport.abort();
    }

    /// Waits until data or EOF has arrived.
    ///
    /// A handler that waits here before it allocates a buffer needs next to no
    /// memory while its peer is silent.
    ///
    /// # Errors
    /// If the socket has failed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn readable(&self) -> io::Result<()> {
        let mut readable = pin!(self.transport.readable());
        poll_fn(|cx| match readable.as_mut().poll(cx) {
            Poll::Pending => self.poll_drained(cx),
            Poll::Ready(result) => {
                match &result {
                    Ok(()) => self.watch.look(Activity::handle_readable),
                    Err(error) => self.failed(error),
                }
                Poll::Ready(result)
            }
        })
        .await
    }

    /// Waits until little unsent data is left in the kernel, as
    /// [`tcp::unsent_below_lowat`](crate::tcp::unsent_below_lowat) does. The
    /// wait counts towards the write timeout.
    ///
    /// Poll it from the task that writes.
    ///
    /// # Errors
    /// If the socket has failed.
    pub fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.transport.poll_unsent_below_lowat(cx);
        match &result {
            Poll::Ready(Ok(())) => self
                .watch
                .update(|activity, now| activity.handle_sent(now, 0)),
            Poll::Ready(Err(error)) => self.failed(error),
            Poll::Pending => self.watch.write_waits(),
        }
        result
    }

    /// Decides a read that has to wait: it returns EOF if the server drains and
    /// no more data is coming.
    fn poll_drained(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if !self.watch.read_waits(cx.waker()) {
            return Poll::Pending;
        }
        // Asks the kernel, since the runtime learns of arriving bytes slightly
        // later. If there are any, the read will return them.
        match self.transport.has_arrived() {
            Ok(false) => Poll::Ready(Ok(())),
            Ok(true) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => {
                self.failed(&error);
                Poll::Ready(Err(error))
            }
        }
    }

    /// Records the result of a write.
    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.watch
                    .update(|activity, now| activity.handle_sent(now, *bytes));
            }
            Poll::Ready(Err(error)) => self.failed(error),
            Poll::Pending => self.watch.write_waits(),
        }
        result
    }

    fn failed(&self, error: &io::Error) {
        let end = End::from_io(error);
        self.watch.look(|activity| activity.handle_end(end));
    }
}

impl<T: Transport> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        if self.is_at_end || room == 0 {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.transport).poll_read(cx, buf) {
            Poll::Pending => {
                let drained = self.poll_drained(cx);
                self.is_at_end = matches!(drained, Poll::Ready(Ok(())));
                return drained;
            }
            Poll::Ready(Err(error)) => {
                self.failed(&error);
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(())) => {}
        }
        match buf.filled().len() - before {
            0 => self
                .watch
                .look(|activity| activity.handle_end(End::Finished)),
            bytes => (self.watch).update(|activity, now| activity.handle_received(now, bytes)),
        }
        Poll::Ready(Ok(()))
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
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl SharedActivity {
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            state: Mutex::new(State {
                activity: Activity::new(now()),
                reader: None,
            }),
        }
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Updates the activity with the current time.
    fn update(&self, update: impl FnOnce(&mut Activity, Instant)) {
        self.look(|activity| update(activity, now()));
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Activity) -> T) -> T {
        look(&mut self.state().activity)
    }

    /// Records that a read waits, in the task of `waker`. Returns whether the
    /// read is at its end as far as time tells.
    ///
    /// Reads the clock only if needed, because every request passes here.
    fn read_waits(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        if !(state.reader.as_ref()).is_some_and(|reader| reader.will_wake(waker)) {
            state.reader = Some(waker.clone());
        }
        let activity = &mut state.activity;
        if self.timeouts.read.is_none() && !activity.is_draining() {
            return false;
        }
        let now = now();
        activity.handle_read_waits(now);
        (activity.reads_end(&self.timeouts)).is_some_and(|end| end <= now)
    }

    fn write_waits(&self) {
        if self.timeouts.write.is_some() {
            self.update(Activity::handle_write_waits);
        }
    }

    /// The server drains: a pending read may be at its end.
    pub(super) fn drain(&self) {
        self.update(Activity::handle_drain);
        self.wake_reader();
    }

    /// Wakes the pending read, to check again whether it is at its end.
    pub(super) fn wake_reader(&self) {
        let reader = self.state().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave these few fields inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime's clock, so that a paused test clock is obeyed.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
