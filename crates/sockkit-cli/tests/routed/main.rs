//! Pictures between networks, through routers of zenoh.
//!
//! The routers are processes of this test, with zenoh's own code for them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crowd;
mod pictures;
mod router;
mod sites;
