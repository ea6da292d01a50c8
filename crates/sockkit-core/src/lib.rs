//! Sockets on tokio and socket2: typed socket options, TCP, UDP, broadcast,
//! multicast, network interfaces, and servers built from a handler.
//!
//! ```
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::{
//!     options::SocketOptions,
//!     tcp::{Connector, ListenConfig, Listener},
//! };
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! // Options are set before bind and connect, and an error names its option.
//! let options = SocketOptions::new().no_delay(true).receive_buffer_bytes(1 << 20);
//! let config = ListenConfig::default().options(options.clone()).backlog(16);
//! let listener = Listener::bind_with("127.0.0.1:0".parse()?, &config)?;
//!
//! let address = listener.local_addr()?;
//! let mut client = Connector::default().options(options).connect(address).await?;
//! let (mut server, _peer) = listener.accept().await?;
//! client.write_all(b"hello").await?;
//! let mut received = [0; 5];
//! server.read_exact(&mut received).await?;
//! println!("round trip {:?}", client.options()?.tcp_info()?.rtt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(unix)]
pub mod activation;
pub mod broadcast;
pub mod interfaces;
pub mod multicast;
pub mod options;
pub mod server;
pub mod tcp;
pub mod udp;

mod bind_error;
mod deadline;
#[doc(hidden)]
pub mod dial;
mod sys;

pub use bind_error::BindError;

/// The console, for the command. Not part of the API.
#[cfg(windows)]
#[doc(hidden)]
pub use sys::console;
/// Files in an open folder, for `sockkit-file`. Not part of the API.
#[cfg(windows)]
#[doc(hidden)]
pub use sys::directory;
/// Used by the network lab of `sockkit-testing`. Not part of the API.
#[cfg(all(feature = "testing", target_os = "linux"))]
#[doc(hidden)]
pub use sys::{namespace::enter_new_network_namespace, tap::open_tap};
