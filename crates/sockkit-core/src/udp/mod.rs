//! UDP endpoints: single and batched calls, segmentation offload.
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
//! A peer whose port is closed replies with an ICMP error. On a plain socket
//! the error is reported on the next call, even one to another peer. An
//! endpoint repeats the call and keeps the error:
//! [`UdpEndpoint::take_peer_error`] returns it with the peer it concerns. Only
//! [`UdpEndpoint::recv`] on a connected endpoint returns it directly, because
//! it explains why the only peer is silent.
//!
//! # Platforms
//! Linux supports everything. On other platforms each call handles one
//! datagram, interfaces, drops and truncation are not reported, and ICMP errors
//! do not name the peer; none of that has been run there.

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

/// The unspecified address and port 0, to send to `peer` from.
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

/// A received datagram with its metadata.
///
/// Metadata other than the sender costs time for each datagram, so it is only
/// reported if a socket option enables it before the endpoint is created:
///
/// ```
/// # use sockkit_core as sockkit;
/// # #[cfg(target_os = "linux")]
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::{options::SocketOptions, udp::{Transmit, UdpEndpoint}};
///
/// let options = SocketOptions::new().receive_timestamp(true).receive_hops(true);
/// let endpoint = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &options)?;
/// endpoint.send(Transmit::new(endpoint.local_addr()?, b"ping")).await?;
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
    /// The payload, or as much of it as fitted into the buffer.
    pub bytes: &'a [u8],
    /// The length of the payload on the wire, in bytes.
    pub wire_bytes: usize,
    /// The sender's address.
    pub from: SocketAddr,
    /// The destination address: a local address, a broadcast address or a
    /// group. Enabled by `packet_info`.
    pub to: Option<IpAddr>,
    /// The interface on which it arrived. Enabled by `packet_info`.
    pub interface_index: Option<u32>,
    /// Its traffic class (DSCP and ECN). Enabled by `receive_traffic_class`.
    pub traffic_class: Option<TrafficClass>,
    /// Its remaining hops. Enabled by `receive_hops`.
    pub hops: Option<u8>,
    /// When the kernel received it, by the local clock. Enabled by
    /// `receive_timestamp`.
    pub received: Option<SystemTime>,
    /// How many datagrams were dropped before it for lack of buffer space since
    /// the endpoint was bound; wraps at 2³². 0 unless `receive_drop_count`
    /// enables it.
    pub drops: u32,
}

impl Datagram<'_> {
    /// Whether the buffer was too small: [`bytes`](Self::bytes) is then only
    /// the start of the payload, and the rest is lost.
    pub fn is_truncated(&self) -> bool {
        self.bytes.len() < self.wire_bytes
    }
}
