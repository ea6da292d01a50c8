//! Datagrams together with the kernel's information about them.
//!
//! Linux sends and receives several in one call, with offload. Other systems take one
//! at a time and report less about each packet.

use std::{
    io::IoSlice,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::SystemTime,
};

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(any(target_os = "linux", windows)), path = "portable.rs")]
mod imp;

pub(crate) use imp::{
    MAX_MESSAGES, ask_packet_info, enable_coalescing, has_control_data, next_error, prepare,
    receive_messages, receive_plain, send_messages,
};

/// One message for the kernel: a datagram, or several of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// `None` on a connected socket.
    pub(crate) to: Option<SocketAddr>,
    /// The payload, in one or more pieces.
    pub(crate) parts: &'a [IoSlice<'a>],
    /// The size into which the kernel splits the payload; `None` for one
    /// datagram.
    pub(crate) segment_bytes: Option<u16>,
    /// The source address, for a machine with several.
    pub(crate) source: Option<IpAddr>,
    /// The outgoing interface; the routing table decides if it is `None`.
    pub(crate) interface_index: Option<u32>,
}

/// What the kernel reports about the bytes in one buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    /// Length of the datagram; longer than the buffer if that was too small.
    pub(crate) wire_bytes: usize,
    /// The length of each datagram but the last, if the kernel merged several.
    pub(crate) segment_bytes: Option<usize>,
    pub(crate) to: Option<IpAddr>,
    pub(crate) interface_index: Option<u32>,
    /// The traffic class byte (DSCP and ECN).
    pub(crate) traffic_class: Option<u8>,
    /// Remaining hops.
    pub(crate) hops: Option<u8>,
    /// When the kernel received it.
    pub(crate) received: Option<SystemTime>,
    /// Datagrams dropped by this socket before this one, since it was created.
    pub(crate) drops: u32,
}

impl Received {
    /// An empty entry for the kernel to fill.
    pub(crate) const EMPTY: Self = Self {
        from: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        wire_bytes: 0,
        segment_bytes: None,
        to: None,
        interface_index: None,
        traffic_class: None,
        hops: None,
        received: None,
        drops: 0,
    };
}

/// An entry of the socket's error queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueuedError {
    pub(crate) origin: ErrorOrigin,
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// Depends on kind and code; the MTU for "too big".
    pub(crate) info: u32,
    /// Destination of the failed datagram.
    pub(crate) to: Option<SocketAddr>,
    /// The reporting address: the peer, or a router on the path.
    pub(crate) reporter: Option<IpAddr>,
}

/// Origin of an error queue entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "Linux alone has such a queue")
)]
pub(crate) enum ErrorOrigin {
    Icmp,
    Icmpv6,
    /// The kernel itself, which also failed the call.
    Local,
}
