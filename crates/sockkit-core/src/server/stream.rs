//! The stream a handler gets: a connection with its activity watched.

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

/// One accepted connection, as its handler sees it: TCP, or another
/// [`Transport`].
///
/// Reading and writing keeps the server's timeouts and counters; dropping it
/// closes the connection. The stream holds no buffer.
///
/// When the server shuts down, reads end as if the peer had closed, after all
/// that has arrived: see [`quiet_period`](super::ServerConfig::quiet_period).
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
    /// The task whose read waits: it may be another than the connection's.
    reader: Option<Waker>,
}

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
    pub(super) fn new(transport: T, watch: Arc<SharedActivity>) -> Self {
        Self {
            transport,
            watch,
            is_at_end: false,
        }
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
            .look(|activity| activity.handle_end(End::Aborted));
        self.transport.abort();
    }

    /// Waits until there is something to read, or the end of the stream.
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

    /// Waits until the kernel has sent what it took, as [`tcp::unsent_below_lowat`](crate::tcp::unsent_below_lowat)
    /// does; the wait counts as one of a write.
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

    /// What becomes of a read that has to wait: it is at its end if the server
    /// drains and nothing is coming any more.
    fn poll_drained(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if !self.watch.read_waits(cx.waker()) {
            return Poll::Pending;
        }
        // By the kernel's word: the runtime hears of bytes a moment later, and
        // then the read has them.
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

    /// Takes note of what became of a write.
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

    /// Changes the activity, where the time matters.
    fn update(&self, update: impl FnOnce(&mut Activity, Instant)) {
        self.look(|activity| update(activity, now()));
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Activity) -> T) -> T {
        look(&mut self.state().activity)
    }

    /// A read waits, in the task of `waker`. Whether it is at its end, as far as
    /// time tells.
    ///
    /// Asks for the time only where it matters: this is on the way of each
    /// request.
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

    /// The server drains: a read that waits may be at its end.
    pub(super) fn drain(&self) {
        self.update(Activity::handle_drain);
        self.wake_reader();
    }

    /// Has the read that waits look again whether it is at its end.
    pub(super) fn wake_reader(&self) {
        let reader = self.state().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the few fields half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime's clock, so that a paused test clock is obeyed.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
