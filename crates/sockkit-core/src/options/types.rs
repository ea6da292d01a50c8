//! Option values with more than one field or case.

use std::time::Duration;

/// Parameters of TCP keep-alive.
///
/// A dead peer is detected `idle + interval × retries` after its last segment.
/// The kernel counts whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Idle time before the first probe. Linux's default: two hours.
    pub idle: Duration,
    /// Time between probes. Linux's default: 75 s.
    pub interval: Duration,
    /// Unanswered probes before the connection fails. Linux's default: 9.
    pub retries: u32,
}

impl Keepalive {
    /// Probes after `idle`, then every `interval`; the connection fails after
    /// `retries` unanswered probes.
    pub const fn new(idle: Duration, interval: Duration, retries: u32) -> Self {
        Self {
            idle,
            interval,
            retries,
        }
    }
}

/// How closing a connection treats unsent bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Linger {
    /// `close` returns at once and the kernel keeps sending: the default, also
    /// known as `SO_DONTLINGER` on Windows.
    #[default]
    Background,
    /// `close` blocks the thread until everything is acknowledged or the time
    /// has passed. Async code uses shutdown and drain instead.
    Wait(Duration),
    /// `close` discards the bytes and sends RST.
    Abort,
}

/// Path MTU discovery: which packets may be fragmented, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathMtuDiscovery {
    /// Packets may be fragmented anywhere (`PMTUDISC_DONT`).
    Fragment,
    /// Fragments packets known to exceed the path MTU locally, and forbids
    /// routers to (`PMTUDISC_WANT`).
    Allow,
    /// Never fragments; larger datagrams are rejected (`PMTUDISC_DO`).
    Forbid,
    /// Never fragments, and ignores the known path MTU: for probing
    /// (`PMTUDISC_PROBE`).
    Probe,
    /// Fragments by the interface's MTU and ignores ICMP errors
    /// (`PMTUDISC_INTERFACE`).
    Interface,
    /// As `Interface`, but routers may fragment, too (`PMTUDISC_OMIT`).
    Omit,
}

/// The traffic class of an IP packet: the two fields of the former
/// type-of-service byte (IPv4) or traffic class (IPv6).
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
    /// The requested class of service.
    pub dscp: Dscp,
    /// Whether routers may mark packets instead of dropping them.
    pub ecn: Ecn,
}

impl TrafficClass {
    /// Combines the two.
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

/// Differentiated services code point: six bits that select a class of service.
///
/// # Source
/// RFC 2474; the classes are RFC 2597's, RFC 3246's and RFC 8622's.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Dscp(u8);

impl Dscp {
    /// CS0: default forwarding.
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

    /// Returns the code point with this number; `None` above 63.
    pub const fn new(code: u8) -> Option<Self> {
        if code < 64 { Some(Self(code)) } else { None }
    }

    /// The number, 0 to 63.
    pub const fn code(self) -> u8 {
        self.0
    }
}

/// Explicit congestion notification: the two low bits beside the DSCP.
///
/// # Source
/// RFC 3168 §5.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Ecn {
    /// Not-ECT: routers drop packets under congestion.
    #[default]
    NotCapable,
    /// ECT(0): routers may mark.
    Capable0,
    /// ECT(1): routers may mark; used by L4S (RFC 9331).
    Capable1,
    /// CE: marked by a congested router.
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
