//! Where a transfer's other side is, or this one waits.

use std::{fmt, net::SocketAddr, str::FromStr};

/// What a transfer runs over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    Tcp,
    Quic,
}

/// `HOST:PORT`, `tcp://HOST:PORT` or `quic://HOST:PORT`: a machine to dial.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Remote {
    pub(super) over: Over,
    pub(super) host_port: String,
}

/// The same with an address of this machine: where to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Local {
    pub(super) over: Over,
    pub(super) address: SocketAddr,
}

impl FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (over, host_port) = split(text)?;
        let host_port = host_port.to_owned();
        Ok(Self { over, host_port })
    }
}

impl FromStr for Local {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (over, address) = split(text)?;
        let address = address
            .parse()
            .map_err(|_| format!("{address} is not ADDR:PORT, such as 0.0.0.0:5010"))?;
        Ok(Self { over, address })
    }
}

fn split(text: &str) -> Result<(Over, &str), String> {
    match text.split_once("://") {
        None => Ok((Over::Tcp, text)),
        Some(("tcp", rest)) => Ok((Over::Tcp, rest)),
        Some(("quic", rest)) => Ok((Over::Quic, rest)),
        Some((other, _)) => Err(format!(
            "files travel over tcp:// or quic://, not over {other}://"
        )),
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.over, self.host_port)
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.over, self.address)
    }
}

/// As in front of an address; TCP is what one without means.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "",
            Self::Quic => "quic://",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_and_shown() {
        for (text, over, shown) in [
            ("desk.lan:5010", Over::Tcp, "desk.lan:5010"),
            ("tcp://desk.lan:5010", Over::Tcp, "desk.lan:5010"),
            ("quic://[::1]:5010", Over::Quic, "quic://[::1]:5010"),
        ] {
            let place: Remote = text.parse().unwrap();
            assert_eq!(place.over, over, "{text}");
            assert_eq!(place.to_string(), shown);
        }
        let place: Local = "quic://0.0.0.0:0".parse().unwrap();
        assert_eq!(place.to_string(), "quic://0.0.0.0:0");
    }

    #[test]
    fn what_is_no_place_says_what_is() {
        let error = "udp://desk.lan:5010".parse::<Remote>().unwrap_err();
        assert!(error.contains("quic://"), "{error}");
        let error = "quic://desk.lan:5010".parse::<Local>().unwrap_err();
        assert!(error.contains("ADDR:PORT"), "{error}");
    }
}
