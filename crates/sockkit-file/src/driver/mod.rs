//! Runs a session over a stream.
//!
//! [`send`](send()) and [`receive`](receive()) perform the handshake up to the
//! receiver's answer on the async side. Then they hand the session to a worker
//! thread, and an I/O loop moves bytes between it and the stream.

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
    turn_away::{refusal, turn_away},
};
#[cfg(feature = "web")]
pub(crate) use self::{progress::set_outcome, receive::disk};
