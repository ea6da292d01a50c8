//! A reliable stream over UDP: QUIC, by quinn.
//!
//! A link that loses packets, such as crowded Wi-Fi, loses nothing of what a
//! [`Connection`] carries. It reads and writes as a TCP connection does, so
//! whatever runs over a tokio stream runs over it.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_link::*; }
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::quic::{Listener, connect};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
//! let mut client = connect(listener.local_addr()?).await?;
//! // Two people can compare them: see below.
//! assert_eq!(client.fingerprint(), listener.fingerprint());
//!
//! // Whoever dialled speaks first.
//! client.write_all(b"hello").await?;
//! let (mut server, _peer) = listener.accept().await?;
//! let mut heard = [0; 5];
//! server.read_exact(&mut heard).await?;
//! assert_eq!(&heard, b"hello");
//!
//! server.write_all(b"good bye").await?;
//! // Returns when the other side has acknowledged all of it.
//! server.shutdown().await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert_eq!(answer, "good bye");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Encrypted, without authentication
//! Everything is encrypted (TLS 1.3), but the listener's certificate is made at
//! each start and signed by nobody, and the dialler has none. Who only listens
//! on the network reads nothing; who can put himself between the two can pose as
//! the listener. [`Fingerprint`] is for finding that out: it is the same on both
//! sides unless somebody sits between them. The listener never learns who
//! dialled. A [`Node`](crate::Node) with an identity proves both.
//!
//! # One stream
//! A connection has one bidirectional stream, which the dialler opens by
//! writing; the listener's [`accept`](Listener::accept) returns at its first
//! byte. There are no datagrams, and no other streams but those that carry the
//! messages of a [`Channel`](crate::channel::Channel).
//!
//! # When it ends
//! `shutdown` waits for the peer's acknowledgement. A connection that is dropped
//! says whether it was through: the peer of one that was not gets an error and
//! not an end. See [`Handle::closed`] for programs that end at once after.
//!
//! # Memory
//! Each side holds at most [`Config::window_bytes`] in each direction, and about
//! 3 MiB for its socket.

mod config;
mod connect;
mod connection;
mod error;
mod identity;
mod listener;
mod socket;

pub use self::{
    config::{Config, Congestion},
    connect::{connect, connect_with},
    connection::{Connection, Handle, Stats},
    error::ConnectError,
    listener::Listener,
};
use crate::Fingerprint;
pub(crate) use error::lost;

/// What is spoken over the stream unless [`Config::protocol`] says otherwise.
pub const PROTOCOL: &[u8] = b"sockkit/1";
