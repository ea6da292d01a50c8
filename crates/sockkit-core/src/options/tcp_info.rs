//! What the kernel knows of a TCP connection: `TCP_INFO`.

use std::time::Duration;

use super::{Live, OptionError, Platforms, Scope, live::Identity};

/// A report on one TCP connection, as the kernel sees it at this moment.
///
/// A number that an older kernel does not report is 0.
///
/// # Source
/// tcp(7), and `struct tcp_info` of Linux's `uapi/linux/tcp.h`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// Where the connection stands.
    pub state: TcpState,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// How much round trips vary.
    pub rtt_variance: Duration,
    /// The shortest round trip lately.
    pub rtt_min: Duration,
    /// How long the kernel waits for an acknowledgement before it sends again.
    pub retransmit_timeout: Duration,
    /// Largest segment that is sent, in bytes.
    pub send_segment_bytes: u32,
    /// Segments that were sent and are not acknowledged.
    pub unacknowledged_segments: u32,
    /// Of those, segments held to be lost.
    pub lost_segments: u32,
    /// Segments sent again since the connection was made.
    pub retransmits: u32,
    /// Segments that may be under way at once (the congestion window).
    pub congestion_window_segments: u32,
    /// Bytes that wait in the send buffer and were not sent once.
    pub not_sent_bytes: u32,
    /// Bytes that the peer has acknowledged.
    pub acknowledged_bytes: u64,
    /// Bytes that arrived in order.
    pub received_bytes: u64,
    /// How fast the network delivers to the peer, in bytes a second.
    pub delivery_bytes_per_second: u64,
    /// How long it is since anything arrived.
    pub since_received: Duration,
    /// How long it is since data was sent.
    pub since_sent: Duration,
}

/// A state of TCP's state machine (RFC 9293, section 3.3.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the RFC's names")]
pub enum TcpState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    #[default]
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl Live<'_> {
    /// The kernel's report on a TCP connection. Linux.
    ///
    /// # Errors
    /// [`OptionError::WrongSocket`] if it is not TCP,
    /// [`OptionError::Unsupported`] on other platforms.
    pub fn tcp_info(&self) -> Result<TcpInfo, OptionError> {
        #[cfg(target_os = "linux")]
        let report = |socket: &socket2::Socket| {
            let mut bytes = [0; REPORT_BYTES];
            let filled = crate::sys::option::get_bytes(
                socket,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                &mut bytes,
            )?;
            bytes[filled..].fill(0);
            Ok(TcpInfo::parse(&bytes))
        };
        #[cfg(target_os = "linux")]
        let get = Some(report as super::live::Get<TcpInfo>);
        #[cfg(not(target_os = "linux"))]
        let get = None;
        self.read(&IDENTITY, get)
    }
}

#[cfg(target_os = "linux")]
impl TcpInfo {
    fn parse(report: &[u8; REPORT_BYTES]) -> Self {
        let u32_at = |at: usize| {
            let bytes = report[at..].first_chunk().expect("inside the report");
            u32::from_ne_bytes(*bytes)
        };
        let u64_at = |at: usize| {
            let bytes = report[at..].first_chunk().expect("inside the report");
            u64::from_ne_bytes(*bytes)
        };
        let us_at = |at| Duration::from_micros(u32_at(at).into());
        let ms_at = |at| Duration::from_millis(u32_at(at).into());
        Self {
            state: TcpState::from_kernel(report[0]),
            retransmit_timeout: us_at(8),
            send_segment_bytes: u32_at(16),
            unacknowledged_segments: u32_at(24),
            lost_segments: u32_at(32),
            since_sent: ms_at(44),
            since_received: ms_at(52),
            rtt: us_at(68),
            rtt_variance: us_at(72),
            congestion_window_segments: u32_at(80),
            retransmits: u32_at(100),
            acknowledged_bytes: u64_at(120),
            received_bytes: u64_at(128),
            not_sent_bytes: u32_at(144),
            rtt_min: us_at(148),
            delivery_bytes_per_second: u64_at(160),
        }
    }
}

#[cfg(target_os = "linux")]
impl TcpState {
    fn from_kernel(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // 12 is a request that waits for the handshake's last part.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => Self::Closed,
        }
    }
}

const IDENTITY: Identity = Identity {
    option: "TCP_INFO",
    scope: Scope::TCP,
    platforms: Platforms::Linux,
};

/// To the end of the last field that is read.
#[cfg(target_os = "linux")]
const REPORT_BYTES: usize = 168;
