//! Receives the pictures for `view`.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use sockkit::{
    interfaces::{self, Interface, InterfaceSelector},
    link::{Address, DialError, Host, Scheme, channel::DatagramConfig, pairing::PairingError},
    stream::{Receiver, ReceiverConfig},
};
use tokio::time::timeout;

use crate::{
    cam::VIEWERS,
    key,
    link::{cannot_dial, say_plain},
    say::say,
    secure::{Secure, Shown, say_peer},
};

/// Options besides the address.
pub(crate) struct Wishes {
    pub(crate) interface: Option<InterfaceSelector>,
    pub(crate) from: Option<IpAddr>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) secure: Option<Secure>,
    /// Whether a camera that cannot be reached is no error: it is connected to later.
    pub(crate) may_be_away: bool,
}

/// Binds the address or starts to dial it, and prints which. Returns the address that it is,
/// too.
pub(crate) async fn open(at: &Address, wishes: Wishes) -> anyhow::Result<(Address, Receiver)> {
    let is_udp = at.scheme() == Scheme::Udp;
    if is_udp && wishes.secure.is_none() {
        return Ok((at.clone(), bind(at, wishes).await?));
    }
    if wishes.key.is_some() {
        match is_udp {
            true => {
                bail!("a camera that this side connects to hands over the key: leave out --key")
            }
            false => bail!("--key is for udp:// only: quic:// encrypts by itself"),
        }
    }
    if wishes.interface.is_some() {
        bail!("--interface is for groups only: {at} is dialled through its route");
    }
    if wishes.from.is_some() {
        bail!("--from is for udp:// with --key or --plain: {at} already names the sending host");
    }
    if is_udp && at.is_unspecified() {
        bail!(
            "{at} names no camera: to receive what cameras send to this machine, type \
             sockkit view --listen {at}"
        );
    }
    // A wrong name is detected here; later it may be the network's fault.
    timeout(RESOLVE_WITHIN, at.resolve())
        .await
        .with_context(|| format!("cannot resolve {at}"))??;
    let mut config = ReceiverConfig::default();
    let mut at = at.clone();
    if let Some(secure) = wishes.secure {
        let (identity, trust) = secure.parts();
        config = config.authenticate(identity, trust);
        at = authenticate(at, &config, wishes.may_be_away).await?;
    } else {
        say_plain(at.scheme());
    }
    say!("dialling  {at}");
    let receiver = match at.scheme() {
        Scheme::Udp => Receiver::subscribe(&at, &config)?,
        _ => Receiver::open(&at, config).await?,
    };
    Ok((at, receiver))
}

/// Returns the address where the camera listens: the port of TCP may be that of the connection
/// for its datagrams, as with `cam --many`.
async fn authenticate(
    mut at: Address,
    config: &ReceiverConfig,
    may_be_away: bool,
) -> anyhow::Result<Address> {
    let first = Receiver::authenticate(&at, config);
    let mut authenticated = if may_be_away {
        match timeout(ANSWERS_WITHIN, first).await {
            Ok(authenticated) if !is_away(&authenticated) => authenticated,
            // Said as soon as it is watched, like the end of a connection.
            _ => return Ok(at),
        }
    } else {
        first.await
    };
    if at.scheme() == Scheme::Tcp && is_other_service(&authenticated) {
        let datagrams = Address::new(Scheme::Udp, at.host().clone(), at.port());
        let again = Receiver::authenticate(&datagrams, config).await;
        if !is_other_service(&again) {
            (at, authenticated) = (datagrams, again);
        }
    }
    if let Some(peer) = authenticated.map_err(|error| cannot_dial(&at, VIEWERS, error))? {
        say_peer(&peer, &at.to_string());
    }
    Ok(at)
}

fn is_other_service<T>(dialled: &Result<T, DialError>) -> bool {
    let Err(DialError::NotTrusted { source, .. }) = dialled else {
        return false;
    };
    matches!(source, PairingError::OtherService)
}

/// Whether it may be there later, without a change here.
fn is_away<T>(dialled: &Result<T, DialError>) -> bool {
    use DialError::{Busy, Failed, Refused, TimedOut};
    matches!(
        dialled,
        Err(Refused(_) | TimedOut { .. } | Busy(_) | Failed(_))
    )
}

