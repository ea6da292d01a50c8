//! The codecs at length: what peers can make them hold, over the simulated
//! link, under hostile input, with allocations counted. Here rather than under
//! the facade, so that the long runs build this crate alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(target_os = "linux")]
mod frame_memory;
mod shard_allocations;
mod shard_curve;
mod shard_forgery;
mod shard_hostile;
mod shard_link;
mod shard_loss;
