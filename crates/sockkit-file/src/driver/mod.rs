//! Sends and receives over a stream: the session driven by real bytes.
//!
//! [`send`](send()) and [`receive`](receive()) first hold the conversation up
//! to the receiver's answer on the async side, then hand the session to a
//! worker thread and pump bytes between it and the stream.

mod handshake;
mod progress;
mod pump;
mod queue;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod turn_away;

pub use self::{
    progress::{FileOutcome, FileSummary, OnProgress, Progress, Summary},
    pump::LinkError,
    queue::{Arrival, Failed, Peer, Place, Queue, Turn},
    receive::{FileSink, Incoming, ReceiveConfig, ReceiveError, receive},
    send::{FileSource, Outgoing, SendConfig, SendError, SourceFile, greet, send},
    turn_away::turn_away,
};
