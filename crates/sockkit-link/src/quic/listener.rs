//! Listening.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use quinn::{Endpoint, Incoming, ServerConfig};
use sockkit_core::{
    BindError,
    server::{ConnectionLimiter, Permit},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Connection, Fingerprint, QuicConfig,
    connection::{CloseOnDrop, draining_time, linger},
    identity, socket,
};

/// A UDP socket that accepts QUIC connections.
///
/// Handshakes run concurrently in the background, each with a timeout, and one
/// host gets only its share of the permits: a peer that sends garbage, stalls or
/// leaves at once does not keep others out. A permit is held until the protocol
/// has forgotten the closed connection. Dropping the listener aborts pending handshakes;
/// accepted connections stay open.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    fingerprint: Fingerprint,
    ready: Mutex<mpsc::Receiver<Connection>>,
    acceptor: JoinHandle<()>,
}

impl Listener {
    /// Binds `address` and listens; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`BindError::Address`] if the address cannot be bound, [`BindError::Io`]
    /// if no socket or no randomness for a certificate is available.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &QuicConfig::default())
    }

    /// Binds and listens with the given configuration.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and [`BindError::Options`] for an option that
    /// could not be set.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddr, config: &QuicConfig) -> Result<Self, BindError> {
        let (tls, fingerprint) = identity::listener(config).map_err(without_certificate)?;
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server
            .transport_config(config.transport(1))
            .max_incoming(MAX_WAITING)
            .incoming_buffer_size(WAITING_BUFFER_BYTES)
            .incoming_buffer_size_total(WAITING_BUFFERS_BYTES);
        let socket = socket::bind(address, &config.options)?;
        let endpoint = socket::endpoint(socket, Some(server))?;
        let (sender, ready) = mpsc::channel(1);
        let acceptor = Acceptor {
            endpoint: endpoint.clone(),
            fingerprint,
            max_connections: config.max_connections,
            limiter: Arc::new(config.limiter()),
            handshake_timeout: config.handshake_timeout,
            ready: sender,
        };
        Ok(Self {
            endpoint,
            fingerprint,
            ready: Mutex::new(ready),
            acceptor: tokio::spawn(acceptor.keep()),
        })
    }

    /// Waits for the next connection whose dialler has sent data.
    ///
    /// # Errors
    /// If the socket has failed; the listener is then unusable.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        let connection = self.ready.lock().await.recv().await;
        let connection = connection.ok_or_else(|| io::Error::other("the socket failed"))?;
        let peer = connection.peer_addr();
        Ok((connection, peer))
    }

    /// Returns the next connection if it is already available.
    pub(crate) fn accept_waiting(&self) -> Option<Connection> {
        self.ready.try_lock().ok()?.try_recv().ok()
    }

    /// The local address, with the port chosen by the system.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The fingerprint that every dialler should see: communicate it over
    /// another channel than this network.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The endpoint stays open for connections already accepted.
        self.endpoint.set_server_config(None);
        self.acceptor.abort();
    }
}

/// Accepts connections within the limits.
struct Acceptor {
    endpoint: Endpoint,
    fingerprint: Fingerprint,
    max_connections: usize,
    limiter: Arc<ConnectionLimiter>,
    handshake_timeout: Duration,
    ready: mpsc::Sender<Connection>,
}

type Handshake<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Acceptor {
    /// Runs until the listener is dropped or the socket fails.
    async fn keep(self) {
        let mut handshakes = FuturesUnordered::new();
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => {
                        handshakes.extend(self.answer(incoming));
                    }
                    None => return,
                },
                Some(()) = handshakes.next() => {}
            }
        }
    }

    /// Refuses, sends a Retry (address validation), or accepts.
    fn answer(&self, incoming: Incoming) -> Option<Handshake<'_>> {
        // Closed connections linger; those that closed before they were
        // accepted keep their permits.
        let open = self.endpoint.open_connections().max(self.limiter.count());
        let peer = incoming.remote_address();
        // A spoofed address must not use up the permits of the real host.
        let must_validate =
            open >= self.max_connections / 4 || self.limiter.count_of(peer.ip()) > 0;
        if must_validate && !incoming.remote_address_validated() && open < self.max_connections {
            // Cannot fail: an address that is not validated may be sent a
            // Retry.
            let _ = incoming.retry();
            return None;
        }
        let permit = self.limiter.take(peer.ip());
        match permit.filter(|_| open < self.max_connections) {
            Some(permit) => Some(Box::pin(self.admit(incoming, permit))),
            None => {
                tracing::debug!(%peer, open, "refused: no permit");
                incoming.refuse();
                None
            }
        }
    }

    /// Performs the handshake, waits for the first byte, and holds the
    /// connection until it is accepted.
    async fn admit(&self, incoming: Incoming, permit: Permit) {
        let peer = incoming.remote_address();
        let mut draining = UNMEASURED_DRAINING;
        let begun = async {
            let connection = incoming.accept()?.await?;
            draining = draining_time(&connection);
            let abandoned = CloseOnDrop::unless_kept(connection.clone());
            let (send, recv) = connection.accept_bi().await?;
            abandoned.keep();
            Ok::<_, quinn::ConnectionError>((connection, send, recv))
        };
        match timeout(self.handshake_timeout, begun).await {
            Ok(Ok((connection, send, recv))) => {
                let endpoint = self.endpoint.clone();
                let connection =
                    Connection::new(endpoint, connection, send, recv, self.fingerprint)
                        .holding(permit);
                // Fails if the listener was dropped.
                let _ = self.ready.send(connection).await;
                return;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
            Err(_elapsed) => tracing::debug!(%peer, "handshake timed out"),
        }
        // Ends early with the listener.
        linger(permit, draining).await;
    }
}

