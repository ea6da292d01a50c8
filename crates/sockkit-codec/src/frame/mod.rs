//! Frames on a byte stream: length-prefixed, or lines.
//!
//! TCP delivers bytes, not messages: one `recv` may return half a message or
//! three. Frames restore the message boundaries.
//!
//! | type | what it is for |
//! | --- | --- |
//! | [`FrameReader`], [`FrameWriter`] | whole frames over any stream, large ones without a copy |
//! | [`LengthPrefixed`] | the same bytes as a [tokio-util codec], for `Framed` |
//! | [`Lines`] | text lines with a limit, as a codec |
//!
//! All of them compare a length with [`FrameConfig`]'s limit before they
//! reserve memory, and reserve in proportion to the bytes received, never to
//! the announced length.
//!
//! [tokio-util codec]: tokio_util::codec
//!
//! # Source
//! The layout on the wire is drawn in `docs/wire/frame.md`.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod config;
mod error;
mod inbound;
mod io;
mod length_prefixed;
mod lines;
mod outbound;

pub use self::{
    config::{FrameConfig, LengthOrder},
    error::{FrameReadError, FrameWriteError, LineReadError, LineWriteError},
    io::{FrameReader, FrameWriter},
    length_prefixed::LengthPrefixed,
    lines::Lines,
};
