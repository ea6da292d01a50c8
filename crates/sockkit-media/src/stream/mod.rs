//! Pictures over a network: datagrams, framed TCP and QUIC.
//!
//! A source publishes pictures into a [`latest`](crate::latest) channel; a
//! [`Sender`] takes the newest from there whenever it is free, and a [`Receiver`]
//! publishes what arrives into another. Raw pictures are compressed as JPEG by
//! the sender, or once for several by [`encode::as_jpeg`](crate::encode::as_jpeg).
//! Nothing queues anywhere, so what is
//! shown is as new as the link allows.
//!
//! | address | sender | receiver | take it when |
//! | --- | --- | --- | --- |
//! | `udp://` | sends to hosts and groups | is bound, or joins | the sender knows its receivers, or there is a group; a loss costs one picture, or none with parity |
//! | `tcp://` | listens | connects, again and again | receivers come and go as they like; a loss costs a moment |
//! | `quic://` | listens | connects, again and again | the same on a link that loses packets; encrypted |
//!
//! What crosses the wire is written in `docs/wire/video.md`.

mod answer;
mod backoff;
mod clock;
mod config;
pub(crate) mod control;
mod follow;
mod freshness;
mod inlet;
mod intake;
mod message;
mod receiver;
mod reports;
mod sender;
mod session;
mod stats;

pub use self::{
    config::{ReceiverConfig, SenderConfig},
    control::Report,
    receiver::{Link, Receiver},
    sender::{Sender, SenderStats},
    stats::{Event, Meter, Stats, StatsHandle, Unopened},
};
