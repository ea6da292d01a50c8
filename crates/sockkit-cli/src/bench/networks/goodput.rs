//! How much connections carry.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, bail};
use sockkit::{options::SocketOptions, quic, tcp, testing::lab::Lab};
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

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp("cubic") => "TCP Cubic",
            Self::Tcp("bbr") => "TCP BBR",
            Self::Tcp(control) => control,
            Self::Quic => "QUIC",
        })
    }
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
    /// Megabits a second of what arrived within `time` from the beginning, of connections
    /// that send as much as they can at once.
    pub(super) fn goodput<const N: usize>(
        &self,
        over: [Over; N],
        time: Duration,
    ) -> anyhow::Result<[f64; N]> {
        let connections = over
            .into_iter()
            .map(|over| Connection::open(&self.lab, over, time))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut mbits = [0.0; N];
        for (mbits, connection) in mbits.iter_mut().zip(connections) {
            *mbits = connection.end()? as f64 * 8.0 / 1e6 / time.as_secs_f64();
        }
        Ok(mbits)
    }
}

/// A sender in one host and its receiver in the other.
struct Connection {
    sender: JoinHandle<anyhow::Result<u64>>,
    receiver: JoinHandle<()>,
}

impl Connection {
    fn open(lab: &Lab, over: Over, time: Duration) -> anyhow::Result<Self> {
        let arrived = Arc::new(AtomicU64::new(0));
        let at = SocketAddr::from((lab.host(1).port(0).ipv4(), 0));
        let (ready, is_ready) = channel();
        let receiver = lab.host(1).spawn({
            let arrived = Arc::clone(&arrived);
            async move || {
                let until = Instant::now() + time + SETTLE_WITHIN;
                // What has not come by then is not counted.
                let _ = timeout_at(until, over.count(at, ready, &arrived)).await;
            }
        });
        let to = is_ready.recv().context("the receiver did not start")?;
        let sender = lab.host(0).spawn(async move || {
            let end = Instant::now() + time;
            let flood = async { flood(over.dial(to).await?).await };
            match timeout_at(end, flood).await {
                Err(_elapsed) => Ok(arrived.load(Relaxed)),
                Ok(Ok(never)) => match never {},
                Ok(Err(error)) => Err(error),
            }
        });
        Ok(Self { sender, receiver })
    }

    /// How many bytes had arrived at the end.
    fn end(self) -> anyhow::Result<u64> {
        let ends = (self.sender.join(), self.receiver.join());
        let (Ok(arrived), Ok(())) = ends else {
            bail!("the sender or the receiver panicked");
        };
        arrived
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
