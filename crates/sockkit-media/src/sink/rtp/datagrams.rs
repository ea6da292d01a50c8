//! Packets as datagrams, to one player or to a group.

use std::{io, net::SocketAddr, time::Duration};

use sockkit_codec::rtsp::Ports;
use sockkit_core::{
    BindError,
    interfaces::InterfaceSelector,
    multicast::MulticastEndpoint,
    options::SocketOptions,
    udp::{Transmit, UdpEndpoint, UdpError, unspecified},
};
use sockkit_link::channel::{ChannelError, Pacer};
use tokio::time::sleep_until;

use super::{feed::Prepared, now, packets::Packets, wall};

/// Two sockets, each connected to its destination: packets, and reports beside them.
///
/// What arrives there is not read: the kernel keeps a few datagrams of the destination,
/// and drops the rest.
#[derive(Debug)]
pub(super) struct Datagrams {
    rtp: Socket,
    rtcp: Socket,
    pacer: Pacer,
}

#[derive(Debug)]
enum Socket {
    ToHost(UdpEndpoint),
    ToGroup(MulticastEndpoint),
}

impl Datagrams {
    /// To a host or a group; reports go to the port after it.
    pub(super) fn to(
        rtp: SocketAddr,
        interface: Option<&InterfaceSelector>,
    ) -> Result<Self, ChannelError> {
        let next = rtp.port().checked_add(1);
        let next = next.ok_or_else(|| {
            let message = format!("{rtp} has no port after it, to which reports go");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let rtcp = with_port(rtp, next);
        Ok(Self::new(
            Socket::open(rtp, interface)?,
            Socket::open(rtcp, interface)?,
        ))
    }

    /// To a player that has connected from `peer` to `local`, from two neighbouring ports,
    /// of which the first is even, as RFC 3550 asks for. Returns those.
    pub(super) fn to_player(
        local: SocketAddr,
        peer: SocketAddr,
        client: Ports,
    ) -> Result<(Self, Ports), ChannelError> {
        let (rtp, rtcp, server) = bind_pair(local)?;
        rtp.connect(with_port(peer, client.rtp))?;
        rtcp.connect(with_port(peer, client.rtcp))?;
        let datagrams = Self::new(Socket::ToHost(rtp), Socket::ToHost(rtcp));
        Ok((datagrams, server))
    }

    fn new(rtp: Socket, rtcp: Socket) -> Self {
        let pacer = Pacer::with_burst(BYTES_PER_SECOND, BURST_BYTES, now());
        Self { rtp, rtcp, pacer }
    }

    /// Sends a picture, and the report that is due. Returns how many bytes.
    ///
    /// # Cancel safety
    /// Not cancel safe: some packets may be sent and others not.
    pub(super) async fn send(
        &mut self,
        packets: &mut Packets,
        picture: &Prepared,
    ) -> Result<u64, UdpError> {
        let headers = packets.headers(picture);
        let all: Vec<_> = headers
            .iter()
            .zip(picture.fragments.iter())
            .map(|(header, fragment)| Transmit::to_peer(fragment.data()).header(header))
            .collect();
        let mut sent = 0;
        let mut left = headers.iter().zip(picture.fragments.iter());
        for batch in all.chunks(PACKETS_AT_ONCE) {
            self.rtp.endpoint().send_batch(batch).await?;
            let of_batch = left.by_ref().take(batch.len());
            let bytes = of_batch.map(|(header, fragment)| header.len() + fragment.data().len());
            let bytes: usize = bytes.sum();
            sent += bytes as u64;
            if let Some(until) = self.pacer.on_sent(now(), bytes) {
                sleep_until(until.into()).await;
            }
        }
        if let Some(report) = packets.report(now(), wall()) {
            self.rtcp
                .endpoint()
                .send(Transmit::to_peer(&report))
                .await?;
            sent += report.len() as u64;
        }
        Ok(sent)
    }

    /// Tells receivers that nothing follows.
    pub(super) async fn end(&self, packets: &Packets) {
        let Some(bye) = packets.bye(wall()) else {
            return;
        };
        let sent = self.rtcp.endpoint().send(Transmit::to_peer(&bye)).await;
        if let Err(error) = sent {
            // A receiver that has left need not know.
            tracing::debug!(%error, "no RTCP BYE sent");
        }
    }
}

impl Socket {
    fn open(to: SocketAddr, interface: Option<&InterfaceSelector>) -> Result<Self, ChannelError> {
        let any = unspecified(to);
        let socket = if to.ip().is_multicast() {
            let endpoint = MulticastEndpoint::bind_with(any, &options())?;
            if let Some(interface) = interface {
                endpoint.set_outgoing(interface)?;
            }
            Self::ToGroup(endpoint)
        } else {
            Self::ToHost(UdpEndpoint::bind_with(any, &options())?)
        };
        socket.endpoint().connect(to)?;
        Ok(socket)
    }

    fn endpoint(&self) -> &UdpEndpoint {
        match self {
            Self::ToHost(endpoint) => endpoint,
            Self::ToGroup(endpoint) => endpoint.endpoint(),
        }
    }
}

fn options() -> SocketOptions {
    SocketOptions::new()
        .receive_buffer_bytes(RECEIVE_BUFFER_BYTES)
        .write_timeout(Some(SEND_WITHIN))
}

/// Two neighbouring ports, of which the first is even.
fn bind_pair(local: SocketAddr) -> Result<(UdpEndpoint, UdpEndpoint, Ports), ChannelError> {
    let mut failed = None;
    for _ in 0..MAX_TRIES {
        // The system chooses among thousands, half of which are even.
        let rtp = UdpEndpoint::bind_with(with_port(local, 0), &options())?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 {
            continue;
        }
        let ports = Ports {
            rtp: port,
            rtcp: port + 1,
        };
        match UdpEndpoint::bind_with(with_port(local, ports.rtcp), &options()) {
            Ok(rtcp) => return Ok((rtp, rtcp, ports)),
            Err(error) => failed = Some(error),
        }
    }
    let in_use = || BindError::Io(io::ErrorKind::AddrInUse.into());
    Err(failed.unwrap_or_else(in_use).into())
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Receivers with the system's usual buffer of 208 KiB hold at least this.
const BURST_BYTES: usize = 64 << 10;

/// After that, the rate of gigabit Ethernet.
const BYTES_PER_SECOND: u64 = 125_000_000;

const PACKETS_AT_ONCE: usize = 32;

/// Nothing is read.
const RECEIVE_BUFFER_BYTES: usize = 4 << 10;

/// A socket whose buffer stays full for this long has no link.
const SEND_WITHIN: Duration = Duration::from_secs(1);

const MAX_TRIES: u32 = 64;
