//! A connection as a server sees it.

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
            // What is in QUIC's hands is not the kernel's yet, and is not told.
            None => Poll::Ready(Ok(())),
        }
    }

    /// Over TLS and QUIC it takes round trips, so it is said in a task of its
    /// own; the place of the connection is taken meanwhile.
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
            // A peer that does not listen is not waited for.
            let _ = timeout(REFUSAL, said).await;
        });
    }

    fn abort(self) {
        if let Some(tcp) = self.lock().tcp() {
            // Fails on a socket that is reset already.
            let _ = tcp.get_ref().set_zero_linger();
        }
        // QUIC tells the peer when it is dropped unfinished.
    }
}

const REFUSAL: Duration = Duration::from_secs(1);
