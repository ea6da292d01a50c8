//! Sends and receives over a stream: the session driven by real bytes.
//!
//! [`send`](send()) and [`receive`](receive()) first hold the conversation up
//! to the receiver's answer on the async side, then hand the session to a
//! worker thread and pump bytes between it and the stream.

mod handshake;
mod io_loop;
mod progress;
mod queue;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod turn_away;

pub use self::{
    io_loop::TransferIoError,
    progress::{FileOutcome, FileSummary, OnProgress, Progress, Summary},
    queue::{Arrival, FailedHandshake, Queue, QueuePermit, QueuedPeer, Turn},
    receive::{FileSink, Offer, ReceiveConfig, ReceiveError, receive},
    send::{FileSource, Outgoing, SendConfig, SendError, SourceFile, greet, send},
    turn_away::turn_away,
};
