//! Receives the pictures for `view`.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, bail};
use sockkit::{
    interfaces::InterfaceSelector,
    link::{Address, Host, Scheme},
    stream::{Receiver, ReceiverConfig},
};
use tokio::time::timeout;

use crate::say::say;

/// Binds the address or starts to dial it, and prints which.
pub(crate) async fn open(
    at: &Address,
    interface: Option<InterfaceSelector>,
    from: Option<IpAddr>,
) -> anyhow::Result<Receiver> {
    if at.scheme() == Scheme::Udp {
        return bind(at, interface, from).await;
    }
    if interface.is_some() {
        bail!("--interface is for udp:// only: {at} is dialled through its route");
    }
    if from.is_some() {
        bail!("--from is for udp:// only: {at} already names the sending host");
    }
    // A wrong name is detected here; later it may be the network's fault.
    timeout(RESOLVE_WITHIN, at.resolve())
        .await
        .with_context(|| format!("cannot resolve {at}"))??;
    say!("dialling  {at}");
    Ok(Receiver::open(at, ReceiverConfig::default()).await?)
}

async fn bind(
    at: &Address,
    interface: Option<InterfaceSelector>,
    from: Option<IpAddr>,
) -> anyhow::Result<Receiver> {
    let mut config = ReceiverConfig::default();
    if let Some(interface) = interface {
        if at.group().is_none() {
            bail!("--interface is for groups, and {at} is not one");
        }
        config = config.interface(interface);
    }
    if let Some(from) = from {
        if matches!(at.host(), Host::V4(_) | Host::Unspecified) && from.to_canonical().is_ipv6() {
            bail!("--from {from} is an IPv6 address, and {at} receives IPv4");
        }
        config = config.only_from(from);
    }
    let receiver = Receiver::open(at, config)
        .await
        .with_context(|| format!("cannot receive at {at}"))?;
    let bound = receiver.address();
    say!("listening on {}:{}", bound.host(), bound.port());
    Ok(receiver)
}

const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
