//! The ways on which `cam` sends at once.

use std::time::Duration;

use anyhow::bail;
use indicatif::HumanBytes;
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    picture::Picture,
    shard::Parity,
    stream::{Report, Sender, SenderConfig, TcpSender, TcpSenderConfig},
};
use tokio::time::timeout;

use crate::{
    endpoint::{Endpoint, Transport},
    say::say,
};

/// What was asked for beside the addresses.
pub(crate) struct Ways<'a> {
    pub(crate) parity: Option<Parity>,
    pub(crate) interface: Option<&'a InterfaceSelector>,
    pub(crate) viewers_per_host: Option<u8>,
}

/// One socket for all datagrams, and a listener for each TCP address.
pub(crate) struct Outgoing {
    datagrams: Option<Sender>,
    listeners: Vec<TcpSender>,
}

impl Outgoing {
    /// Binds all of them, and says where.
    pub(crate) async fn bind(
        to: &[Endpoint],
        ways: Ways<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<Self> {
        let Ways {
            parity, interface, ..
        } = ways;
        let of = |transport| to.iter().filter(move |to| to.transport == transport);
        let datagrams = match udp_config(of(Transport::Udp), parity, interface).await? {
            Some(config) => Some(Sender::bind(config, pictures.clone())?),
            None if parity.is_some() => {
                bail!("--parity and --loss are for udp://; TCP repairs losses itself")
            }
            None if interface.is_some() => {
                bail!("--interface is for groups, and no --to is one")
            }
            None => None,
        };
        let mut listeners = Vec::new();
        for at in of(Transport::Tcp) {
            let mut config = TcpSenderConfig::at(at.resolve().await?);
            if let Some(viewers) = ways.viewers_per_host {
                config = config.max_viewers_per_host(viewers.into());
            }
            let listener = TcpSender::bind(config, pictures.clone())?;
            say!("listening on {}", listener.local_addr());
            listeners.push(listener);
        }
        if listeners.is_empty() && ways.viewers_per_host.is_some() {
            bail!("--viewers-per-host is for tcp://, and no --to is one");
        }
        Ok(Self {
            datagrams,
            listeners,
        })
    }

    /// What was sent, a line for each kind.
    pub(crate) fn sent(&self) -> Vec<String> {
        let datagrams = self.datagrams.iter().map(|sender| {
            let stats = sender.stats();
            format!(
                "{} pictures, {}; {} left out, {} failed",
                stats.sent,
                HumanBytes(stats.bytes),
                stats.skipped,
                stats.failed
            )
        });
        let listeners = self.listeners.iter().map(|listener| {
            let stats = listener.stats();
            format!(
                "{} pictures over TCP, {}, to {} viewers ({} now); {} left out",
                stats.sent,
                HumanBytes(stats.bytes),
                stats.dialled,
                stats.viewers,
                stats.skipped
            )
        });
        datagrams.chain(listeners).collect()
    }

    /// What viewers last reported, whichever their way.
    pub(crate) fn reports(&self) -> Vec<(std::net::SocketAddr, Report)> {
        let datagrams = self.datagrams.iter().flat_map(Sender::reports);
        let listeners = self.listeners.iter().flat_map(TcpSender::reports);
        datagrams.chain(listeners).collect()
    }

    /// Waits until the datagrams of the last picture are sent. Viewers over TCP
    /// get theirs, or not, while [`shutdown`](Self::shutdown) waits for them.
    pub(crate) async fn finished(&self) {
        if let Some(sender) = &self.datagrams {
            let _ = timeout(FINISH_WITHIN, sender.finished()).await;
        }
    }

    /// After the publisher is gone.
    pub(crate) async fn shutdown(self) {
        if let Some(sender) = self.datagrams {
            sender.shutdown().await;
        }
        for listener in self.listeners {
            let _ = timeout(FINISH_WITHIN, listener.finished()).await;
            listener.shutdown().await;
        }
    }
}

async fn udp_config(
    mut to: impl Iterator<Item = &Endpoint>,
    parity: Option<Parity>,
    interface: Option<&InterfaceSelector>,
) -> anyhow::Result<Option<SenderConfig>> {
    let Some(first) = to.next() else {
        return Ok(None);
    };
    let first = first.resolve().await?;
    let mut groups = usize::from(first.ip().is_multicast());
    let mut config = SenderConfig::to(first).parity(parity.unwrap_or(Parity::NONE));
    for to in to {
        let to = to.resolve().await?;
        groups += usize::from(to.ip().is_multicast());
        config = config.also_to(to);
    }
    Ok(Some(match interface {
        Some(_) if groups == 0 => bail!("--interface is for groups, and no --to is one"),
        Some(interface) => config.interface(interface.clone()),
        None => config,
    }))
}

/// A picture takes milliseconds; a viewer that does not read is not waited for.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
