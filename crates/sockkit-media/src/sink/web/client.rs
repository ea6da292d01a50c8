//! The origin of a request.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection::SendBuffer;

/// The client of a request, as far as the server knows it.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// A connection of [`WebServer`](super::WebServer).
    Own(SendBuffer),
    /// A connection of another server, with the peer's address if it provides it.
    Other(Option<SocketAddr>),
}

impl Client {
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Own(outlet) => Some(outlet.peer.ip()),
            Self::Other(peer) => peer.map(|peer| peer.ip()),
        }
    }

    /// Keeps the connection, with its limits, while an upgraded one is served.
    pub(super) fn upgraded(&self) -> Option<TaskTrackerToken> {
        match self {
            Self::Own(outlet) => Some(outlet.upgrades.token()),
            Self::Other(_) => None,
        }
    }

    /// For the log, in which clients without an address count as one host.
    pub(super) fn logged_ip(&self) -> IpAddr {
        self.ip()
            .unwrap_or_else(|| IpAddr::from(Ipv4Addr::UNSPECIFIED))
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Some(outlet) = parts.extensions.get::<SendBuffer>() {
            return Ok(Self::Own(outlet.clone()));
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self::Other(peer.map(|ConnectInfo(peer)| *peer)))
    }
}
