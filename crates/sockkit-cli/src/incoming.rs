//! Pictures by whichever way they come to `view`.

use std::net::IpAddr;

use anyhow::{Context, bail};
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    picture::Picture,
    stream::{Link, Receiver, ReceiverConfig, StatsHandle, TcpReceiver, TcpReceiverConfig},
};

use crate::{
    endpoint::{Endpoint, Transport},
    say::say,
};

/// A receiver of datagrams, or one that dials.
pub(crate) enum Incoming {
    Datagrams(Receiver),
    Dialled(TcpReceiver),
}

impl Incoming {
    /// Binds or begins to dial, and says which.
    pub(crate) async fn open(
        url: &Endpoint,
        interface: Option<InterfaceSelector>,
        from: Option<IpAddr>,
    ) -> anyhow::Result<Self> {
        if url.transport == Transport::Tcp {
            if interface.is_some() {
                bail!("--interface is for udp://: a tcp:// address is dialled by its route");
            }
            if from.is_some() {
                bail!("--from is for udp://: a tcp:// address names the host that sends");
            }
            // A wrong name is found here; later it may be the network's fault.
            url.resolve().await?;
            say!("dialling  {url}");
            let config = TcpReceiverConfig::to(url.authority.as_str());
            return Ok(Self::Dialled(TcpReceiver::dial(config)));
        }
        let address = url.resolve().await?;
        let mut config = ReceiverConfig::at(address);
        if let Some(interface) = interface {
            if !address.ip().is_multicast() {
                bail!("--interface is for groups, and {url} is none");
            }
            config = config.interface(interface);
        }
        if let Some(from) = from {
            if address.is_ipv4() && from.to_canonical().is_ipv6() {
                bail!("--from {from} is an IPv6 address, and {url} receives IPv4");
            }
            config = config.only_from(from);
        }
        let receiver =
            Receiver::bind(config).with_context(|| format!("cannot receive at {url}"))?;
        say!("listening on {}", receiver.local_addr());
        Ok(Self::Datagrams(receiver))
    }

    pub(crate) fn pictures(&self) -> Subscriber<Picture> {
        match self {
            Self::Datagrams(receiver) => receiver.pictures(),
            Self::Dialled(receiver) => receiver.pictures(),
        }
    }

    pub(crate) fn stats(&self) -> StatsHandle {
        match self {
            Self::Datagrams(receiver) => receiver.stats(),
            Self::Dialled(receiver) => receiver.stats(),
        }
    }

    /// How the connection stands; `None` where there is none to stand.
    pub(crate) fn link(&self) -> Option<Subscriber<Link>> {
        match self {
            Self::Datagrams(_) => None,
            Self::Dialled(receiver) => Some(receiver.link()),
        }
    }

    pub(crate) async fn shutdown(self) {
        match self {
            Self::Datagrams(receiver) => receiver.shutdown().await,
            Self::Dialled(receiver) => receiver.shutdown().await,
        }
    }
}
