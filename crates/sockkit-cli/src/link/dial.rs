//! Reaching the other side, and saying why that failed.

use std::time::Duration;

use anyhow::Context as _;
use sockkit::{
    quic::{self, ConnectError},
    tcp::{self, Connector, End},
};

use super::{Link, Over, Remote, say_encrypted, say_in_the_clear};

/// Connects to `place`, and says what others on the network can see.
pub(crate) async fn dial(place: &Remote) -> anyhow::Result<Link> {
    match place.over {
        Over::Tcp => {
            say_in_the_clear();
            dial_tcp(&place.host_port).await
        }
        Over::Quic => {
            let connection = dial_quic(place).await?;
            say_encrypted(connection.fingerprint());
            Ok(Link::Quic(Box::new(connection)))
        }
    }
}

async fn dial_tcp(address: &str) -> anyhow::Result<Link> {
    let connector = Connector::default().timeout(CONNECT_TIMEOUT);
    let connection = connector.connect(address).await.map_err(|error| {
        let told = match &error {
            tcp::ConnectError::Resolve(_) => unknown(address),
            // It says of each address why.
            tcp::ConnectError::Failed(_) if error.end() == End::Refused => {
                return anyhow::anyhow!(
                    "{error}; does the other side listen, and without quic://?"
                );
            }
            tcp::ConnectError::Failed(_) => return anyhow::Error::new(error),
            _ => format!("cannot connect to {address}"),
        };
        anyhow::Error::new(error).context(told)
    })?;
    Link::tcp(connection.into_inner()).context("cannot set TCP_NODELAY")
}

async fn dial_quic(place: &Remote) -> anyhow::Result<quic::Connection> {
    let config = quic::Config::default().handshake_timeout(CONNECT_TIMEOUT);
    quic::connect_with(place.host_port.as_str(), &config)
        .await
        .map_err(|error| {
            let what_to_do = match &error {
                ConnectError::Resolve(_) => {
                    return anyhow::Error::new(error).context(unknown(&place.to_string()));
                }
                ConnectError::Refused { .. } => "; does the other side listen, and on quic:// too?",
                ConnectError::TimedOut { .. } => {
                    "; does the other side listen on quic://, and does its firewall let UDP in?"
                }
                ConnectError::OtherProtocol { .. } => "; is it the right port?",
                ConnectError::Busy { .. } => "; try again later",
                _ => "",
            };
            let told = format!("cannot connect to {place}{what_to_do}");
            anyhow::Error::new(error).context(told)
        })
}

fn unknown(address: &str) -> String {
    format!("{address} is not HOST:PORT, or is not known")
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
