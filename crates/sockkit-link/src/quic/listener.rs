//! Listening.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use quinn::{Endpoint, Incoming, ServerConfig};
use sockkit_core::{
    BindError,
    server::{Slot, Slots},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::timeout,
};

use super::{Config, Connection, Fingerprint, connection::Abandoned, identity, socket};

/// A UDP socket that accepts connections.
///
/// Handshakes run in the background from the moment it is bound, several beside
/// one another, each with a deadline, and one host has only its share of the
/// places: who sends garbage, or begins and does not continue, keeps no one out.
/// Dropping it ends them; connections that were accepted stay.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    fingerprint: Fingerprint,
    ready: Mutex<mpsc::Receiver<Connection>>,
    door: JoinHandle<()>,
}

impl Listener {
    /// Listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`BindError::Address`] if the address cannot be bound, [`BindError::Io`]
    /// if the system has no socket left, or no randomness for a certificate.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &Config::default())
    }

    /// Listens at `address` as `config` says.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and [`BindError::Options`], which names the
    /// option that could not be set.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddr, config: &Config) -> Result<Self, BindError> {
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
        let door = Door {
            endpoint: endpoint.clone(),
            fingerprint,
            max_connections: config.max_connections,
            slots: Arc::new(config.slots()),
            handshake_timeout: config.handshake_timeout,
            ready: sender,
        };
        Ok(Self {
            endpoint,
            fingerprint,
            ready: Mutex::new(ready),
            door: tokio::spawn(door.keep()),
        })
    }

    /// Waits, for ever if need be, for the next connection whose dialler has
    /// spoken.
    ///
    /// # Errors
    /// If the socket failed. The listener is of no use then.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        let connection = self.ready.lock().await.recv().await;
        let connection = connection.ok_or_else(|| io::Error::other("the socket failed"))?;
        let peer = connection.peer_addr();
        Ok((connection, peer))
    }

    /// The next connection, if there is one already.
    pub(crate) fn accept_waiting(&self) -> Option<Connection> {
        self.ready.try_lock().ok()?.try_recv().ok()
    }

    /// The address bound, with the port that the system chose.
    ///
    /// # Errors
    /// Passes on what the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// What every dialler should see: tell it by another way than this network.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The endpoint lives on with the connections that were accepted.
        self.endpoint.set_server_config(None);
        self.door.abort();
    }
}

/// Lets in who may come in.
struct Door {
    endpoint: Endpoint,
    fingerprint: Fingerprint,
    max_connections: usize,
    slots: Arc<Slots>,
    handshake_timeout: Duration,
    ready: mpsc::Sender<Connection>,
}

type Handshake<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Door {
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

    /// No, not before you have shown that your address is your own, or yes.
    fn answer(&self, incoming: Incoming) -> Option<Handshake<'_>> {
        // Those that have ended linger; those that have left before they were
        // accepted keep their slots.
        let open = self.endpoint.open_connections().max(self.slots.count());
        let peer = incoming.remote_address();
        // What a forged address takes would be the real host's places.
        let must_validate = open >= self.max_connections / 4 || self.slots.count_of(peer.ip()) > 0;
        if must_validate && !incoming.remote_address_validated() && open < self.max_connections {
            // Cannot fail: an address that is not validated may be asked to be.
            let _ = incoming.retry();
            return None;
        }
        let slot = self.slots.take(peer.ip());
        match slot.filter(|_| open < self.max_connections) {
            Some(slot) => Some(Box::pin(self.admit(incoming, slot))),
            None => {
                tracing::debug!(%peer, open, "refused: no room");
                incoming.refuse();
                None
            }
        }
    }

    /// Takes part in the handshake, waits for the first byte, and keeps the
    /// connection until somebody takes it.
    async fn admit(&self, incoming: Incoming, slot: Slot) {
        let peer = incoming.remote_address();
        let begun = async {
            let connection = incoming.accept()?.await?;
            let abandoned = Abandoned::unless_kept(connection.clone());
            let (send, recv) = connection.accept_bi().await?;
            abandoned.keep();
            Ok::<_, quinn::ConnectionError>((connection, send, recv))
        };
        match timeout(self.handshake_timeout, begun).await {
            Ok(Ok((connection, send, recv))) => {
                let endpoint = self.endpoint.clone();
                let connection =
                    Connection::new(endpoint, connection, send, recv, self.fingerprint)
                        .holding(slot);
                // Without a listener nobody wants it.
                let _ = self.ready.send(connection).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no connection"),
            Err(_elapsed) => tracing::debug!(%peer, "began and did not go on"),
        }
    }
}

/// Attempts that the door has not looked at yet; it looks at once.
fn without_certificate(error: io::Error) -> BindError {
    let message = format!("cannot make a certificate: {error}");
    io::Error::new(error.kind(), message).into()
}

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
        let config = Config::default().max_connections(1);
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
        connect(to).await.unwrap();
    }

    #[tokio::test]
    async fn one_host_does_not_close_the_door_to_another() {
        let config = Config::default().max_connections(8);
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

    /// Dials from another of loopback's addresses.
    async fn dial_from(from: [u8; 4], to: SocketAddr) -> (quinn::Connection, Endpoint) {
        let config = Config::default();
        let tls = Arc::new(identity::dialler(&config).unwrap());
        let mut client = quinn::ClientConfig::new(tls);
        client.transport_config(config.transport(0));
        let socket = socket::bind((from, 0).into(), &config.options)
            .ok()
            .unwrap();
        let endpoint = socket::endpoint(socket, None).unwrap();
        let connecting = endpoint.connect_with(client, to, identity::NAME).unwrap();
        (connecting.await.unwrap(), endpoint)
    }
}
