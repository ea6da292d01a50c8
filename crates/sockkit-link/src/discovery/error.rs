//! Why nothing is announced or found.

use std::{fmt, io, time::Duration};

use super::{Obstacle, Role, Wanted};

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
    /// Nothing of that kind is announced.
    #[error(
        "no {} {} was found in {} s{}",
        role.word(), Named(wanted), timeout.as_secs_f32(), Why(obstacle.as_ref())
    )]
    NotFound {
        /// What it was to offer.
        role: Role,
        /// What was looked for.
        wanted: Wanted,
        /// For so long.
        timeout: Duration,
        /// What stands in the way on this machine, if that can be told.
        obstacle: Option<Obstacle>,
    },
    /// Several machines announce it.
    #[error("several {}: choose {}", Shared(wanted), Choices(full_names))]
    Ambiguous {
        /// What was looked for.
        wanted: Wanted,
        /// The names that tell them apart.
        full_names: Vec<String>,
    },
}

/// What was looked for, as users know it.
struct Named<'a>(&'a Wanted);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Wanted::Name(name) => write!(f, "{name:?}"),
            Wanted::Code(0) => f.write_str("that shows a code of three words"),
            Wanted::Code(number) => write!(f, "that shows a code with the number {number}"),
            Wanted::Identity(_) => f.write_str("with that key"),
        }
    }
}

/// What several have in common.
struct Shared<'a>(&'a Wanted);

impl fmt::Display for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Wanted::Name(name) => write!(f, "are called {name:?}"),
            Wanted::Code(0) => f.write_str("show a code of three words"),
            Wanted::Code(number) => write!(f, "show a code with the number {number}"),
            Wanted::Identity(_) => f.write_str("hint at that key"),
        }
    }
}

/// A few of the names: one host can announce any number.
struct Choices<'a>(&'a [String]);

impl fmt::Display for Choices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, more) = self.0.split_at(self.0.len().min(MAX_CHOICES));
        f.write_str(&first.join(" or "))?;
        match more.len() {
            0 => Ok(()),
            more => write!(f, " or one of {more} more"),
        }
    }
}

const MAX_CHOICES: usize = 4;

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
