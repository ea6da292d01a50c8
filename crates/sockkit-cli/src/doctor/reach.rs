//! Whether a firewall here keeps others out, and whether another machine answers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use sockkit::{
    interfaces::{self, Interface, InterfaceSelector},
    multicast::{Group, MulticastEndpoint, Via},
    options::SocketOptions,
    udp::Transmit,
};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    time::timeout,
};

use super::{Finding, by_system};
use crate::address::{FILES_PORT, PICTURES_PORT};

/// Packets that come in by each interface, as far as this machine can send them to
/// itself.
pub(super) async fn firewall() -> Vec<Finding> {
    let mut findings = Vec::new();
    for interface in interfaces::list().unwrap_or_default() {
        let flags = interface.flags;
        let Some(own) = interface.ipv4().next() else {
            continue;
        };
        if flags.loopback || !flags.up || !flags.running {
            continue;
        }
        findings.push(comes_in(&interface, own).await);
    }
    findings
}

async fn comes_in(interface: &Interface, own: Ipv4Addr) -> Finding {
    let name = &interface.name;
    let mut dropped = Vec::new();
    for (port, uses) in [(PICTURES_PORT, "pictures"), (MDNS_PORT, "names")] {
        if is_datagram_dropped(interface, port).await {
            dropped.push(format!("UDP {port} ({uses})"));
        }
    }
    if is_connection_dropped(own).await {
        dropped.push("TCP".to_owned());
    }
    if dropped.is_empty() {
        return Finding::Fine(format!(
            "firewall: none drops packets by {name}, as seen from here; \
             `sockkit doctor {own}` on another machine tells more"
        ));
    }
    Finding::Fails {
        is: format!(
            "firewall: drops {} that comes in by {name}",
            dropped.join(", ")
        ),
        mend: format!(
            "allow UDP {PICTURES_PORT} and {MDNS_PORT}, and TCP {FILES_PORT} and {PICTURES_PORT}, \
             from the local network, such as `{}`",
            by_system(
                &format!(
                    "netsh advfirewall firewall add rule name=sockkit dir=in action=allow \
                     protocol=TCP localport={FILES_PORT}"
                ),
                &format!("sudo ufw allow {FILES_PORT}/tcp")
            )
        ),
    }
}

/// Sends to a group that is joined here. The kernel hands such a datagram back as one
/// that comes in by the interface, so that the rules for the interface apply; with
/// zero hops it does not leave the machine.
async fn is_datagram_dropped(interface: &Interface, port: u16) -> bool {
    let there_and_back = async {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let via = InterfaceSelector::Index(interface.index);
        let receiver = MulticastEndpoint::bind(any)?;
        let group = Group::new(PROBED_GROUP.into())?;
        let _joined = receiver.join(group, &Via::Interface(via.clone()))?;
        let stays_here = SocketOptions::new().multicast_hops(0);
        let sender = MulticastEndpoint::bind_with((Ipv4Addr::UNSPECIFIED, 0).into(), &stays_here)?;
        sender.set_outgoing(&via)?;
        let from = sender.endpoint().local_addr()?.port();
        let to = SocketAddr::new(PROBED_GROUP.into(), port);
        sender.endpoint().send(Transmit::new(to, PROBE)).await?;
        let arrives = async {
            let mut buffer = [0; 2_048];
            loop {
                let datagram = receiver.endpoint().recv(&mut buffer).await?;
                if datagram.from.port() == from {
                    return anyhow::Ok(());
                }
            }
        };
        anyhow::Ok(timeout(NEAR, arrives).await.is_err())
    };
    // Without the port, or without multicast, nothing is known.
    there_and_back.await.unwrap_or(false)
}

/// Connects to this machine by the address that others use.
async fn is_connection_dropped(own: Ipv4Addr) -> bool {
    let Ok(listener) = TcpListener::bind((own, 0)).await else {
        return false;
    };
    let Ok(address) = listener.local_addr() else {
        return false;
    };
    timeout(NEAR, TcpStream::connect(address)).await.is_err()
}

/// Whether `host` answers at all at the ports that the command uses.
pub(super) async fn other(host: &str) -> anyhow::Result<Vec<Finding>> {
    let mut addresses = timeout(RESOLVE_WITHIN, lookup_host((host, FILES_PORT)))
        .await
        .with_context(|| format!("{host} is not resolved"))?
        .with_context(|| format!("cannot resolve {host}"))?;
    let ip = addresses.next().context("no address")?.ip();
    let mut findings = Vec::new();
    for (port, uses) in [
        (FILES_PORT, "sockkit receive"),
        (PICTURES_PORT, "sockkit cam --listen"),
    ] {
        findings.push(answers(ip, port, uses).await);
    }
    Ok(findings)
}

async fn answers(ip: IpAddr, port: u16, uses: &str) -> Finding {
    let address = SocketAddr::new(ip, port);
    let mend = format!("is it on, on this network, and does its firewall let TCP {port} in?");
    match timeout(FAR, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Finding::Fine(format!("{address}: listens")),
        // The host itself has answered.
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Finding::Fine(
            format!("{address}: can be reached; `{uses}` is not running there"),
        ),
        Ok(Err(error)) => Finding::Fails {
            is: format!("{address}: {error}"),
            mend,
        },
        Err(_elapsed) => Finding::Fails {
            is: format!("{address}: no answer; a firewall drops the packets, or nothing is there"),
            mend,
        },
    }
}

/// Administratively scoped, RFC 2365; no other program's.
const PROBED_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 50, 6);
const PROBE: &[u8] = b"sockkit doctor";
const MDNS_PORT: u16 = 5353;
/// Within the machine.
const NEAR: Duration = Duration::from_secs(1);
/// Includes two repetitions of a lost SYN.
const FAR: Duration = Duration::from_secs(5);
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