/// Listens for a camera that connects, and prints what to type there.
pub(crate) async fn listen(
    at: &Address,
    wishes: Wishes,
) -> anyhow::Result<(Receiver, Option<Shown>)> {
    if wishes.interface.is_some() || wishes.from.is_some() {
        bail!("--interface and --from are for udp:// with --key or --plain");
    }
    let secure = wishes.secure.context("a listener authenticates cameras")?;
    if at.group().is_some() {
        bail!("{at} is a group, and no camera connects to one: name it with --key FILE");
    }
    let (identity, trust) = secure.parts();
    let config = ReceiverConfig::default().authenticate(identity, trust);
    let listening = Receiver::listen(at, config).await;
    let receiver = listening.map_err(|error| cannot_listen(at, error))?;
    let bound = receiver.address();
    say!("listening on {bound}");
    let code = secure.show(&bound.clone(), None);
    Ok((receiver, code))
}

async fn bind(at: &Address, wishes: Wishes) -> anyhow::Result<Receiver> {
    let mut datagrams = DatagramConfig::default();
    if let Some(interface) = wishes.interface {
        if at.group().is_none() {
            bail!("--interface is for groups, and {at} is not one");
        }
        datagrams = datagrams.interface(interface);
    }
    if let Some(from) = wishes.from {
        if matches!(at.host(), Host::V4(_) | Host::Unspecified) && from.to_canonical().is_ipv6() {
            bail!("--from {from} is an IPv6 address, and {at} receives IPv4");
        }
        datagrams = datagrams.only_from(from);
    }
    let mut config = ReceiverConfig::default().datagrams(datagrams);
    if let Some(path) = &wishes.key {
        config = config.sealed(key::load(path)?);
    }
    let receiver = Receiver::open(at, config)
        .await
        .map_err(|error| cannot_receive(at, error))?;
    let bound = receiver.address();
    say!("listening on {}:{}", bound.host(), bound.port());
    match &wishes.key {
        Some(path) => say!("there     {}", sending_to(at, bound.port(), path)),
        None => say_plain(at.scheme()),
    }
    Ok(receiver)
}

/// What happened, and what to type instead.
fn cannot_listen(at: &Address, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = anyhow!("cannot listen at {at}: {:#}", error.into());
    match is_own(at) {
        true => error,
        false => anyhow!(
            "{error}; --listen takes an address of this machine, and udp://:{port} listens at all \
             of them. To connect to a camera there: sockkit view {at}",
            port = at.port()
        ),
    }
}

/// What happened, and what to type instead.
fn cannot_receive(at: &Address, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = anyhow!("cannot receive at {at}: {:#}", error.into());
    let port = at.port();
    if at.group().is_some() {
        return anyhow!("{error}; --interface NAME joins it there");
    }
    match is_own(at) {
        true => error,
        false => anyhow!(
            "{error}; here udp:// names an address of this machine, and udp://:{port} receives at \
             all of them. tcp://{host}:{port} connects to a camera there, and udp:// too without \
             --plain and --key",
            host = at.host()
        ),
    }
}

/// Whether the address is this machine's, as far as is known.
pub(crate) fn is_own(at: &Address) -> bool {
    let ip = match at.host() {
        Host::V4(ip) => IpAddr::V4(*ip),
        Host::V6 { ip, .. } => IpAddr::V6(*ip),
        _ => return true,
    };
    let own = interfaces::list().unwrap_or_default();
    let mut own = own.iter().flat_map(|interface| &interface.addresses);
    ip.is_unspecified() || ip.is_loopback() || own.any(|address| address.ip == ip)
}

/// The command to run at the camera.
fn sending_to(at: &Address, port: u16, key: &Path) -> String {
    let own = at.is_unspecified().then(own_address).flatten();
    let host = own.unwrap_or_else(|| at.host().clone());
    format!(
        "sockkit cam --to {} {}",
        Address::new(Scheme::Udp, host, port),
        key::option(key)
    )
}

/// The address of this machine that others most likely can reach.
pub(crate) fn own_address() -> Option<Host> {
    let interfaces = interfaces::list().ok()?;
    let reached = |interface: &&Interface| {
        let flags = interface.flags;
        flags.running && flags.broadcast && !flags.loopback
    };
    // Prefer an interface with a router.
    let mut reached: Vec<_> = interfaces.iter().filter(reached).collect();
    reached.sort_by_key(|interface| interface.gateways.is_empty());
    let ip = reached.into_iter().flat_map(Interface::ipv4).next()?;
    Some(Host::V4(ip))
}

/// A camera on this network; the others wait for it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

const RESOLVE_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_elsewhere_is_told_to_connect_there() {
        let at = "udp://192.0.2.7:5006".parse().unwrap();
        let told = cannot_listen(&at, anyhow!("no such address")).to_string();
        for hint in ["udp://:5006", "sockkit view udp://192.0.2.7:5006"] {
            assert!(told.contains(hint), "{told}");
        }
        let at = "udp://127.0.0.1:5006".parse().unwrap();
        let told = cannot_listen(&at, anyhow!("taken")).to_string();
        assert!(told.ends_with("taken"), "{told}");
    }
}
