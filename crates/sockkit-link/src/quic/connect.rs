//! Dialling.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{ClientConfig, rustls::pki_types::CertificateDer};
use sockkit_core::{
    BindError, dial,
    udp::{IcmpListener, unspecified},
};
use tokio::{
    net::{ToSocketAddrs, lookup_host},
    time::{Instant, timeout},
};

use super::{
    ConnectError, Connection, Fingerprint, QuicConfig,
    identity::{self, NAME},
    socket,
};
use crate::certificate;

/// Dials a name or an address with the default configuration.
///
/// # Errors
/// As [`connect_with`].
///
/// # Panics
/// If called outside a tokio runtime.
///
/// # Cancel safety
/// Cancel safe: a pending attempt is cancelled.
pub async fn connect(to: impl ToSocketAddrs) -> Result<Connection, ConnectError> {
    connect_with(to, &QuicConfig::default()).await
}

/// Dials a name or an address. The peer is not authenticated: see
/// [`Connection::fingerprint`].
///
/// Several addresses are tried like
/// [`tcp::Connector`](sockkit_core::tcp::Connector) does: each attempt starts
/// when the previous one has failed or has been pending for 250 ms. An address
/// reported unreachable by ICMP costs no time (on Linux; on other platforms it
/// is pending, too).
///
/// The listener sees the connection when it receives the first bytes.
///
/// # Errors
/// The error of an address that replied, if there is one, otherwise of a silent
/// one: [`ConnectError::Refused`], [`ConnectError::TimedOut`],
/// [`ConnectError::OtherProtocol`], [`ConnectError::Busy`] or
/// [`ConnectError::Broken`]. Other variants if no address was tried.
///
/// # Panics
/// If called outside a tokio runtime.
///
/// # Cancel safety
/// Cancel safe: a pending attempt is cancelled.
pub async fn connect_with(
    to: impl ToSocketAddrs,
    config: &QuicConfig,
) -> Result<Connection, ConnectError> {
    let began = Instant::now();
    let found = timeout(config.handshake_timeout, lookup_host(to))
        .await
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(ConnectError::Resolve)?;
    let addresses = dial::interleave(found);
    let tls = Arc::new(identity::dialler(config)?);
    let mut client = ClientConfig::new(tls);
    client.transport_config(config.transport(0));

    let connected = dial::first(
        &addresses,
        dial::ATTEMPT_DELAY,
        |address| {
            let left = config.handshake_timeout.saturating_sub(began.elapsed());
            attempt(address, client.clone(), config, left)
        },
        |error| matches!(error, ConnectError::Options(_)),
    );
    connected.await.map_err(most_telling)
}

/// A reason from the peer says more than a timeout.
fn most_telling(failed: Vec<(SocketAddr, ConnectError)>) -> ConnectError {
    let rank = |error: &ConnectError| match error {
        ConnectError::Options(_) => 0,
        ConnectError::TimedOut { .. } => 2,
        _ => 1,
    };
    let errors = failed.into_iter().map(|(_, error)| error);
    errors.min_by_key(rank).unwrap_or(ConnectError::NoAddress)
}

async fn attempt(
    address: SocketAddr,
    client: ClientConfig,
    config: &QuicConfig,
    limit: Duration,
) -> Result<Connection, ConnectError> {
    let socket =
        socket::bind(unspecified(address), &config.options).map_err(|error| match error {
            BindError::Options(error) => ConnectError::Options(error),
            error => ConnectError::Io(error.into()),
        })?;
    let refusals = IcmpListener::of(&socket)?;
    let endpoint = socket::endpoint(socket, None)?;
    let connecting = endpoint
        .connect_with(client, address, NAME)
        // Only for an address that cannot receive datagrams, such as port 0.
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let made = async {
        let connection = connecting.await?;
        // If the listener allows no streams yet, this waits until it does.
        let (send, recv) = connection.open_bi().await?;
        Ok::<_, quinn::ConnectionError>((connection, send, recv))
    };
    let (connection, send, recv) = tokio::select! {
        made = timeout(limit, made) => match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(ConnectError::from_quinn(address, error, limit)),
            Err(_elapsed) => return Err(ConnectError::TimedOut { address, timeout: limit }),
        },
        reason = refusals.about(address) => return Err(ConnectError::Refused { address, reason }),
    };
    let fingerprint = fingerprint(&connection)?;
    Ok(Connection::new(
        endpoint,
        connection,
        send,
        recv,
        fingerprint,
    ))
}

/// The fingerprint of the certificate that the peer has presented.
pub(super) fn fingerprint(connection: &quinn::Connection) -> io::Result<Fingerprint> {
    let shown = connection.peer_identity();
    let chain = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    certificate::fingerprint(chain.as_deref().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use quinn::ServerConfig;

    use super::*;
    use crate::quic;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_listener_that_allows_no_stream_is_given_up() {
        let config = QuicConfig::default().handshake_timeout(Duration::from_millis(500));
        let (tls, _) = identity::listener(&config).unwrap();
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(config.transport(0));
        let socket = socket::bind(LOOPBACK, &config.options).ok().unwrap();
        let endpoint = socket::endpoint(socket, Some(server)).unwrap();
        let to = endpoint.local_addr().unwrap();
        tokio::spawn(async move {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            connection.closed().await
        });
        let error = timeout(Duration::from_secs(10), connect_with(to, &config))
            .await
            .expect("in time")
            .unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn patience_without_end_is_no_trouble() {
        let config = QuicConfig::default().handshake_timeout(Duration::MAX);
        let error = connect_with(LOOPBACK, &config).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Io(error) if error.kind() == io::ErrorKind::InvalidInput),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let silent = std::net::UdpSocket::bind(LOOPBACK).unwrap();
        let listener = quic::Listener::bind(LOOPBACK).unwrap();
        let addresses = [silent.local_addr().unwrap(), listener.local_addr().unwrap()];
        // Without a limit, a dialler that waits for the first address waits for
        // ever.
        let config = QuicConfig::default().handshake_timeout(Duration::MAX);
        let connected = connect_with(&addresses[..], &config).await.unwrap();
        assert_eq!(connected.peer_addr(), addresses[1]);
    }

    #[tokio::test]
    async fn a_refusal_is_told_rather_than_a_silence() {
        let silent = std::net::UdpSocket::bind(LOOPBACK).unwrap();
        let unused = std::net::UdpSocket::bind(LOOPBACK).unwrap();
        let addresses = [silent.local_addr().unwrap(), unused.local_addr().unwrap()];
        drop(unused);
        let config = QuicConfig::default().handshake_timeout(Duration::from_secs(2));
        let error = connect_with(&addresses[..], &config).await.unwrap_err();
        if cfg!(target_os = "linux") {
            assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        }
    }
}
