//! Dials the several addresses of one name (RFC 8305, "happy eyeballs"), for
//! any transport. `sockkit-link` shares it with [`tcp`](crate::tcp). Not part
//! of the API.

mod order;
mod race;

use std::time::Duration;

pub use self::{order::interleave, race::first};

/// Delay before the next address is tried in parallel, as RFC 8305 recommends.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
