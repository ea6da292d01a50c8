//! Values that are more than a number.

use std::time::Duration;

/// When and how often an idle TCP connection is asked whether it lives.
///
/// A dead peer is noticed `idle + interval × retries` after its last segment.
/// The kernel counts in whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Silence before the first probe. Linux's default: two hours.
    pub idle: Duration,
    /// Time between probes. Linux's default: 75 s.
    pub interval: Duration,
    /// Unanswered probes before the connection is given up. Linux's default: 9.
    pub retries: u32,
}

impl Keepalive {
    /// Probes after `idle`, then each `interval`, and gives the connection up
    /// after `retries` probes without an answer.
    pub const fn new(idle: Duration, interval: Duration, retries: u32) -> Self {
        Self {
            idle,
            interval,
            retries,
        }
    }
}

/// What closing a connection does with bytes that have not left yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Linger {
    /// `close` returns at once and the kernel goes on sending: the default, and
    /// what Windows calls `SO_DONTLINGER`.
    #[default]
    Background,
    /// `close` blocks the thread until all is acknowledged or the time is up.
    /// Async code shuts down and drains instead.
    Wait(Duration),
    /// `close` throws the bytes away and sends RST.
    Abort,
}

/// How large a packet may be, and what the router does with one that is larger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathMtuDiscovery {
    /// Packets may be fragmented anywhere (`PMTUDISC_DONT`).
    Fragment,
    /// Fragment here what is known to be too long for the path, else forbid it
    /// (`PMTUDISC_WANT`).
    Allow,
    /// Never fragment; too long a datagram is refused (`PMTUDISC_DO`).
    Forbid,
    /// Never fragment, and send whatever the path is said to take: for probing
    /// (`PMTUDISC_PROBE`).
    Probe,
    /// Fragment by the interface's MTU and ignore what routers say
    /// (`PMTUDISC_INTERFACE`).
    Interface,
    /// As `Interface`, and routers may fragment too (`PMTUDISC_OMIT`).
    Omit,
}

/// The two fields of the old type-of-service byte (IPv4) and of the traffic
/// class (IPv6).
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::options::{Dscp, Ecn, TrafficClass};
///
/// let voice = TrafficClass::new(Dscp::EXPEDITED, Ecn::NotCapable);
/// assert_eq!(u8::from(voice), 0xb8);
/// ```
///
/// # Source
/// RFC 2474 (DSCP), RFC 3168 (ECN).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TrafficClass {
    /// The class of service that is asked of routers.
    pub dscp: Dscp,
    /// Whether routers may mark packets instead of dropping them.
    pub ecn: Ecn,
}

impl TrafficClass {
    /// Puts the two together.
    pub const fn new(dscp: Dscp, ecn: Ecn) -> Self {
        Self { dscp, ecn }
    }
}

impl From<Dscp> for TrafficClass {
    fn from(dscp: Dscp) -> Self {
        Self::new(dscp, Ecn::NotCapable)
    }
}

impl From<u8> for TrafficClass {
    fn from(byte: u8) -> Self {
        let ecn = match byte & 0b11 {
            0b00 => Ecn::NotCapable,
            0b01 => Ecn::Capable1,
            0b10 => Ecn::Capable0,
            _ => Ecn::CongestionExperienced,
        };
        Self::new(Dscp(byte >> 2), ecn)
    }
}

impl From<TrafficClass> for u8 {
    fn from(class: TrafficClass) -> Self {
        let ecn = match class.ecn {
            Ecn::NotCapable => 0b00,
            Ecn::Capable1 => 0b01,
            Ecn::Capable0 => 0b10,
            Ecn::CongestionExperienced => 0b11,
        };
        class.dscp.0 << 2 | ecn
    }
}

/// Differentiated services code point: six bits that name a class of service.
///
/// # Source
/// RFC 2474; the classes are RFC 2597's, RFC 3246's and RFC 8622's.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Dscp(u8);

impl Dscp {
    /// CS0: what everything gets.
    pub const DEFAULT: Self = Self(0);
    /// LE: yields to all other traffic. For bulk copies.
    pub const LOWER_EFFORT: Self = Self(1);
    /// AF11: high throughput.
    pub const HIGH_THROUGHPUT: Self = Self(10);
    /// AF21: low-latency data.
    pub const LOW_LATENCY: Self = Self(18);
    /// AF31: multimedia streaming.
    pub const STREAMING: Self = Self(26);
    /// AF41: video conferencing.
    pub const CONFERENCING: Self = Self(34);
    /// EF: voice.
    pub const EXPEDITED: Self = Self(46);
    /// CS6: routing protocols.
    pub const NETWORK_CONTROL: Self = Self(48);

    /// The code point of that number; `None` above 63.
    pub const fn new(code: u8) -> Option<Self> {
        if code < 64 { Some(Self(code)) } else { None }
    }

    /// The number, 0 to 63.
    pub const fn code(self) -> u8 {
        self.0
    }
}

/// Explicit congestion notification: the low two bits beside the DSCP.
///
/// # Source
/// RFC 3168 §5.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Ecn {
    /// Not-ECT: routers drop.
    #[default]
    NotCapable,
    /// ECT(0): routers may mark.
    Capable0,
    /// ECT(1): routers may mark; used by L4S (RFC 9331).
    Capable1,
    /// CE: a router marked it.
    CongestionExperienced,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_traffic_class() {
        for byte in 0..=u8::MAX {
            assert_eq!(u8::from(TrafficClass::from(byte)), byte);
        }
    }

    #[test]
    fn a_code_point_has_six_bits() {
        assert_eq!(Dscp::new(63).map(Dscp::code), Some(63));
        assert_eq!(Dscp::new(64), None);
    }

    #[test]
    fn expedited_forwarding_is_rfc_3246s_101110() {
        assert_eq!(Dscp::EXPEDITED.code(), 0b10_1110);
    }
}
