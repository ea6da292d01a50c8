//! Dialling a name that stands for several addresses (RFC 8305, "happy
//! eyeballs"), whatever the transport.

mod order;
mod race;

use std::time::Duration;

pub(crate) use self::{order::interleave, race::first};

/// How long one address is waited for before the next is tried beside it, as
/// RFC 8305 recommends.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
