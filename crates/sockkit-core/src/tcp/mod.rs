//! TCP: listening, connecting, and why a connection ended.
//!
//! ```
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::time::Duration;
//! use sockkit::tcp::{End, Listener, connect};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
//! let mut client = connect(listener.local_addr()?).await?;
//! let (mut server, _peer) = listener.accept().await?;
//!
//! client.write_all(b"hello").await?;
//! // FIN: no more data from this side; the reply can still arrive.
//! client.shutdown().await?;
//! let mut received = String::new();
//! server.read_to_string(&mut received).await?;
//! assert_eq!(received, "hello");
//! assert_eq!(server.end(), Some(End::Finished));
//!
//! drop(server);
//! assert_eq!(client.close(Duration::from_secs(1)).await, End::Finished);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For a server with limits and graceful shutdown, pass the listener to
//! [`Server::start`](crate::server::Server::start).

mod connect;
mod connection;
mod deadline;
mod end;
mod listener;
#[cfg(target_os = "linux")]
mod sendfile;
mod unsent;

pub use self::{
    connect::{Attempt, ConnectError, Connector, connect},
    connection::{Connection, Counters},
    end::{End, Timeout},
    listener::{ListenConfig, Listener},
    unsent::unsent_below_lowat,
};

pub(crate) use self::unsent::poll_unsent_below_lowat;
