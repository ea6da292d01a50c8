//! Between networks, through the routers of [zenoh](https://zenoh.io).
//!
//! A [`Session`] is connected to a router, and carries
//! [`Channel`](crate::channel::Channel)s: one side
//! [publishes](crate::channel::Channel::publisher) messages under a name, and any number of
//! others [subscribe](crate::channel::Channel::subscriber) to it. The routers copy each
//! message where it is wanted, so that it crosses each link once.
//!
//! # What it promises, and what not
//!
//! - Messages are sealed for the holders of a key, if the two sides have one. Routers see
//!   names, lengths and times, and can drop messages. A message that they alter, forge,
//!   repeat, or publish under another name is not taken.
//! - **A subscriber that has just started cannot tell a recording from the sender**, see
//!   [`sealing`](crate::sealing).
//! - Each queue on the way drops a message for which it has no room. The next one that
//!   arrives tells how many are missing.
//!
//! # Source
//! The names and the layout are described in `docs/wire/routed.md`.

use std::{collections::BTreeSet, time::Duration};

use ::zenoh::Config;
use tokio::time::timeout;

use crate::{Address, AddressPath};

mod keys;

pub(crate) use self::keys::{Keys, Subscriber};

/// A connection to a router, re-established when it breaks.
///
/// Its clones share it. Needs a runtime of several threads: zenoh has threads of its own.
#[derive(Clone, Debug)]
pub struct Session(::zenoh::Session);

/// Error from the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Neither an address nor a file says where a router is.
    #[error("{address} names no router, and there is no configuration that does")]
    NoRouter {
        /// The address.
        address: Address,
    },
    /// The configuration cannot be used.
    #[error("cannot use the configuration of zenoh: {reason}")]
    Config {
        /// What zenoh says.
        reason: String,
    },
    /// No router answered.
    #[error("no router of zenoh answers at {address}: {reason}")]
    NotConnected {
        /// The address.
        address: Address,
        /// What zenoh says.
        reason: String,
    },
    /// A name is published or asked for, and this is a pattern, or empty.
    #[error("{0} is not the name of one sender")]
    NotAName(Address),
    /// The session is closed, or the system has failed.
    #[error("zenoh failed: {reason}")]
    Failed {
        /// What zenoh says.
        reason: String,
    },
}

impl Session {
    /// Connects to the router at `router`, with zenoh's own configuration in JSON5 if there
    /// is one. That may name further routers, if `router` has no host.
    ///
    /// # Errors
    /// [`SessionError`] if no router answers within ten seconds. Later it is reconnected.
    ///
    /// # Panics
    /// If called outside a tokio runtime of several threads.
    ///
    /// # Cancel safety
    /// Cancel safe: there is no session then.
    pub async fn open(router: &Address, json5: Option<&str>) -> Result<Self, SessionError> {
        let config = config(router, json5)?;
        let not_connected = |reason: String| SessionError::NotConnected {
            address: router.at(AddressPath::default()),
            reason,
        };
        match timeout(OPEN_WITHIN, ::zenoh::open(config)).await {
            Ok(Ok(session)) => Ok(Self(session)),
            Ok(Err(error)) => Err(not_connected(first_line(&error))),
            Err(_elapsed) => Err(not_connected(format!("not within {OPEN_WITHIN:?}"))),
        }
    }

