//! Datagrams with what the kernel knows about them.
//!
//! Linux sends and receives many in one call, with offload; the other systems
//! go through tokio one at a time and know less about each packet.

use std::{
    io::IoSlice,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::SystemTime,
};

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "portable.rs")]
mod imp;

pub(crate) use imp::{
    MAX_MESSAGES, ask_packet_info, enable_coalescing, has_control_data, next_error, prepare,
    receive_messages, receive_plain, send_messages,
};

/// One thing to hand to the kernel: a datagram, or several of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// `None` on a connected socket.
    pub(crate) to: Option<SocketAddr>,
    /// The bytes, in as many pieces as the caller has them.
    pub(crate) parts: &'a [IoSlice<'a>],
    /// Where the kernel cuts the bytes into datagrams; `None` for one datagram.
    pub(crate) segment_bytes: Option<u16>,
    /// The address to send from, where the socket has several.
    pub(crate) source: Option<IpAddr>,
    /// The interface to leave by; the routing table decides without it.
    pub(crate) interface_index: Option<u32>,
}

/// What came with the bytes in one buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    /// Length of what arrived; more than the buffer if that was too small.
    pub(crate) wire_bytes: usize,
    /// The length of each datagram but the last, if the kernel joined several.
    pub(crate) segment_bytes: Option<usize>,
    pub(crate) to: Option<IpAddr>,
    pub(crate) interface_index: Option<u32>,
    /// The byte of class of service and congestion mark.
    pub(crate) traffic_class: Option<u8>,
    /// Routers that it might still have crossed.
    pub(crate) hops: Option<u8>,
    /// When the kernel received it.
    pub(crate) received: Option<SystemTime>,
    /// Datagrams this socket dropped before this one, since it was made.
    pub(crate) drops: u32,
}

impl Received {
    /// A place for the kernel's answer.
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
    /// Where the datagram that failed was going.
    pub(crate) to: Option<SocketAddr>,
    /// Who says so: the peer, or a router on the way.
    pub(crate) reporter: Option<IpAddr>,
}

/// Who put an entry into the error queue.
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
