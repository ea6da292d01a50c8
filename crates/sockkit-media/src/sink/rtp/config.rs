//! Settings of sinks for players.

use std::time::Duration;

use sockkit_core::interfaces::InterfaceSelector;

use crate::picture::jpeg;

/// Settings of an [`RtpSender`](super::RtpSender) or an [`RtspServer`](super::RtspServer).
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a sender or a server is opened with it"]
pub struct RtpConfig {
    pub(super) name: String,
    pub(super) jpeg_quality: u8,
    pub(super) interface: Option<InterfaceSelector>,
    pub(super) max_players: usize,
    max_players_per_host: Option<usize>,
    pub(super) write_timeout: Duration,
    pub(super) session_timeout: Duration,
}

impl RtpConfig {
    /// The title that players show. Default: `camera`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Quality of pictures that are compressed here, 1 to 100. Default: 80.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.jpeg_quality = quality;
        self
    }

    /// The interface for groups. Default: chosen by the routing table.
    pub fn interface(mut self, interface: InterfaceSelector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Maximum number of players connected to a server. Default: 128.
    pub fn max_players(mut self, players: usize) -> Self {
        self.max_players = players;
        self
    }

    /// Maximum number of players of one host. Default: a quarter of all.
    pub fn max_players_per_host(mut self, players: usize) -> Self {
        self.max_players_per_host = Some(players);
        self
    }

    /// How far a connected player may fall behind before it is disconnected.
    /// Default: 10 s.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How long a player that gets datagrams may send no request. Default: 60 s.
    ///
    /// Players are told, and send one in time; shorter ends sooner what is sent to a player
    /// that has vanished.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    pub(super) fn per_host(&self) -> usize {
        let quarter = || self.max_players.div_ceil(4);
        self.max_players_per_host.unwrap_or_else(quarter)
    }
}

impl Default for RtpConfig {
    fn default() -> Self {
        Self {
            name: "camera".to_owned(),
            jpeg_quality: jpeg::DEFAULT_QUALITY,
            interface: None,
            max_players: 128,
            max_players_per_host: None,
            write_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(60),
        }
    }
}
