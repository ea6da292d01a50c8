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
    select,
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
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

    async fn send(self, to: SocketAddr, mut bytes: u64) -> anyhow::Result<()> {
        let mut stream = self.dial(to).await?;
        let block = [7; BLOCK_BYTES];
        while bytes > 0 {
            let next = usize::try_from(bytes).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
            stream.write_all(&block[..next]).await?;
            bytes -= next as u64;
        }
        Ok(stream.shutdown().await?)
    }

    /// Says how much comes, each time that something does, until the connection is over.
    async fn count(
        self,
        at: SocketAddr,
        ready: Sender<SocketAddr>,
        came: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        match self {
            Self::Tcp(_) => {
                let listener = tcp::Listener::bind(at)?;
                ready.send(listener.local_addr()?)?;
                let (stream, _) = listener.accept().await?;
                count(stream, came).await
            }
            Self::Quic => {
                let listener = quic::Listener::bind(at)?;
                ready.send(listener.local_addr()?)?;
                let (stream, _) = listener.accept().await?;
                count(stream, came).await
            }
        }
    }
}

impl Network {
    /// Megabits a second of a transfer, from the dial until all of it has arrived; of what has
    /// arrived by then, if that takes longer than `time`.
    pub(super) fn transfer(&self, over: Over, time: Duration) -> anyhow::Result<f64> {
        Connection::open(&self.lab, over, TRANSFER_BYTES, time)?.mbits()
    }

    /// Megabits a second of what arrives within `time` of the dial, of connections that send as
    /// much as they can at once.
    pub(super) fn floods(&self, over: [Over; 2], time: Duration) -> anyhow::Result<[f64; 2]> {
        let [one, other] = over.map(|over| Connection::open(&self.lab, over, u64::MAX, time));
        let (one, other) = (one?, other?);
        Ok([one.mbits()?, other.mbits()?])
    }
}

/// A sender in one host and its receiver in the other.
struct Connection {
    sender: JoinHandle<anyhow::Result<Arrived>>,
    receiver: JoinHandle<()>,
}

/// What a connection brought, and how long after the dial.
struct Arrived {
    bytes: u64,
    after: Duration,
}

impl Connection {
    /// Sends so many bytes, until `time` is over.
    fn open(lab: &Lab, over: Over, bytes: u64, time: Duration) -> anyhow::Result<Self> {
        let arrived = Arc::new(AtomicU64::new(0));
        let all = Arc::new(Notify::new());
        let at = SocketAddr::from((lab.host(1).port(0).ipv4(), 0));
        let (ready, is_ready) = channel();
        let receiver = lab.host(1).spawn({
            let (arrived, all) = (Arc::clone(&arrived), Arc::clone(&all));
            async move || {
                let until = Instant::now() + time + SETTLE_WITHIN;
                let count = over.count(at, ready, |came| {
                    if arrived.fetch_add(came, Relaxed) + came >= bytes {
                        all.notify_one();
                    }
                });
                // What has not come by then is not counted.
                let _ = timeout_at(until, count).await;
            }
        });
        let to = is_ready.recv().context("the receiver did not start")?;
        let sender = lab.host(0).spawn(async move || {
            let dialled = Instant::now();
            select! {
                _elapsed = sleep_until(dialled + time) => {}
                () = all.notified() => {}
                Err(error) = over.send(to, bytes) => return Err(error),
            }
            Ok(Arrived {
                bytes: arrived.load(Relaxed),
                after: dialled.elapsed(),
            })
        });
        Ok(Self { sender, receiver })
    }

    fn mbits(self) -> anyhow::Result<f64> {
        let ends = (self.sender.join(), self.receiver.join());
        let (Ok(arrived), Ok(())) = ends else {
            bail!("the sender or the receiver panicked");
        };
        let Arrived { bytes, after } = arrived?;
        Ok(bytes as f64 * 8.0 / 1e6 / after.as_secs_f64())
    }
}

async fn count(
    mut stream: impl AsyncRead + Unpin,
    mut came: impl FnMut(u64),
) -> anyhow::Result<()> {
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            bytes => came(bytes as u64),
        }
    }
}

const BLOCK_BYTES: usize = 64 << 10;

/// What a transfer is.
const TRANSFER_BYTES: u64 = 120_000_000;

/// How long the receiver outlives the sender, if it does not hear of its end.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);
