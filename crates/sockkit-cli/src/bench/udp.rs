//! `sockkit bench udp`: batches and offload, compared with one call per packet.
//!
//! Sender and receivers share one thread, so its CPU time is the whole cost of
//! a packet at both ends. 64 packets are in flight at any time.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket},
    thread,
};

use anyhow::{Context, bail};
use clap::Parser;
use sockkit::udp::{Offload, ReceiveBatch, Transmit, UdpEndpoint};
use tokio::net::UdpSocket;

use super::pair::{Effort, Medians};

use crate::say::say;

/// UDP: batches and offload, compared with plain tokio and one call per packet
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    effort: Effort,
    /// Also measure over a virtual cable without offload; needs root, ip and
    /// ethtool
    #[arg(long)]
    veth: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    // A single-threaded runtime, independent of the command's.
    let thread = thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(compare(&args))
    });
    tokio::task::spawn_blocking(|| thread.join().expect("a bench does not panic")).await?
}

async fn compare(args: &Args) -> anyhow::Result<()> {
    say!("per second of CPU time, both ends      plain tokio       sockkit    ratio");
    compare_over("loopback", args.effort, &Path::Loopback).await?;
    if args.veth {
        let path = Path::cable()?;
        compare_over("veth, no offload", args.effort, &path).await?;
    }
    Ok(())
}

async fn compare_over(name: &str, effort: Effort, path: &Path) -> anyhow::Result<()> {
    let one_flow = |bytes| async move {
        let (plain, ours) = (Plain::new(path, 1)?, Ours::new(path, 1, Offload::Auto)?);
        compare_flow(effort, plain, ours, bytes).await
    };
    let small = one_flow(64).await?;
    print(name, "one flow, 64 B packets", "packets", 1.0, small);
    let bulk = one_flow(1_200).await?;
    print(name, "one flow, 1,200 B packets", "MB", 1_200e-6, bulk);
    let plain = Plain::new(path, IN_FLIGHT)?;
    let ours = Ours::new(path, IN_FLIGHT, Offload::Off)?;
    let many = compare_flow(effort, plain, ours, 64).await?;
    print(name, "64 destinations, 64 B packets", "packets", 1.0, many);
    Ok(())
}

async fn compare_flow(
    effort: Effort,
    mut plain: Plain,
    mut ours: Ours,
    bytes: usize,
) -> anyhow::Result<Medians> {
    let payload = vec![7; bytes * IN_FLIGHT];
    effort
        .measure(
            async || plain.exchange(&payload, bytes).await,
            async || ours.exchange(&payload, bytes).await,
        )
        .await
}

fn print(path: &str, what: &str, unit: &str, factor: f64, medians: Medians) {
    let Medians { plain, ours, ratio } = medians;
    say!(
        "{path}: {what:<30} {:>9.0} {:>12.0} {unit:<8} {ratio:>6.2}",
        plain * factor,
        ours * factor
    );
}

/// The path between the two ends.
enum Path {
    Loopback,
    Cable(sockkit::testing::lab::Lab),
}

impl Path {
    fn cable() -> anyhow::Result<Self> {
        let Some(lab) = sockkit::testing::lab::Lab::new("bench udp --veth", 2, 1) else {
            bail!("cannot create a virtual cable on this machine");
        };
        for host in [0, 1] {
            lab.host(host).port(0).offloads_off();
        }
        Ok(Self::Cable(lab))
    }

    /// A socket at an end, on a port chosen by the system.
    fn socket(&self, end: u8) -> anyhow::Result<StdUdpSocket> {
        let bind = |ip: Ipv4Addr| StdUdpSocket::bind((ip, 0));
        let socket = match self {
            Self::Loopback => bind(Ipv4Addr::LOCALHOST),
            Self::Cable(lab) => {
                let host = lab.host(end);
                host.run(|| bind(host.port(0).ipv4()))
            }
        };
        let socket = socket.context("cannot open a socket")?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// One call per packet.
struct Plain {
    sender: UdpSocket,
    receivers: Vec<UdpSocket>,
    to: Vec<SocketAddr>,
    buffer: Vec<u8>,
}

impl Plain {
    fn new(path: &Path, receivers: usize) -> anyhow::Result<Self> {
        let sender = UdpSocket::from_std(path.socket(0)?)?;
        let receivers = (0..receivers)
            .map(|_| Ok(UdpSocket::from_std(path.socket(1)?)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            to: receivers
                .iter()
                .map(UdpSocket::local_addr)
                .collect::<Result<_, _>>()?,
            sender,
            receivers,
            buffer: vec![0; 65_536],
        })
    }

    async fn exchange(&mut self, payload: &[u8], bytes: usize) -> anyhow::Result<u64> {
        for (packet, to) in payload.chunks(bytes).zip(self.to.iter().cycle()) {
            self.sender.send_to(packet, to).await?;
        }
        let each = IN_FLIGHT / self.receivers.len();
        for receiver in &self.receivers {
            for _ in 0..each {
                let (length, _) = receiver.recv_from(&mut self.buffer).await?;
                anyhow::ensure!(length == bytes, "{length} bytes came");
            }
        }
        Ok(IN_FLIGHT as u64)
    }
}

/// Batches.
struct Ours {
    sender: UdpEndpoint,
    receivers: Vec<UdpEndpoint>,
    to: Vec<SocketAddr>,
    batch: ReceiveBatch,
}

impl Ours {
    fn new(path: &Path, receivers: usize, offload: Offload) -> anyhow::Result<Self> {
        let endpoint = |end| -> anyhow::Result<_> {
            Ok(UdpEndpoint::from_std(path.socket(end)?)?.offload(offload))
        };
        let receivers = (0..receivers)
            .map(|_| endpoint(1))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            sender: endpoint(0)?,
            to: receivers
                .iter()
                .map(UdpEndpoint::local_addr)
                .collect::<Result<_, _>>()?,
            receivers,
            batch: ReceiveBatch::with_slots(IN_FLIGHT),
        })
    }

    async fn exchange(&mut self, payload: &[u8], bytes: usize) -> anyhow::Result<u64> {
        if let [to] = self.to[..] {
            self.sender.send_segments(Some(to), payload, bytes).await?;
        } else {
            let batch: Vec<_> = payload
                .chunks(bytes)
                .zip(&self.to)
                .map(|(packet, to)| Transmit::new(*to, packet))
                .collect();
            self.sender.send_batch(&batch).await?;
        }
        let each = IN_FLIGHT / self.receivers.len();
        for receiver in &self.receivers {
            let mut came = 0;
            while came < each {
                receiver.recv_batch(&mut self.batch).await?;
                for datagram in self.batch.iter() {
                    anyhow::ensure!(datagram.bytes.len() == bytes, "{datagram:?} came");
                    came += 1;
                }
            }
        }
        Ok(IN_FLIGHT as u64)
    }
}

const IN_FLIGHT: usize = 64;
