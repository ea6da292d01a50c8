//! Typed socket options: set, get, read back and explain every one.
//!
//! [`SocketOptions`] holds the values a socket should have and is applied
//! before the socket binds or connects, or later. [`Live`] reads the values a
//! socket has, one at a time or as a table. [`ALL`] describes every option
//! without a socket. All three are generated from one table, `table.rs`.

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
    /// An empty set of options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enables keep-alive probes: `SO_KEEPALIVE` with its three parameters.
    pub fn keepalive(self, keepalive: Keepalive) -> Self {
        self.keepalive_idle(keepalive.idle)
            .keepalive_interval(keepalive.interval)
            .keepalive_retries(keepalive.retries)
            .keepalive_enabled(true)
    }

    /// Hop limit of unicast packets, for both IP versions.
    pub fn hops(self, hops: u8) -> Self {
        self.ttl(hops).hop_limit(hops)
    }

    /// Hop limit of multicast packets, for both IP versions.
    pub fn multicast_hops(self, hops: u8) -> Self {
        self.multicast_ttl(hops).multicast_hop_limit(hops)
    }

    /// Whether this machine receives its own multicast packets, for both IP
    /// versions.
    pub fn multicast_loop(self, heard: bool) -> Self {
        self.multicast_loop_v4(heard).multicast_loop_v6(heard)
    }

    /// Traffic class (DSCP and ECN), for both IP versions.
    pub fn traffic_class(self, class: impl Into<TrafficClass>) -> Self {
        let class = class.into();
        self.traffic_class_v4(class).traffic_class_v6(class)
    }

    /// Reports with each datagram the address and interface on which it
    /// arrived, for both IP versions.
    #[cfg(target_os = "linux")]
    pub fn packet_info(self, told: bool) -> Self {
        self.packet_info_v4(told).packet_info_v6(told)
    }

    /// Reports with each datagram its remaining hops, for both IP versions.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub fn receive_hops(self, told: bool) -> Self {
        self.receive_ttl(told).receive_hop_limit(told)
    }

    /// Reports with each datagram its traffic class (DSCP and ECN), for both IP
    /// versions.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub fn receive_traffic_class(self, told: bool) -> Self {
        self.receive_traffic_class_v4(told)
            .receive_traffic_class_v6(told)
    }

    /// Sets the requested options on `socket`, and no others.
    ///
    /// Options of the other IP version are skipped, so that one set serves
    /// every address of a name. Linux applies IPv4 options to IPv6 sockets as
    /// well, for the IPv4 traffic of a dual-stack socket.
    ///
    /// [`report`](Self::report) returns what the kernel made of the values.
    ///
    /// # Errors
    /// [`OptionError`] for the first option that failed; the options before it in
    /// the table are set.
    pub fn apply(&self, socket: &impl AsSocket) -> Result<(), OptionError> {
        self.apply_to(&Live::of(socket)?)
    }

    /// The read timeout, which async code implements itself.
    pub(crate) fn wanted_read_timeout(&self) -> Option<Duration> {
        self.read_timeout.flatten()
    }

    /// The write timeout, which async code implements itself.
    pub(crate) fn wanted_write_timeout(&self) -> Option<Duration> {
        self.write_timeout.flatten()
    }
}
