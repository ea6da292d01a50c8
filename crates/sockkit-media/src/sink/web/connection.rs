//! Accepts connections and bounds what each one may take.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What all connections together, and each one, may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
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
    let places = Arc::new(Semaphore::new(limits.max_connections));
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
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, "too many connections");
            // Best effort, and never waited for.
            let _ = stream.try_write(BUSY);
            continue;
        };
        let (app, stop) = (app.clone(), stop.clone());
        tasks.spawn(async move {
            let _place = place;
            if let Err(error) = serve_one(stream, app, limits.write_deadline, stop).await {
                tracing::debug!(%peer, %error, "browser connection ended");
            }
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    app: Router,
    write_deadline: Duration,
    stop: CancellationToken,
) -> hyper::Result<()> {
    // A picture's last bytes shall not wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stream = TokioIo::new(WriteDeadline::new(stream, write_deadline));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(stream, TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    if let Some(ended) = stop.run_until_cancelled(connection.as_mut()).await {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    timeout(SHUTDOWN_WITHIN, connection).await.unwrap_or(Ok(()))
}

/// Fails a write that has made no progress for too long.
#[derive(Debug)]
struct WriteDeadline {
    stream: TcpStream,
    limit: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl WriteDeadline {
    fn new(stream: TcpStream, limit: Duration) -> Self {
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
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteDeadline {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteDeadline {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.guard(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.guard(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Connection: close\r\nContent-Length: 20\r\n\r\ntoo many connections";
