//! Reaching the other side, and saying why that failed.

use std::{io, time::Duration};

use anyhow::Context as _;
use sockkit::quic::{self, ConnectError};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
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
            Ok(Link::Quic(connection))
        }
    }
}

async fn dial_tcp(address: &str) -> anyhow::Result<Link> {
    let mut failure = None;
    let found = lookup_host(address)
        .await
        .with_context(|| unknown(address))?;
    for candidate in found {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return Link::tcp(stream),
            Ok(Err(error)) => failure = Some(anyhow::Error::new(error)),
            Err(_elapsed) => {
                failure = Some(anyhow::anyhow!(
                    "no answer in {} s",
                    CONNECT_TIMEOUT.as_secs()
                ));
            }
        }
    }
    let failure = failure.unwrap_or_else(|| anyhow::anyhow!("the name has no address"));
    let refused = failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    let what_to_do = match refused {
        true => "; does the other side listen, and without quic://?",
        false => "",
    };
    Err(failure.context(format!("cannot connect to {address}{what_to_do}")))
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
