//! Pictures over a network: datagrams, framed TCP and QUIC.
//!
//! A source publishes pictures into a [`latest`](crate::latest) channel. A
//! [`Sender`] takes the newest one whenever it is ready, and a [`Receiver`]
//! publishes what arrives into another channel. Raw pictures are compressed as
//! JPEG by the sender, or once for several senders by
//! [`encode::as_jpeg`](crate::encode::as_jpeg). There are no queues, so
//! pictures are as recent as the link allows.
//!
//! | address | sender | receiver | use it if |
//! | --- | --- | --- | --- |
//! | `udp://` | sends to hosts and groups | binds, or joins a group | the sender knows its receivers, or there is a group; a lost packet costs one picture, or none with parity |
//! | `udp://`, subscribed | listens, or connects | connects, or listens | the same, where no other host may see or forge pictures: each receiver has a key of its own |
//! | `tcp://` | listens | connects and reconnects | receivers come and go; a lost packet delays pictures for a moment |
//! | `quic://` | listens | connects and reconnects | the same, on a link that loses packets; encrypted |
//!
//! The wire format is described in `docs/wire/video.md`.

mod backoff;
mod clock;
mod config;
pub(crate) mod control;
#[cfg(all(feature = "sealing", feature = "pairing"))]
mod group;
#[cfg(all(feature = "sealing", feature = "pairing"))]
mod hand_over;
mod ingest;
mod intake;
mod loss;
mod message;
mod receiver;
mod reports;
mod responder;
mod selector;
mod sender;
mod session;
#[cfg(test)]
mod simulated;
mod staleness;
mod standing;
mod stats;
#[cfg(all(feature = "sealing", feature = "pairing"))]
mod subscriptions;

pub use sockkit_core::tcp::End;

#[cfg(feature = "rtp")]
pub(crate) use self::config::in_time;
pub use self::{
    config::{ReceiverConfig, SenderConfig},
    control::Report,
    receiver::{ConnectionState, Receiver},
    sender::{Sender, SenderStats},
    stats::{Event, Meter, Stats, StatsHandle, Unopened},
};
