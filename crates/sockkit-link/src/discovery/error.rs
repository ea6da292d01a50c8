//! Why nothing is announced or found.

use std::{fmt, io, time::Duration};

use super::Obstacle;

/// Multicast DNS does not work here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Its socket or its thread fails.
    #[error("multicast DNS fails")]
    Failed(#[source] io::Error),
    /// The address is this machine's alone.
    #[error("{0} is reached from this machine alone")]
    Loopback(String),
}

impl From<mdns_sd::Error> for DiscoveryError {
    fn from(error: mdns_sd::Error) -> Self {
        Self::Failed(io::Error::other(error))
    }
}

/// Why a name leads to no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// Multicast DNS does not work here.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// No such name is announced.
    #[error("no {what} {name:?} was found in {} s{}", timeout.as_secs_f32(), Why(obstacle.as_ref()))]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
        /// For so long.
        timeout: Duration,
        /// What stands in the way on this machine, if that can be told.
        obstacle: Option<Obstacle>,
    },
    /// Several machines have that name.
    #[error("{name:?} is the name of several: choose {}", full_names.join(" or "))]
    Ambiguous {
        /// The name.
        name: String,
        /// What tells them apart.
        full_names: Vec<String>,
    },
}

/// What stands in the way; else what usually does, in order.
struct Why<'a>(Option<&'a Obstacle>);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(obstacle) => write!(f, ": {obstacle}"),
            None => f.write_str(
                ": is it started, on this network, and does neither firewall drop UDP port 5353?",
            ),
        }
    }
}
