//! Networking for programs on a local network, on tokio: correctly configured
//! sockets, message framing, verified file transfer and low-latency camera
//! video.
//!
//! A server that captures state and serves framed messages, and its client:
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//!
//! use sockkit::{
//!     frame::{FrameReader, FrameWriter},
//!     server::{Server, ServerConfig},
//!     tcp::{Listener, connect},
//! };
//!
//! let echoed = Arc::new(AtomicU64::new(0));
//! let counter = Arc::clone(&echoed);
//! let listener = Listener::bind("127.0.0.1:0".parse()?)?;
//! // The closure is called once per connection, so each future gets its own
//! // clone of the state. Without state, `async |stream, peer| { … }` will do.
//! let server = Server::start(listener, ServerConfig::default(), move |stream, _peer| {
//!     let counter = Arc::clone(&counter);
//!     async move {
//!         let (reader, writer) = tokio::io::split(stream);
//!         let (mut reader, mut writer) = (FrameReader::new(reader), FrameWriter::new(writer));
//!         while let Some(message) = reader.recv().await? {
//!             writer.send(message).await?;
//!             counter.fetch_add(1, Ordering::Relaxed);
//!         }
//!         Ok(())
//!     }
//! })?;
//!
//! let (reader, writer) = tokio::io::split(connect(server.local_addr()).await?);
//! FrameWriter::new(writer).send("hello".into()).await?;
//! assert_eq!(FrameReader::new(reader).recv().await?.as_deref(), Some(&b"hello"[..]));
//! server.shutdown().await;
//! assert_eq!(echoed.load(Ordering::Relaxed), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # By task
//!
//! | to | look at |
//! | --- | --- |
//! | set a socket option and read back its effective value | [`options`] |
//! | connect, over every address of a name, with a timeout | [`tcp::connect`], [`tcp::Connector`] |
//! | serve many clients, with limits and graceful shutdown | [`server::Server`], [`server::ServerConfig`] |
//! | keep state in a server, or wrap every connection | [`server::Handler`] |
//! | learn why a connection ended | [`tcp::End`] |
//! | send and receive datagrams, also in batches with offload | [`udp::UdpEndpoint`] |
//! | reach every host of the network, or the members of a group | [`broadcast::Broadcaster`], [`multicast::MulticastEndpoint`] |
//! | list the interfaces of this machine, and watch them | [`interfaces`] |
//! | choose the transport at run time: `tcp://`, `tls://`, `quic://` | [`link::Node`], [`link::Address`] |
//! | delimit messages in a byte stream | [`frame`](frame/index.html) |
//! | read and write the formats of Python's `struct` | [`pack`](pack/index.html) |
//! | send large messages as datagrams, with parity against loss | [`shard`](shard/index.html) |
//! | send messages over any transport | [`link::channel`](link/channel/index.html) |
//! | send files, verified and resumable | [`file`](file/index.html) |
//! | send files to many receivers at once | [`file::group`](file/group/index.html) |
//! | give files to a browser, or take them | [`file::web`](file/web/index.html) |
//! | encrypt a server | [`tls`](tls/index.html), [`quic`](quic/index.html) |
//! | authenticate both sides, by keys or by a code | [`link::pairing`](link/pairing/index.html), [`link::trust`](link/trust/index.html) |
//! | find a machine by name on the local network | [`link::discovery`](link/discovery/index.html) |
//! | encrypt datagrams with a shared key | [`link::sealing`](link/sealing/index.html) |
//! | display text from a peer safely | [`text`](text/index.html) |
//! | take over sockets from a service manager | [`activation`](activation/index.html) |
//! | send live pictures, and receive the newest | [`stream`](stream/index.html), [`latest`](latest/index.html) |
//! | open a camera, a clip or a test pattern | [`source`](source/index.html) |
//! | show pictures in a browser, a player or a window, or record them | [`sink`](sink/index.html) |
//! | segments of a JPEG | [`jpeg`](jpeg/index.html) |
//! | RTP packets with JPEG, and RTSP requests | [`rtp`](rtp/index.html), [`rtsp`](rtsp/index.html) |
//! | test over a lossy link, simulated or in a network namespace | [`testing`](testing/index.html) |
//!
//! The [book] explains each subject with a runnable program, and lists every
//! method of Python's `socket` beside its equivalent here.
//!
//! # Features
//!
//! Without features the crate is sockets, servers and links over TCP.
//!
//! | feature | adds |
//! | --- | --- |
//! | `codec` (default) | [`frame`](frame/index.html), [`pack`](pack/index.html), [`shard`](shard/index.html), [`jpeg`](jpeg/index.html), [`rtp`](rtp/index.html), [`rtsp`](rtsp/index.html), [`link::channel`](link/channel/index.html) |
//! | `file` | [`file`](file/index.html) |
//! | `group` | [`file::group`](file/group/index.html): a file to many receivers, by multicast |
//! | `tls` | [`tls`](tls/index.html), by rustls |
//! | `quic` | [`quic`](quic/index.html), by quinn |
//! | `pairing` | [`link::identity`](link/identity/index.html), [`link::pairing`](link/pairing/index.html), [`link::trust`](link/trust/index.html): mutual authentication |
//! | `sealing` | [`link::sealing`](link/sealing/index.html): datagrams sealed with a shared key, by ring |
//! | `discovery` | [`link::discovery`](link/discovery/index.html): names on the local network, by mdns-sd |
//! | `media` | [`picture`](picture/index.html), [`source`](source/index.html), [`stream`](stream/index.html), [`latest`](latest/index.html), [`encode`](encode/index.html) |
//! | `camera`, `record`, `rtp`, `web`, `window` | cameras, and [`sink`](sink/index.html)s of that name; each includes `media` |
//! | `file` with `web` | [`file::web`](file/web/index.html): files to and from a browser |
//! | `course` | [`course`](course/index.html): the formats of a socket course in Python |
//! | `full` | all of the above: everything that builds with Rust and a C linker |
//! | `zenoh` | `link::zenoh`: channels between networks, through the routers of zenoh; not part of `full`, because it doubles the build |
//! | `h264` | H.264 in recordings and clips; needs a C++ compiler and is not part of `full` |
//! | `testing` | [`testing`](testing/index.html): simulated links, network namespaces |
//!
//! # Types of other crates
//!
//! A new major version of these is one of this crate too: tokio 1 and bytes 1 everywhere; tokio-util 0.7
//! by its `Decoder` and `Encoder`, which [`frame`](frame/index.html) implements; rustls 0.23 and
//! tokio-rustls 0.26, which [`tls`](tls/index.html) re-exports; axum 0.8 with `web`.
//!
//! This crate is a facade: it re-exports `sockkit-core` and the crates above it.
//!
//! [book]: https://github.com/sockkit/sockkit/blob/main/docs/en/index.md

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(unix)]
pub use sockkit_core::activation;
/// For the command. Not part of the API.
#[cfg(windows)]
#[doc(hidden)]
pub use sockkit_core::console;
pub use sockkit_core::{BindError, broadcast, interfaces, multicast, options, server, tcp, udp};
#[cfg(feature = "quic")]
pub use sockkit_link::quic;
#[cfg(feature = "tls")]
pub use sockkit_link::tls;

