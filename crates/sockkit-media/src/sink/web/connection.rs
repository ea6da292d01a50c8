//! Accepts connections and bounds what each one may take.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sockkit_core::{options::SocketOptions, server::Slots, tcp};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{log_limit::LogLimit, stream::patience::Patience};

/// What all connections together, those of one host, and each one may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_connections_per_host: usize,
    pub(super) write_deadline: Duration,
}

/// Accepts until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Slots::new(limits.max_connections, limits.max_connections_per_host);
    let places = Arc::new(places);
    let log_limit = LogLimit::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the client has gone: either way
                // asking again at once would only spin.
                tracing::warn!(%error, "cannot accept a browser");
                sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let Some(place) = places.take(peer.ip()) else {
            if let Some(untold) = log_limit.note(now(), "full", peer.ip()) {
                tracing::warn!(%peer, untold, "too many connections");
            }
            // Best effort, and never waited for.
            let _ = stream.try_write(BUSY);
            continue;
        };
        let (app, stop) = (app.clone(), stop.clone());
        tasks.spawn(async move {
            let _place = place;
            if let Err(error) = serve_one(stream, peer, app, limits.write_deadline, stop).await {
                tracing::debug!(%peer, %error, "browser connection ended");
            }
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    write_deadline: Duration,
    stop: CancellationToken,
) -> hyper::Result<()> {
    if let Err(error) = options().apply(&stream) {
        tracing::debug!(%error, "cannot set the socket up");
    }
    let stream = Arc::new(stream);
    let app = app.layer(Extension(Outlet {
        stream: Arc::clone(&stream),
        peer,
        deadline: write_deadline,
    }));
    let stream = TokioIo::new(WriteDeadline::new(stream, write_deadline));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_BUFFER_BYTES)
        // What a client asked before it closed its side is answered; one that
        // has gone altogether is noticed by the next write.
        .half_close(true)
        .serve_connection(stream, TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    if let Some(ended) = stop.run_until_cancelled(connection.as_mut()).await {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    timeout(SHUTDOWN_WITHIN, connection).await.unwrap_or(Ok(()))
}

fn options() -> SocketOptions {
    // A picture's last bytes shall not wait for an acknowledgement, and a
    // client that does not read gets no queue of old ones.
    let options = SocketOptions::new()
        .no_delay(true)
        .send_buffer_bytes(SEND_BUFFER_BYTES);
    #[cfg(target_os = "linux")]
    let options = options.not_sent_low_water_bytes(NOT_SENT_BYTES);
    options
}

/// The way out of one connection, for answers that have something newer to
/// send by the time that the last bytes have left.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    stream: Arc<TcpStream>,
    pub(super) peer: SocketAddr,
    deadline: Duration,
}

impl Outlet {
    /// How slowly this client may take pictures.
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.deadline)
    }

    /// Waits until what was written has left this machine, but for a little,
    /// if the client takes it in time.
    pub(super) async fn sent(&self, patience: &mut Patience) -> io::Result<()> {
        timeout(patience.left(now()), tcp::sent(&self.stream)).await??;
        patience.handle_taken(now())
    }
}

/// The runtime's clock, for what is pure.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Fails an answer, or a picture of a stream, that is not taken whole in time.
#[derive(Debug)]
struct WriteDeadline {
    /// Shared with the [`Outlet`].
    stream: Arc<TcpStream>,
    limit: Duration,
    /// Runs from the first write that waits until all is written: a byte now
    /// and then does not put it off.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl WriteDeadline {
    fn new(stream: Arc<TcpStream>, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stalled: None,
        }
    }

    fn guard(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            return written;
        }
        let limit = self.limit;
        // Not `sleep_until`: a sum would overflow where the limit is none.
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteDeadline {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Ok(bytes) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for WriteDeadline {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = loop {
            match self.stream.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match self.stream.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => break Poll::Ready(written),
            }
        };
        self.guard(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The kernel's buffer is flushed by itself, and ours is empty now.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    /// The connection is dropped next, which closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Longer than any browser needs; also ends connections kept alive unused.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// How long a client may take to swallow the last bytes.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Bounds the request's headers, and how much of an answer waits beyond the
/// picture being written.
const MAX_BUFFER_BYTES: usize = 16 * 1_024;

/// Bounds what is on its way to one client: a picture or a few.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Less than half of this waits unsent when the next picture is chosen.
#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 8 << 10;

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    Connection: close\r\nContent-Length: 20\r\n\r\ntoo many connections";
