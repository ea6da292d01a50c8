//! A connection as the transport of a server.

use std::{
    future::poll_fn,
    io,
    sync::PoisonError,
    task::{Context, Poll},
    time::Duration,
};

use sockkit_core::server::Transport;
use tokio::{io::AsyncWriteExt, runtime::Handle, time::timeout};

use super::{Connection, stream::Kind};

impl Connection {
    fn into_kind(self) -> Kind {
        let stream = self.stream.into_inner();
        stream.unwrap_or_else(PoisonError::into_inner).into_kind()
    }
}

impl Transport for Connection {
    async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.lock().poll_readable(cx)).await
    }

    fn has_arrived(&self) -> io::Result<bool> {
        self.lock().has_arrived()
    }

    fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.lock().tcp() {
            Some(tcp) => tcp.get_ref().poll_unsent_below_lowat(cx),
            // Data buffered by QUIC has not reached the kernel, and is not
            // counted.
            None => Poll::Ready(Ok(())),
        }
    }

    /// Over TLS and QUIC this takes round trips, so it runs in a task of its
    /// own, which keeps the connection's permit.
    fn refuse(mut self, refusal: &[u8]) {
        if !self.is_encrypted() {
            match self.into_kind() {
                Kind::Tcp(tcp) => tcp.into_inner().refuse(refusal),
                #[cfg(any(feature = "tls", feature = "quic"))]
                _ => {}
            }
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let refusal = refusal.to_vec();
        runtime.spawn(async move {
            let said = async {
                self.write_all(&refusal).await?;
                self.shutdown().await
            };
            // A peer that does not read is not waited for.
            let _ = timeout(REFUSAL, said).await;
        });
    }

    fn abort(self) {
        if let Some(tcp) = self.lock().tcp() {
            // Fails if the socket is already reset.
            let _ = tcp.get_ref().set_zero_linger();
        }
        // QUIC notifies the peer when it is dropped.
    }
}

const REFUSAL: Duration = Duration::from_secs(1);
