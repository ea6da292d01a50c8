//! Dialling a name that stands for several addresses (RFC 8305, "happy
//! eyeballs"), whatever the transport: what `sockkit-link` shares with
//! [`tcp`](crate::tcp). Not part of the API.

mod order;
mod race;

use std::time::Duration;

pub use self::{order::interleave, race::first};

/// How long one address is waited for before the next is tried beside it, as
/// RFC 8305 recommends.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
