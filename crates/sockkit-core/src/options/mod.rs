//! Every socket option, typed: set, get, read back, explain.
//!
//! [`SocketOptions`] says what a socket should have and is applied before it
//! binds or connects, or later. [`Live`] reads what a socket really has, one
//! option at a time or as a table. [`ALL`] describes every option without any
//! socket. All three are made from one table, `table.rs`.

#[macro_use]
mod define;

mod convert;
mod error;
#[cfg(unix)]
mod int;
mod live;
mod report;
mod spec;
mod table;
mod tcp_info;
mod types;
mod value;

use std::time::Duration;

#[cfg(unix)]
pub use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
pub use std::os::windows::io::AsSocket;

pub use error::OptionError;
pub use live::{Live, Row, defaults};
pub use report::{Outcome, Readback};
pub use spec::{Access, Level, OptionSpec, Platforms, Scope};
pub use table::{ALL, SocketOptions};
pub use tcp_info::{TcpInfo, TcpState};
pub use types::{Dscp, Ecn, Keepalive, Linger, PathMtuDiscovery, TrafficClass};
pub use value::Value;

impl SocketOptions {
    /// Asks for nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Probes silent TCP connections: `SO_KEEPALIVE` with its three times.
    pub fn keepalive(self, keepalive: Keepalive) -> Self {
        self.keepalive_idle(keepalive.idle)
            .keepalive_interval(keepalive.interval)
            .keepalive_retries(keepalive.retries)
            .keepalive_enabled(true)
    }

    /// Routers that a packet may cross, whichever the IP version.
    pub fn hops(self, hops: u8) -> Self {
        self.ttl(hops).hop_limit(hops)
    }

    /// Routers that a multicast packet may cross, whichever the IP version.
    pub fn multicast_hops(self, hops: u8) -> Self {
        self.multicast_ttl(hops).multicast_hop_limit(hops)
    }

    /// Whether this machine hears its own multicast, whichever the IP version.
    pub fn multicast_loop(self, heard: bool) -> Self {
        self.multicast_loop_v4(heard).multicast_loop_v6(heard)
    }

    /// Class of service and congestion marks, whichever the IP version.
    pub fn traffic_class(self, class: impl Into<TrafficClass>) -> Self {
        let class = class.into();
        self.traffic_class_v4(class).traffic_class_v6(class)
    }

    /// Tells with each datagram where it arrived, whichever the IP version.
    #[cfg(target_os = "linux")]
    pub fn packet_info(self, told: bool) -> Self {
        self.packet_info_v4(told).packet_info_v6(told)
    }

    /// Tells with each datagram how many hops it had left, whichever the IP
    /// version.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub fn receive_hops(self, told: bool) -> Self {
        self.receive_ttl(told).receive_hop_limit(told)
    }

    /// Tells with each datagram its class of service and congestion mark,
    /// whichever the IP version.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub fn receive_traffic_class(self, told: bool) -> Self {
        self.receive_traffic_class_v4(told)
            .receive_traffic_class_v6(told)
    }

    /// Sets on `socket` what was asked for, and nothing else.
    ///
    /// An option of the other IP version is left out, so that one set serves
    /// every address of a name. On Linux IPv4's options take on IPv6 sockets
    /// too, for the IPv4 traffic of a dual-stack one.
    ///
    /// What the kernel made of the values is in [`report`](Self::report).
    ///
    /// # Errors
    /// [`OptionError`], which names the first option that failed; the ones
    /// before it in the table are set.
    pub fn apply(&self, socket: &impl AsSocket) -> Result<(), OptionError> {
        self.apply_to(&Live::of(socket)?)
    }

    /// How long one read may wait: what async code obeys.
    pub(crate) fn wanted_read_timeout(&self) -> Option<Duration> {
        self.read_timeout.flatten()
    }

    /// How long one write may wait: what async code obeys.
    pub(crate) fn wanted_write_timeout(&self) -> Option<Duration> {
        self.write_timeout.flatten()
    }
}
