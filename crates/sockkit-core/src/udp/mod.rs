//! UDP endpoints: single calls, batches, segmentation offload.
//!
//! ```
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::udp::{ReceiveBatch, Transmit, UdpEndpoint};
//!
//! let receiver = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
//! let sender = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
//! let to = receiver.local_addr()?;
//!
//! // One system call for all of them.
//! sender.send_batch(&[Transmit::new(to, b"one"), Transmit::new(to, b"two")]).await?;
//!
//! let mut batch = ReceiveBatch::new();
//! let mut seen = Vec::new();
//! while seen.len() < 2 {
//!     receiver.recv_batch(&mut batch).await?;
//!     seen.extend(batch.iter().map(|datagram| datagram.bytes.to_vec()));
//! }
//! assert_eq!(seen, [b"one", b"two"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What happens to errors of the network
//! A peer whose port is closed answers with an ICMP message, and a plain
//! socket then fails the next call, whoever that call was for. An endpoint
//! goes on and keeps the message: [`UdpEndpoint::take_peer_error`] says which
//! peer it was about. Only [`UdpEndpoint::recv`] on a connected endpoint
//! returns it, because there is one peer, and its silence is what the caller
//! waits on.
//!
//! # Platforms
//! Linux has all of it. Elsewhere each datagram is one call, nothing is known
//! of interfaces, drops and truncation, and ICMP messages do not say who they
//! are about; none of that has been run there.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::SystemTime,
};

mod batch;
mod endpoint;
mod error;
mod icmp_listener;
mod peer_error;
mod receive;
mod send;

pub use batch::ReceiveBatch;
pub use endpoint::{Offload, UdpEndpoint};
pub use error::UdpError;
pub use icmp_listener::IcmpListener;
pub use peer_error::{PeerError, PeerErrorReason};
pub use send::Transmit;

use crate::options::TrafficClass;

/// Any address of this machine and any port, to send to `peer` from.
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::udp::unspecified;
///
/// assert_eq!(unspecified("192.0.2.1:7".parse()?), "0.0.0.0:0".parse()?);
/// assert_eq!(unspecified("[2001:db8::1]:7".parse()?), "[::]:0".parse()?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn unspecified(peer: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}

/// A datagram as it arrived, with what is known about its way.
///
/// What the kernel tells beyond the sender costs time for each datagram, so it is
/// told where an option asks for it, before the endpoint is made:
///
/// ```
/// # use sockkit_core as sockkit;
/// # #[cfg(target_os = "linux")]
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::{options::SocketOptions, udp::{Transmit, UdpEndpoint}};
///
/// let options = SocketOptions::new().receive_timestamp(true).receive_hops(true);
/// let endpoint = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &options)?;
/// endpoint.send(Transmit::new(endpoint.local_addr()?, b"when?")).await?;
/// let mut buffer = [0; 64];
/// let datagram = endpoint.recv(&mut buffer).await?;
/// println!("received at {:?}, {:?} hops left", datagram.received, datagram.hops);
/// assert!(datagram.received.is_some() && datagram.hops == Some(64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// The payload, or as much of it as the buffer held.
    pub bytes: &'a [u8],
    /// The length of the payload on the wire, in bytes.
    pub wire_bytes: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to: one of this machine's, a broadcast address
    /// or a group. Asked for by `packet_info`.
    pub to: Option<IpAddr>,
    /// The interface it came in by. Asked for by `packet_info`.
    pub interface_index: Option<u32>,
    /// Its class of service and congestion mark. Asked for by
    /// `receive_traffic_class`.
    pub traffic_class: Option<TrafficClass>,
    /// How many more routers it might have crossed. Asked for by `receive_hops`.
    pub hops: Option<u8>,
    /// When the kernel received it, by the clock of this machine. Asked for by
    /// `receive_timestamp`.
    pub received: Option<SystemTime>,
    /// How many datagrams this endpoint's buffer had no room for before this
    /// one, since it was bound; wraps at 2³². 0 unless `receive_drop_count`
    /// asks for it.
    pub drops: u32,
}

impl Datagram<'_> {
    /// Whether the buffer was too small: [`bytes`](Self::bytes) is then only
    /// the start, and the rest is lost.
    pub fn is_truncated(&self) -> bool {
        self.bytes.len() < self.wire_bytes
    }
}
