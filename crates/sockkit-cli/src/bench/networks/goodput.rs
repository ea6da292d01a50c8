//! How much one connection carries.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use sockkit::{options::SocketOptions, quic, tcp};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::Network;

/// What carries the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    /// With this congestion control.
    Tcp(&'static str),
    Quic,
}

impl Over {
    /// Whether this kernel has it.
    pub(super) fn is_there(self) -> bool {
        let Self::Tcp(wanted) = self else { return true };
        let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
        let available = std::fs::read_to_string(path).unwrap_or_default();
        available.split_whitespace().any(|name| name == wanted)
    }

    async fn dial(self, to: SocketAddr) -> anyhow::Result<Box<dyn AsyncWrite + Unpin>> {
        Ok(match self {
            Self::Tcp(control) => {
                let options = SocketOptions::new().congestion(control);
                let connector = tcp::Connector::default().options(options);
                Box::new(connector.connect(to).await?)
            }
            Self::Quic => Box::new(quic::connect(to).await?),
        })
    }

    /// Counts what one connection brings until it, or the time, is over.
    async fn count(
        self,
        at: SocketAddr,
        ready: Sender<SocketAddr>,
        arrived: &AtomicU64,
    ) -> anyhow::Result<()> {
        match self {
            Self::Tcp(_) => {
                let listener = tcp::Listener::bind(at)?;
                ready.send(listener.local_addr()?)?;
                let (stream, _) = listener.accept().await?;
                count(stream, arrived).await
            }
            Self::Quic => {
                let listener = quic::Listener::bind(at)?;
                ready.send(listener.local_addr()?)?;
                let (stream, _) = listener.accept().await?;
                count(stream, arrived).await
            }
        }
    }
}

impl Network {
    /// Megabits a second of what arrived within `time` from the beginning of the connection.
    pub(super) fn goodput(&self, over: Over, time: Duration) -> anyhow::Result<f64> {
        let arrived = Arc::new(AtomicU64::new(0));
        let at = SocketAddr::from((self.lab.host(1).port(0).ipv4(), 0));
        let (ready, is_ready) = channel();
        let receiver = self.lab.host(1).spawn({
            let arrived = Arc::clone(&arrived);
            async move || {
                let until = Instant::now() + time + SETTLE_WITHIN;
                // What has not come by then is not counted.
                let _ = timeout_at(until, over.count(at, ready, &arrived)).await;
            }
        });
        let to = is_ready.recv().context("the receiver did not start")?;
        let sent = self.lab.host(0).block_on(async || {
            let end = Instant::now() + time;
            let flood = async { flood(over.dial(to).await?).await };
            match timeout_at(end, flood).await {
                Err(_elapsed) => Ok(arrived.load(Relaxed)),
                Ok(Ok(never)) => match never {},
                Ok(Err(error)) => Err(error),
            }
        });
        receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))?;
        Ok(sent? as f64 * 8.0 / 1e6 / time.as_secs_f64())
    }
}

async fn flood(
    mut stream: Box<dyn AsyncWrite + Unpin>,
) -> anyhow::Result<std::convert::Infallible> {
    let block = vec![7; BLOCK_BYTES];
    loop {
        stream.write_all(&block).await?;
    }
}

async fn count(mut stream: impl AsyncRead + Unpin, arrived: &AtomicU64) -> anyhow::Result<()> {
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            bytes => arrived.fetch_add(bytes as u64, Relaxed),
        };
    }
}

const BLOCK_BYTES: usize = 64 << 10;

/// How long the receiver outlives the sender, if it does not hear of its end.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);
