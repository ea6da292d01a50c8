//! The kernel's statistics of a TCP connection: `TCP_INFO`.

use std::time::Duration;

use super::{Live, OptionError, Platforms, Scope, live::Identity};

/// The kernel's current statistics of one TCP connection.
///
/// A field that an older kernel does not report is 0.
///
/// # Source
/// tcp(7), and `struct tcp_info` of Linux's `uapi/linux/tcp.h`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// State of the connection.
    pub state: TcpState,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Variation of the round-trip time.
    pub rtt_variance: Duration,
    /// Shortest recent round-trip time.
    pub rtt_min: Duration,
    /// The retransmission timeout.
    pub retransmit_timeout: Duration,
    /// Maximum segment size for sending, in bytes.
    pub send_segment_bytes: u32,
    /// Segments sent and not yet acknowledged.
    pub unacknowledged_segments: u32,
    /// Of those, segments considered lost.
    pub lost_segments: u32,
    /// Segments retransmitted since the connection was established.
    pub retransmits: u32,
    /// The congestion window, in segments.
    pub congestion_window_segments: u32,
    /// Bytes in the send buffer that have not been sent.
    pub not_sent_bytes: u32,
    /// Bytes acknowledged by the peer.
    pub acknowledged_bytes: u64,
    /// Bytes that arrived in order.
    pub received_bytes: u64,
    /// The measured delivery rate, in bytes a second.
    pub delivery_bytes_per_second: u64,
    /// Time since anything was received.
    pub since_received: Duration,
    /// Time since data was sent.
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
    /// Returns the kernel's statistics of a TCP connection. Linux.
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
            // 12 is a request that waits for the last segment of the handshake.
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

/// Up to the end of the last field that is read.
#[cfg(target_os = "linux")]
const REPORT_BYTES: usize = 168;
