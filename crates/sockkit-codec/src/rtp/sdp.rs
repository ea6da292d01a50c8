//! SDP: where a player finds the pictures.

use std::{fmt, net::IpAddr};

use super::{CLOCK_RATE_HZ, jpeg::PAYLOAD_TYPE};

/// One stream of JPEG pictures, as text for players.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::rtp::sdp::Description;
///
/// let camera = Description::new("camera", [192, 0, 2, 1].into())
///     .sent_to([239, 1, 2, 3].into(), 5004);
/// let expected = "v=0\r\n\
///     o=- 0 0 IN IP4 192.0.2.1\r\n\
///     s=camera\r\n\
///     c=IN IP4 239.1.2.3/1\r\n\
///     t=0 0\r\n\
///     a=recvonly\r\n\
///     m=video 5004 RTP/AVP 26\r\n\
///     a=rtpmap:26 JPEG/90000\r\n";
/// assert_eq!(camera.to_string(), expected);
/// ```
///
/// # Source
/// RFC 8866; RFC 2326, appendix C for `a=control`.
#[derive(Clone, Debug)]
pub struct Description {
    name: String,
    origin: IpAddr,
    /// `None` for a player that sets the stream up by RTSP.
    to: Option<(IpAddr, u16)>,
    id: u64,
}

impl Description {
    /// A stream of this host, which a player sets up by RTSP. Control characters of
    /// `name` are left out.
    #[must_use]
    pub fn new(name: &str, origin: IpAddr) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        Self {
            name: if name.is_empty() { "-".into() } else { name },
            origin,
            to: None,
            id: 0,
        }
    }

    /// A stream that is sent to a host or a group, at this port.
    #[must_use]
    pub fn sent_to(mut self, ip: IpAddr, port: u16) -> Self {
        self.to = Some((ip, port));
        self
    }

    /// Number of the session, which differs for each start of the sender.
    #[must_use]
    pub fn session_id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    fn connection(&self) -> String {
        match self.to {
            // The number of hops is part of an IPv4 group alone: it stays in this network.
            Some((ip @ IpAddr::V4(_), _)) if ip.is_multicast() => format!("{}/1", network(ip)),
            Some((ip, _)) => network(ip),
            None => network(match self.origin {
                IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
                IpAddr::V6(_) => IpAddr::from([0; 16]),
            }),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |line: String| write!(f, "{line}\r\n");
        line("v=0".to_owned())?;
        line(format!("o=- {0} {0} {1}", self.id, network(self.origin)))?;
        line(format!("s={}", self.name))?;
        line(format!("c={}", self.connection()))?;
        line("t=0 0".to_owned())?;
        line("a=recvonly".to_owned())?;
        if self.to.is_none() {
            line("a=control:*".to_owned())?;
        }
        let port = self.to.map_or(0, |(_, port)| port);
        line(format!("m=video {port} RTP/AVP {PAYLOAD_TYPE}"))?;
        line(format!("a=rtpmap:{PAYLOAD_TYPE} JPEG/{CLOCK_RATE_HZ}"))?;
        if self.to.is_none() {
            line(format!("a=control:{TRACK}"))?;
        }
        Ok(())
    }
}

fn network(ip: IpAddr) -> String {
    let version = if ip.is_ipv4() { 4 } else { 6 };
    format!("IN IP{version} {ip}")
}

/// Name of the stream in the URLs of RTSP.
pub(crate) const TRACK: &str = "track1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_ipv6_has_no_hops() {
        let ip = "ff15::1".parse().unwrap();
        let text = Description::new("a", ip).sent_to(ip, 6000).to_string();
        assert!(text.contains("\r\nc=IN IP6 ff15::1\r\n"), "{text}");
        assert!(text.contains("\r\nm=video 6000 RTP/AVP 26\r\n"), "{text}");
    }

    #[test]
    fn rtsp_has_controls_and_no_port() {
        let text = Description::new("", [127, 0, 0, 1].into()).to_string();
        assert!(text.contains("\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n"), "{text}");
        assert!(text.contains("\r\na=control:*\r\nm=video 0 RTP/AVP 26\r\n"));
        assert!(text.ends_with("\r\na=control:track1\r\n"), "{text}");
    }

    #[test]
    fn a_name_adds_no_line() {
        let name = "porch\r\nc=IN IP4 192.0.2.66";
        let text = Description::new(name, [127, 0, 0, 1].into()).to_string();
        assert_eq!(text.matches("\r\nc=").count(), 1, "{text}");
    }
}
