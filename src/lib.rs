//! An async networking toolkit on tokio: sockets set up right, messages
//! framed right, files and live video moved fast.
//!
//! This crate is a facade: everything is defined in `sockkit-core`,
//! `sockkit-codec` and `sockkit-media` and named here.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(feature = "testing")]
pub use sockkit_core::testing;
pub use sockkit_core::{broadcast, interfaces, multicast, options, server, tcp, udp};

#[cfg(feature = "codec")]
pub use sockkit_codec::{file, frame, pack, shard};

#[cfg(feature = "media")]
pub use sockkit_media::{latest, picture, sink, source, stream};

/// The README's example compiles.
#[cfg(all(doctest, feature = "web"))]
#[doc = include_str!("../README.md")]
struct Readme;
