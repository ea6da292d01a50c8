//! Pictures over datagrams and framed TCP.
//!
//! A source publishes pictures into a [`latest`](crate::latest) channel; a
//! [`Sender`] takes the newest from there whenever it is free, and a
//! [`Receiver`] publishes what arrives into another. Nothing queues anywhere,
//! so what is shown is as new as the link allows.
//!
//! What crosses the wire is written in `docs/wire/video.md`.

mod answer;
mod clock;
mod control;
pub mod course;
mod endpoint;
mod error;
mod follow;
mod inlet;
mod pace;
mod receiver;
mod reports;
mod sender;
mod stats;

pub use self::{
    control::Report,
    error::StreamError,
    receiver::{Receiver, ReceiverConfig},
    sender::{Sender, SenderConfig, SenderStats},
    stats::{Event, Meter, Stats, StatsHandle},
};
