//! Pictures over datagrams and framed TCP.
//!
//! A source publishes pictures into a [`latest`](crate::latest) channel; a
//! sender takes the newest from there whenever it is free, and a receiver
//! publishes what arrives into another. Raw pictures are compressed as JPEG by
//! the sender, or once for several by [`encode::as_jpeg`](crate::encode::as_jpeg).
//! Nothing queues anywhere, so what is
//! shown is as new as the link allows.
//!
//! | over | sends | receives | take it when |
//! | --- | --- | --- | --- |
//! | datagrams | [`Sender`], to addresses and groups | [`Receiver`], bound | the sender knows its receivers, or there is a group; a loss costs one picture, or none with parity |
//! | TCP | [`TcpSender`], which listens | [`TcpReceiver`], which dials | receivers come and go as they like; a loss costs a moment |
//!
//! What crosses the wire is written in `docs/wire/video.md`.

mod answer;
mod clock;
pub(crate) mod control;
pub(crate) mod endpoint;
mod error;
mod follow;
mod freshness;
mod inlet;
mod intake;
pub(crate) mod pace;
pub(crate) mod patience;
mod receiver;
mod reports;
mod sender;
mod stats;
mod tcp;

pub use self::{
    control::Report,
    error::StreamError,
    receiver::{Receiver, ReceiverConfig},
    sender::{Sender, SenderConfig, SenderStats},
    stats::{Event, Meter, Stats, StatsHandle},
    tcp::{Link, TcpReceiver, TcpReceiverConfig, TcpSender, TcpSenderConfig, TcpSenderStats},
};
