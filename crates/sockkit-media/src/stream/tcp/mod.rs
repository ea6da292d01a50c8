//! Pictures over framed TCP: one listens and shows, many dial and watch.
//!
//! What crosses the wire is written in `docs/wire/video.md`.

mod backoff;
mod config;
mod conversation;
mod flushed;
mod message;
mod receiver;
mod sender;
mod viewers;

pub use self::{
    config::{TcpReceiverConfig, TcpSenderConfig},
    receiver::{Link, TcpReceiver},
    sender::{TcpSender, TcpSenderStats},
};
