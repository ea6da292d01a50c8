//! An async networking toolkit on tokio: sockets set up right, messages
//! framed right, files and live video moved fast.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::{
//!     frame::{FrameReader, FrameWriter},
//!     server::{Server, ServerConfig},
//!     tcp::{Listener, connect},
//! };
//!
//! // Whole messages come back, to as many clients as the limits allow.
//! let listener = Listener::bind("127.0.0.1:0".parse()?)?;
//! let server = Server::start(listener, ServerConfig::default(), async |stream, _peer| {
//!     let (reader, writer) = tokio::io::split(stream);
//!     let (mut reader, mut writer) = (FrameReader::new(reader), FrameWriter::new(writer));
//!     while let Some(message) = reader.recv().await? {
//!         writer.send(message).await?;
//!     }
//!     Ok(())
//! })?;
//!
//! let (reader, writer) = tokio::io::split(connect(server.local_addr()).await?);
//! FrameWriter::new(writer).send("hello".into()).await?;
//! assert_eq!(FrameReader::new(reader).recv().await?.as_deref(), Some(&b"hello"[..]));
//! # server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate is a facade: everything is defined in `sockkit-core` and the
//! crates above it, and named here. Without features it is sockets; `codec`, the
//! default, adds messages.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(unix)]
pub use sockkit_core::activation;
pub use sockkit_core::{BindError, broadcast, interfaces, multicast, options, server, tcp, udp};
#[cfg(feature = "quic")]
pub use sockkit_link::quic;
#[cfg(feature = "tls")]
pub use sockkit_link::tls;

pub mod link {
    //! How two machines reach each other, whatever the transport: an address is
    //! read, a node dials it or listens there, and a connection comes of it; a channel
    //! carries messages.
    //!
    //! The transports themselves are beside one another at the root:
    //! [`tcp`](crate::tcp), [`udp`](crate::udp), and with their features `quic`
    //! and `tls`.

    #[cfg(feature = "codec")]
    pub use sockkit_link::channel;
    #[cfg(feature = "sealing")]
    pub use sockkit_link::sealing;
    pub use sockkit_link::{
        Acceptor, Address, AddressDefaults, AddressError, Connection, DialError, FailedBy, Handle,
        Host, ListenError, Node, NotEncrypted, ResolveError, Scheme, SchemeError,
    };
}

#[cfg(feature = "codec")]
pub use sockkit_codec::{frame, pack, shard, text};

#[cfg(feature = "file")]
#[doc(inline)]
pub use sockkit_file as file;

#[cfg(feature = "media")]
pub use sockkit_media::{encode, latest, picture, sink, source, stream};

#[cfg(feature = "course")]
#[doc(inline)]
pub use sockkit_course as course;

#[cfg(feature = "testing")]
#[doc(inline)]
pub use sockkit_testing as testing;

/// The README's example compiles.
#[cfg(all(doctest, feature = "web"))]
#[doc = include_str!("../README.md")]
struct Readme;
