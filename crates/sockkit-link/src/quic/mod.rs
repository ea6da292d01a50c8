//! A reliable stream over UDP: QUIC, by quinn.
//!
//! A [`Connection`] loses no data on a lossy link, such as crowded Wi-Fi. It
//! reads and writes like a TCP connection, so everything that uses a tokio
//! stream works over it.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_link::*; }
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::quic::{Listener, connect};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
//! let mut client = connect(listener.local_addr()?).await?;
//! // Two users can compare them: see below.
//! assert_eq!(client.fingerprint(), listener.fingerprint());
//!
//! // The dialler sends first.
//! client.write_all(b"hello").await?;
//! let (mut server, _peer) = listener.accept().await?;
//! let mut received = [0; 5];
//! server.read_exact(&mut received).await?;
//! assert_eq!(&received, b"hello");
//!
//! server.write_all(b"good bye").await?;
//! // Returns when the peer has acknowledged all of it.
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
//! Everything is encrypted (TLS 1.3), but the listener's certificate is created
//! at each start and self-signed, and the dialler has none. A passive listener
//! on the network reads nothing, but an active attacker can impersonate the
//! listener. Users can detect this by comparing the [`Fingerprint`], which is
//! the same on both sides unless there is an attacker in between. The listener
//! does not learn the dialler's identity. A [`Node`](crate::Node) with an
//! identity authenticates both.
//!
//! # One stream
//! A connection has one bidirectional stream, which the dialler opens by
//! writing; the listener's [`accept`](Listener::accept) returns when its first
//! byte arrives. There are no datagrams, and no other streams except those of
//! the messages of a [`Channel`](crate::channel::Channel).
//!
//! # When it ends
//! `shutdown` waits for the peer's acknowledgement. The peer of a connection
//! that is dropped before that gets an error instead of EOF. See
//! [`Handle::closed`] for programs that exit immediately afterwards.
//!
//! # Memory
//! Each side uses at most [`QuicConfig::window_bytes`] of memory in each
//! direction, and about 3 MiB for its socket.

mod bbr;
mod config;
mod connect;
mod connection;
mod error;
mod identity;
mod listener;
#[cfg(test)]
mod simulated;
mod socket;

pub use self::{
    config::{Congestion, QuicConfig},
    connect::{connect, connect_with},
    connection::{Connection, Handle, Stats},
    error::ConnectError,
    listener::Listener,
};
use crate::Fingerprint;
pub(crate) use error::lost;
#[cfg(feature = "pairing")]
pub(crate) use identity::NAME;

/// Name of the protocol spoken over the stream, unless [`QuicConfig::protocol`]
/// sets another.
pub const PROTOCOL: &[u8] = b"sockkit/1";