    /// The names of publishers that match `pattern`, in order; all of them if it is empty.
    /// Names are not authenticated.
    ///
    /// # Errors
    /// [`SessionError::Failed`] if the session is closed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn publishers(
        &self,
        pattern: &AddressPath,
    ) -> Result<BTreeSet<AddressPath>, SessionError> {
        let asked = self.0.liveliness().get(Keys::publishers(pattern));
        let replies = asked.timeout(LIST_WITHIN).await.map_err(failed)?;
        let mut found = BTreeSet::new();
        // Hostile routers may name any number.
        while found.len() < MAX_LISTED
            && let Ok(Ok(reply)) = timeout(LIST_WITHIN, replies.recv_async()).await
        {
            if let Ok(sample) = reply.result() {
                found.extend(Keys::publisher(sample.key_expr().as_str()));
            }
        }
        Ok(found)
    }

    /// Whether a router is connected at present.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn is_connected(&self) -> bool {
        let info = self.0.info();
        info.routers_zid().await.next().is_some() || info.peers_zid().await.next().is_some()
    }

    pub(crate) fn engine(&self) -> &::zenoh::Session {
        &self.0
    }
}

/// The user's configuration, or one of a client without discovery; with the router.
fn config(router: &Address, json5: Option<&str>) -> Result<Config, SessionError> {
    if router.is_unspecified() && json5.is_none() {
        let address = router.clone();
        return Err(SessionError::NoRouter { address });
    }
    let refused = |error: ::zenoh::Error| SessionError::Config {
        reason: first_line(&error),
    };
    let mut config = Config::from_json5(json5.unwrap_or(CLIENT)).map_err(refused)?;
    if !router.is_unspecified() {
        let (host, port) = (router.host(), router.port());
        let endpoints = format!("[\"tcp/{host}:{port}#so_sndbuf={SEND_BUFFER_BYTES}\"]");
        let inserted = config.insert_json5("connect/endpoints", &endpoints);
        inserted.map_err(refused)?;
    }
    Ok(config)
}

pub(crate) fn failed(error: impl std::fmt::Display) -> SessionError {
    SessionError::Failed {
        reason: first_line(&error),
    }
}

/// Errors of zenoh tell where in its source they were made, in further lines.
fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Neither listens nor looks for others, and takes no message that is longer than the
/// largest picture with its headers. A router that is back is found within a second.
const CLIENT: &str = r#"{
    mode: "client",
    scouting: { multicast: { enabled: false }, gossip: { enabled: false } },
    connect: { retry: { period_init_ms: 100, period_max_ms: 1000, period_increase_factor: 2 } },
    transport: { link: { rx: { max_message_size: 68000000 } } },
}"#;

/// What waits in the kernel is older than what the engine would send instead.
const SEND_BUFFER_BYTES: usize = 256 << 10;

const OPEN_WITHIN: Duration = Duration::from_secs(10);

const LIST_WITHIN: Duration = Duration::from_secs(2);

const MAX_LISTED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn router(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_names_the_router_and_the_file_everything_else() {
        let endpoints = |at, json5| {
            let config = config(&router(at), json5).unwrap();
            let get = |key| config.get_json(key).unwrap();
            (get("mode"), get("connect/endpoints"))
        };
        let (mode, to) = endpoints("zenoh://[::1]:7000/porch", None);
        assert_eq!(mode, r#""client""#);
        assert!(to.contains("tcp/[::1]:7000#"), "{to}");
        let file = r#"{ mode: "peer", connect: { endpoints: ["tcp/hub:1", "tcp/hub:2"] } }"#;
        let (mode, to) = endpoints("zenoh://:7447/porch", Some(file));
        assert_eq!(mode, r#""peer""#);
        assert!(to.contains("hub:1") && to.contains("hub:2"), "{to}");
        let (_, to) = endpoints("zenoh://desk:7447/porch", Some(file));
        assert!(to.contains("desk:7447") && !to.contains("hub"), "{to}");
    }

    #[test]
    fn what_is_no_configuration_is_refused_in_one_line() {
        let nowhere = config(&router("zenoh://:7447/porch"), None).unwrap_err();
        assert!(matches!(nowhere, SessionError::NoRouter { .. }));
        for json5 in ["", "{ mode: \"captain\" }", "{ connect: 7 }"] {
            let error = config(&router("zenoh://hub:7447"), Some(json5)).unwrap_err();
            assert!(matches!(error, SessionError::Config { .. }), "{json5}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
