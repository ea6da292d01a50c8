//! Serves connections and limits the resources of each.

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
use sockkit_core::{
    options::SocketOptions,
    server::{Handled, Handler, Peer, Server, ServerConfig, Stream},
    tcp,
};
use sockkit_link::channel::LagLimit;
#[cfg(feature = "tls")]
use sockkit_link::tls::server::TlsStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::log_limit::{LogLimit, warn_refused};

/// Limits of all connections, of one host, and of each connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_connections_per_host: usize,
    pub(super) write_timeout: Duration,
    /// What a client is sent that finds no place; without it, a reset.
    pub(super) refusal: Option<&'static [u8]>,
}

/// Serves browsers with `handler`, which is [`Timed`], until the server is shut down.
pub(super) fn serve(
    listener: TcpListener,
    handler: impl Handler,
    limits: Limits,
) -> io::Result<Server> {
    let log_limit = LogLimit::default();
    let mut config = ServerConfig::default()
        .max_connections(limits.max_connections)
        .max_connections_per_address(limits.max_connections_per_host)
        // Every wait has its own limit: for a request, and for the client to
        // take a response.
        .idle_timeout(None)
        .drain_timeout(SHUTDOWN_WITHIN)
        .on_end(move |ended| warn_refused(ended, &log_limit, now()));
    if let Some(refusal) = limits.refusal {
        config = config.refusal(refusal);
    }
    Server::start_handler(listener, config, handler)
}

/// Gives connections their options, and a timeout of their own: their I/O bypasses the
/// server's.
pub(super) struct Timed<H> {
    write_timeout: Duration,
    handler: H,
}

impl<H> Timed<H> {
    pub(super) fn new(handler: H, limits: &Limits) -> Self {
        Self {
            write_timeout: limits.write_timeout,
            handler,
        }
    }
}

impl<H: Handler<WriteTimeout>> Handler for Timed<H> {
    async fn handle(&self, stream: Stream, peer: Peer) -> Handled {
        if let Err(error) = options().apply(stream.get_ref()) {
            tracing::debug!(%error, "cannot set socket options");
        }
        let stream = WriteTimeout::new(Arc::new(stream), self.write_timeout);
        self.handler.handle(stream, peer).await
    }
}

/// Serves an app over HTTP.
pub(super) struct Http(pub(super) Router);

impl Handler<WriteTimeout> for Http {
    async fn handle(&self, stream: WriteTimeout, peer: Peer) -> Handled {
        let outlet = Arc::clone(&stream.stream);
        serve_one(stream, outlet, peer, self.0.clone()).await;
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl Handler<TlsStream<WriteTimeout>> for Http {
    async fn handle(&self, mut stream: TlsStream<WriteTimeout>, peer: Peer) -> Handled {
        let (connection, tls) = stream.get_mut();
        tls.set_buffer_limit(Some(MAX_BUFFER_BYTES));
        let outlet = Arc::clone(&connection.stream);
        serve_one(stream, outlet, peer, self.0.clone()).await;
        Ok(())
    }
}

/// `outlet` is the connection below `stream`.
async fn serve_one<S>(stream: S, outlet: Arc<Stream>, peer: Peer, app: Router)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(address) = peer.address().socket_addr() else {
        return;
    };
    let upgrades = TaskTracker::new();
    let app = app.layer(Extension(SendBuffer {
        stream: outlet,
        peer: address,
        upgrades: upgrades.clone(),
    }));
    let stream = TokioIo::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_BUFFER_BYTES)
        // A request sent before the client closed its side is answered; a
        // client that has gone completely is detected by the next write.
        .half_close(true)
        .serve_connection(stream, TowerToHyperService::new(app))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = peer.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %address, %error, "browser connection ended");
    }
    upgrades.close();
    upgrades.wait().await;
}

pub(super) fn options() -> SocketOptions {
    // The last bytes of a picture must not wait for an acknowledgement, and a
    // client that does not read must not cause a queue of old pictures.
    let options = SocketOptions::new()
        .no_delay(true)
        .send_buffer_bytes(SEND_BUFFER_BYTES);
    #[cfg(target_os = "linux")]
    let options = options.not_sent_low_water_bytes(NOT_SENT_BYTES);
    options
}

/// The send buffer of one connection, for responses that can send something
/// newer once the previous data has left.
#[derive(Clone, Debug)]
pub(super) struct SendBuffer {
    stream: Arc<Stream>,
    pub(super) peer: SocketAddr,
    /// What serves the connection after an upgrade.
    pub(super) upgrades: TaskTracker,
}

impl SendBuffer {
    /// Waits until little unsent data is left in the kernel, or fails if the
    /// client is too slow.
    pub(super) async fn sent(&self, lag: &mut LagLimit) -> io::Result<()> {
        timeout(
            lag.left(now()),
            tcp::unsent_below_lowat(self.stream.get_ref()),
        )
        .await??;
        lag.handle_taken(now())
    }
}

/// The runtime's clock, for pure code.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Fails a response, or a picture of a stream, that the client does not take in
/// time.
#[derive(Debug)]
pub(super) struct WriteTimeout {
    /// Shared with the [`SendBuffer`].
    stream: Arc<Stream>,
    limit: Duration,
    /// Runs from the first blocked write until everything is written: trickling
    /// reads do not extend it.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    fn new(stream: Arc<Stream>, limit: Duration) -> Self {
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
        // Not `sleep_until`, because the sum would overflow without a limit.
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.get_ref().poll_read_ready(context))?;
            match self.stream.get_ref().try_read(buffer.initialize_unfilled()) {
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

impl AsyncWrite for WriteTimeout {
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
        let tcp = self.stream.get_ref();
        let written = loop {
            match tcp.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match tcp.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => break Poll::Ready(written),
            }
        };
        self.guard(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The kernel sends its buffer on its own, and this one is empty.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    /// The connection is dropped next, which closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Longer than any browser needs; also closes idle keep-alive connections.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// How long a client may take to read the last bytes.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

/// Bounds the request's headers, and how much of a response is buffered beyond
/// the picture being written, encrypted or not.
const MAX_BUFFER_BYTES: usize = 16 * 1_024;

/// Bounds the data in flight to one client: a few pictures.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// The next picture is chosen when less than half of this is unsent.
#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 8 << 10;

/// The refusal of a server without TLS.
pub(super) const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    Connection: close\r\nContent-Length: 20\r\n\r\ntoo many connections";
