//! How packets travel: the Transport header.
#![warn(clippy::indexing_slicing)]

use std::{fmt, net::IpAddr};

use super::{Status, request::decimal};

/// Two ports, or channels: RTP's and RTCP's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports {
    /// Where packets are sent.
    pub rtp: u16,
    /// Where reports are sent.
    pub rtcp: u16,
}

/// How packets reach a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// As datagrams, from these ports of the server to those of the client.
    Udp {
        /// The client's ports, at the address that its connection came from.
        client: Ports,
        /// The server's ports.
        server: Ports,
    },
    /// Between the responses on the connection, on two channels.
    Interleaved {
        /// The channel of packets.
        rtp: u8,
        /// The channel of reports.
        rtcp: u8,
    },
}

/// One of the transports that a client offers, and that is possible.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offer {
    Udp(Ports),
    Interleaved { rtp: u8, rtcp: u8 },
}

impl Offer {
    /// The first possible one of `header`, for a client at `peer`.
    pub(super) fn choose(header: &str, peer: IpAddr) -> Result<Self, Status> {
        let mut refusal = Status::UnsupportedTransport;
        for offer in header.split(',').take(MAX_OFFERS) {
            match Self::parse(offer, peer) {
                Ok(offer) => return Ok(offer),
                // Says more than that the others were unsupported.
                Err(Status::DestinationProhibited) => refusal = Status::DestinationProhibited,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn parse(offer: &str, peer: IpAddr) -> Result<Self, Status> {
        let mut parameters = offer.split(';').map(str::trim);
        let profile = parameters.next().unwrap_or_default().to_ascii_uppercase();
        let unsupported = Status::UnsupportedTransport;
        let mut ports = None;
        let mut channels = None;
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_lowercase().as_str() {
                "multicast" => return Err(unsupported),
                // Datagrams go where the connection came from, or a client could aim them
                // at others.
                "destination" | "dest_addr" if value.parse() != Ok(peer) => {
                    return Err(Status::DestinationProhibited);
                }
                "client_port" => ports = Some(pair(value).ok_or(unsupported)?),
                "interleaved" => channels = Some(pair(value).ok_or(unsupported)?),
                _ => {}
            }
        }
        match (profile.as_str(), ports) {
            ("RTP/AVP/TCP", _) => {
                let (rtp, rtcp) = channels.unwrap_or((0, 1));
                let channel = |number| u8::try_from(number).map_err(|_| unsupported);
                let (rtp, rtcp) = (channel(rtp)?, channel(rtcp)?);
                Ok(Self::Interleaved { rtp, rtcp })
            }
            ("RTP/AVP" | "RTP/AVP/UDP", Some((rtp, rtcp))) if rtp.min(rtcp) >= FIRST_PORT => {
                Ok(Self::Udp(Ports { rtp, rtcp }))
            }
            _ => Err(unsupported),
        }
    }
}

/// As in the response to SETUP.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { client, server } => write!(
                f,
                "RTP/AVP;unicast;client_port={}-{};server_port={}-{}",
                client.rtp, client.rtcp, server.rtp, server.rtcp
            ),
            Self::Interleaved { rtp, rtcp } => {
                write!(f, "RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}")
            }
        }
    }
}

/// Two different numbers; of one alone, the next one is the other.
fn pair(text: &str) -> Option<(u16, u16)> {
    let (one, other) = match text.split_once('-') {
        Some((one, other)) => (decimal(one)?, decimal(other)?),
        None => {
            let one: u16 = decimal(text)?;
            (one, one.checked_add(1)?)
        }
    };
    (one != other).then_some((one, other))
}

/// Clients offer two or three.
const MAX_OFFERS: usize = 8;

/// Ports below belong to services of the client's host.
const FIRST_PORT: u16 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[track_caller]
    fn check(header: &str, expected: Result<Offer, Status>) {
        assert_eq!(Offer::choose(header, PEER), expected, "{header}");
    }

    fn udp(rtp: u16, rtcp: u16) -> Result<Offer, Status> {
        Ok(Offer::Udp(Ports { rtp, rtcp }))
    }

    #[test]
    fn what_players_send_is_understood() {
        check(
            "RTP/AVP/UDP;unicast;client_port=5000-5001",
            udp(5_000, 5_001),
        );
        check("RTP/AVP;unicast;client_port=5000", udp(5_000, 5_001));
        let interleaved = |rtp, rtcp| Ok(Offer::Interleaved { rtp, rtcp });
        check("RTP/AVP/TCP;unicast;interleaved=2-3", interleaved(2, 3));
        check("rtp/avp/tcp; unicast; mode=\"PLAY\"", interleaved(0, 1));
        let several = "RTP/AVP;multicast,RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP";
        check(several, udp(5_000, 5_001));
        let own = "RTP/AVP;unicast;destination=192.0.2.7;client_port=5000-5001";
        check(own, udp(5_000, 5_001));
    }

    #[test]
    fn all_else_is_refused() {
        let unsupported = Err(Status::UnsupportedTransport);
        for header in [
            "",
            "RTP/SAVP;unicast;client_port=5000-5001",
            "RTP/AVP;unicast",
            "RTP/AVP;multicast;client_port=5000-5001",
            "RTP/AVP;unicast;client_port=53-5001",
            "RTP/AVP;unicast;client_port=5000-1023",
            "RTP/AVP;unicast;client_port=0-0",
            "RTP/AVP;unicast;client_port=5000-5000",
            "RTP/AVP;unicast;client_port=65535",
            "RTP/AVP;unicast;client_port=65536-65537",
            "RTP/AVP;unicast;client_port=+5000-5001",
            "RTP/AVP/TCP;interleaved=255-256",
            "RTP/AVP/TCP;interleaved=0-",
        ] {
            check(header, unsupported);
        }
        let beyond = [",".repeat(MAX_OFFERS).as_str(), "RTP/AVP/TCP"].concat();
        check(&beyond, unsupported);
    }

    #[test]
    fn other_destinations_are_refused() {
        for header in [
            "RTP/AVP;unicast;destination=192.0.2.8;client_port=5000-5001",
            "RTP/AVP;unicast;destination=victim.lan;client_port=5000-5001",
            "RTP/AVP;unicast;client_port=5000-5001;destination",
        ] {
            check(header, Err(Status::DestinationProhibited));
        }
    }
}
