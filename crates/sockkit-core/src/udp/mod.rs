//! UDP endpoints: single calls, batches, segmentation offload.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit_core::udp::{ReceiveBatch, Transmit, UdpEndpoint};
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

use std::net::{IpAddr, SocketAddr};

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

/// A datagram as it arrived, with what is known about its way.
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
    /// or a group.
    pub to: Option<IpAddr>,
    /// The interface it came in by.
    pub interface_index: Option<u32>,
    /// Its class of service and congestion mark.
    pub traffic_class: TrafficClass,
    /// How many datagrams this endpoint's buffer had no room for before this
    /// one, since it was bound. Wraps at 2³².
    pub drops: u32,
}

impl Datagram<'_> {
    /// Whether the buffer was too small: [`bytes`](Self::bytes) is then only
    /// the start, and the rest is lost.
    pub fn is_truncated(&self) -> bool {
        self.bytes.len() < self.wire_bytes
    }
}
