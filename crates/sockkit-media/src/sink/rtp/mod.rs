//! Pictures for players: ffplay, VLC, GStreamer, and what is built on them.
//!
//! [`RtpSender`] sends to a host or a group. [`RtspServer`] waits for players, and sends
//! to each as it asks: as datagrams, or on its connection. Both are in the clear, without
//! authentication: every host that can read the packets can watch, and any host can forge
//! datagrams.
//!
//! JPEG pictures pass unchanged if RTP can carry them; the others are compressed again, once
//! for all players, and [`RtpStats::compressed_again`] says why. Datagrams are sent from the
//! picture's own data; for a connection it is copied. The formats are described in
//! `docs/wire/rtp.md`.

mod client;
mod config;
mod datagrams;
mod feed;
mod outbound;
mod packets;
mod sender;
mod server;

pub use self::{
    config::RtpConfig,
    feed::{CompressedAgain, RtpStats},
    sender::RtpSender,
    server::RtspServer,
};

/// The runtime's clock, for pure code.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock, for reports.
fn wall() -> crate::picture::Timestamp {
    std::time::SystemTime::now().into()
}