pub mod link {
    //! Connections over a transport that is chosen at run time, by an address.
    //!
    //! A [`Node`] connects to an [`Address`] or listens at it, and yields
    //! [`Connection`]s; with the feature `codec`, a channel carries messages.
    //! The transports themselves are modules of the crate root:
    //! [`tcp`](crate::tcp), [`udp`](crate::udp), and with their features `quic`
    //! and `tls`. With the feature `pairing` a node authenticates itself and its peers;
    //! with `sealing` datagrams are encrypted with a shared key; with `discovery` machines
    //! are found by name; with `zenoh` messages cross networks, through its routers.

    #[cfg(feature = "codec")]
    pub use sockkit_link::channel;
    #[cfg(feature = "discovery")]
    pub use sockkit_link::discovery;
    #[cfg(feature = "sealing")]
    pub use sockkit_link::sealing;
    #[cfg(feature = "zenoh")]
    pub use sockkit_link::zenoh;
    pub use sockkit_link::{
        Acceptor, Address, AddressDefaults, AddressError, AddressPath, Connection, DialError,
        FailedBy, Handle, Host, ListenError, Node, NotEncrypted, PathError, ResolveError, Scheme,
        SchemeError,
    };
    #[cfg(feature = "quic")]
    pub use sockkit_link::{Fingerprint, FingerprintError};
    #[cfg(feature = "pairing")]
    pub use sockkit_link::{identity, pairing, trust};
}

#[cfg(feature = "codec")]
pub use sockkit_codec::{frame, jpeg, pack, rtp, rtsp, shard, text};

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
