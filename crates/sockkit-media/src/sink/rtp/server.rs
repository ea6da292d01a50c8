//! Waits for players that ask by RTSP.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use sockkit_codec::rtsp::SessionConfig;
use sockkit_core::{
    options::SocketOptions,
    server::{Handled, Peer, Server, ServerConfig, Stream},
};
use sockkit_link::{Address, Connection, Node, Scheme, channel::ChannelError};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    RtpConfig, RtpStats,
    client::Client,
    feed::{RtpBroadcaster, Shared, prepare},
    now,
};
use crate::{
    latest::Subscriber,
    log_limit::{LogLimit, warn_refused},
    picture::Picture,
};

/// Serves the newest picture to players that connect by RTSP, until it is dropped.
///
/// Each player is served at its own pace: a slow one sees fewer pictures, without affecting
/// others. Datagrams go only to the address that a player's connection came from.
///
/// ```no_run
/// # use sockkit_media as sockkit;
/// use sockkit::{latest, sink::rtp::{RtpConfig, RtspServer}};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (camera, pictures) = latest::channel();
/// let at = "rtsp://127.0.0.1:8554".parse()?;
/// let server = RtspServer::bind(&at, RtpConfig::default(), pictures).await?;
/// println!("ffplay {}", server.address());
/// # drop(camera);
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct RtspServer {
    address: Address,
    shared: Arc<Shared>,
    server: Server,
    preparing: JoinHandle<()>,
    stop: DropGuard,
}

/// What the players of a server share.
#[derive(Debug)]
pub(super) struct Players {
    pub(super) shared: Arc<Shared>,
    pub(super) config: RtpConfig,
    /// Gone when the camera is: players are served until then.
    pub(super) broadcaster: Weak<RtpBroadcaster>,
    pub(super) log_limit: LogLimit,
}

impl RtspServer {
    /// Listens at this address.
    ///
    /// When the publisher of `pictures` is gone, a player that plays receives the last picture,
    /// and its connection ends. One that is paused learns of it when it plays again.
    ///
    /// # Errors
    /// [`ChannelError`] if the address cannot be resolved or bound.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is served before it returns.
    pub async fn bind(
        at: &Address,
        config: RtpConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let below = Address::new(Scheme::Tcp, at.host().clone(), at.port());
        let acceptor = node(&config).listen(&below).await?;
        let local = acceptor.local_addr();
        let (shared, broadcaster) = (
            Arc::new(Shared::default()),
            Arc::new(RtpBroadcaster::default()),
        );
        let players = Arc::new(Players {
            shared: Arc::clone(&shared),
            broadcaster: Arc::downgrade(&broadcaster),
            log_limit: LogLimit::default(),
            config,
        });
        let limits = limits(&players.config).on_end({
            let players = Arc::clone(&players);
            move |ended| warn_refused(ended, &players.log_limit, now())
        });
        let server = Server::start(acceptor, limits, {
            let players = Arc::clone(&players);
            move |stream: Stream<Connection>, peer: Peer| {
                let players = Arc::clone(&players);
                async move { players.serve(stream, peer).await }
            }
        })?;
        let stop = CancellationToken::new();
        let preparing = tokio::spawn({
            let stop = stop.clone();
            async move {
                let Players { shared, config, .. } = &*players;
                let prepare = prepare(pictures, config.jpeg_quality, shared, &broadcaster);
                stop.run_until_cancelled(prepare).await;
            }
        });
        Ok(Self {
            address: Address::new(Scheme::Rtsp, local.into(), local.port()),
            shared,
            server,
            preparing,
            stop: stop.drop_guard(),
        })
    }

    /// The address that players connect to, with the port chosen by the system.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Counters so far.
    pub fn stats(&self) -> RtpStats {
        self.shared.stats().clone()
    }

    /// Ends every session, and waits at most a second until the players have received
    /// what was in flight, and have closed their connections.
    ///
    /// # Cancel safety
    /// Cancel safe: the server stops in any case.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in it was already reported by the runtime.
        let _ = self.preparing.await;
        self.server.shutdown().await;
    }
}

impl Players {
    /// Serves one player until it disconnects, or the server drains.
    async fn serve(&self, stream: Stream<Connection>, peer: Peer) -> Handled {
        let connection = stream.get_ref();
        let from = connection.peer_addr();
        let Some(local) = connection.local_ip() else {
            return Ok(());
        };
        let _present = PlayerCount::enter(&self.shared);
        let [id, random] = [getrandom::u64(), getrandom::u64()];
        let [id, random] = [
            id.map_err(io::Error::from)?,
            random.map_err(io::Error::from)?,
        ];
        let session = SessionConfig::new(from.ip(), id).timeout(self.config.session_timeout);
        let mut client = Client::new(self, session, random, [local_of(local, from), from]);
        if let Err(error) = client.run(stream, peer.draining()).await {
            // A player that is closed often resets its connection.
            tracing::debug!(peer = %from, %error, "player's connection ended");
        }
        Ok(())
    }
}

/// The address of this side of a connection; a link-local one needs the scope of the
/// peer's.
fn local_of(ip: std::net::IpAddr, peer: SocketAddr) -> SocketAddr {
    let mut local = SocketAddr::new(ip, 0);
    if let (SocketAddr::V6(local), SocketAddr::V6(peer)) = (&mut local, peer) {
        local.set_scope_id(peer.scope_id());
    }
    local
}

/// Counts a player while it is connected.
struct PlayerCount<'a>(&'a Shared);

impl<'a> PlayerCount<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let mut stats = shared.stats();
        stats.connected += 1;
        stats.players += 1;
        Self(shared)
    }
}

impl Drop for PlayerCount<'_> {
    fn drop(&mut self) {
        self.0.stats().players -= 1;
    }
}

/// Its limits are above the server's, which tells a player why it is refused.
fn node(config: &RtpConfig) -> Node {
    let options = SocketOptions::new()
        .no_delay(true)
        .send_buffer_bytes(SEND_BUFFER_BYTES)
        .receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
    // The next picture is chosen when less than half of this is unsent.
    #[cfg(target_os = "linux")]
    let options = options.not_sent_low_water_bytes(NOT_SENT_BYTES);
    Node::default()
        .tcp_options(options)
        .max_connections(config.max_players.saturating_mul(2))
        .max_connections_per_address(config.per_host().saturating_mul(2))
}

fn limits(config: &RtpConfig) -> ServerConfig {
    ServerConfig::default()
        .max_connections(config.max_players)
        .max_connections_per_address(config.per_host())
        .write_timeout(config.write_timeout)
        // Sessions have their own.
        .idle_timeout(None)
        // Reads run alongside the pictures.
        .quiet_period(None)
        .drain_timeout(SHUTDOWN_WITHIN)
        .refusal(BUSY)
}

const BUSY: &[u8] = b"RTSP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n";

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

/// Bounds the data in flight to one player: a few pictures.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Requests and reports are short.
const RECEIVE_BUFFER_BYTES: usize = 16 << 10;

#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 8 << 10;