/// Error from creating the certificate.
fn without_certificate(error: io::Error) -> BindError {
    let message = format!("cannot make a certificate: {error}");
    io::Error::new(error.kind(), message).into()
}

/// Three probe timeouts with QUIC's initial round-trip time, 333 ms.
const UNMEASURED_DRAINING: Duration = Duration::from_secs(3);

const MAX_WAITING: usize = 256;
const WAITING_BUFFER_BYTES: u64 = 64 << 10;
const WAITING_BUFFERS_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, time::sleep};

    use super::*;
    use crate::quic::{ConnectError, connect};

    #[tokio::test]
    async fn peers_that_left_before_anybody_accepted_them_are_counted() {
        let config = QuicConfig::default().max_connections(1);
        let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
        let to = listener.local_addr().unwrap();
        connect(to).await.unwrap().write_all(b"!").await.unwrap();
        let left = async {
            while listener.endpoint.open_connections() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), left).await.unwrap();
        let error = connect(to).await.unwrap_err();
        assert!(matches!(error, ConnectError::Busy { .. }), "{error:?}");
        listener.accept().await.unwrap();
        // Its permit lingers.
        let again = async { while connect(to).await.is_err() {} };
        timeout(Duration::from_secs(10), again).await.unwrap();
    }

    /// Connections that close as soon as they are complete: the host's share
    /// limits them too, while quinn still counts them.
    #[tokio::test]
    async fn a_host_that_leaves_at_once_does_not_close_the_door_to_another() {
        let config = QuicConfig::default().max_connections(8);
        let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
        let to = listener.local_addr().unwrap();
        for _ in 0..16 {
            let dialled = try_dial_from([127, 0, 0, 1], to).await;
            if let Ok((connection, _)) = dialled {
                connection.close(0_u8.into(), b"");
            }
            assert!(listener.endpoint.open_connections() <= 3);
        }
        let honest = dial_from([127, 0, 0, 2], to).await;
        honest.1.close(0_u8.into(), b"");
    }

    #[tokio::test]
    async fn one_host_does_not_close_the_door_to_another() {
        let config = QuicConfig::default().max_connections(8);
        let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
        let to = listener.local_addr().unwrap();
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(connect(to).await.unwrap());
        }
        let error = connect(to).await.unwrap_err();
        assert!(matches!(error, ConnectError::Busy { .. }), "{error:?}");
        let honest = dial_from([127, 0, 0, 2], to).await;
        let mut stream = honest.0.open_bi().await.unwrap().0;
        stream.write_all(b"!").await.unwrap();
        let (_connection, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), std::net::Ipv4Addr::new(127, 0, 0, 2));
        honest.1.close(0_u8.into(), b"");
    }

    /// Dials from another loopback address.
    async fn dial_from(from: [u8; 4], to: SocketAddr) -> (quinn::Connection, Endpoint) {
        try_dial_from(from, to).await.unwrap()
    }

    async fn try_dial_from(
        from: [u8; 4],
        to: SocketAddr,
    ) -> Result<(quinn::Connection, Endpoint), quinn::ConnectionError> {
        let config = QuicConfig::default();
        let tls = Arc::new(identity::dialler(&config).unwrap());
        let mut client = quinn::ClientConfig::new(tls);
        client.transport_config(config.transport(0));
        let socket = socket::bind((from, 0).into(), &config.options)
            .ok()
            .unwrap();
        let endpoint = socket::endpoint(socket, None).unwrap();
        let connecting = endpoint.connect_with(client, to, identity::NAME).unwrap();
        Ok((connecting.await?, endpoint))
    }
}
