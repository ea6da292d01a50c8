//! Frames on a byte stream: a length, then that many bytes; or lines.
//!
//! TCP hands over bytes, not messages: one `recv` may bring half a message or
//! three. A frame puts the border back.
//!
//! | type | what it is for |
//! | --- | --- |
//! | [`FrameReader`], [`FrameWriter`] | whole frames over any stream, large ones without a copy |
//! | [`LengthPrefixed`] | the same bytes as a [tokio-util codec], for `Framed` |
//! | [`Lines`] | text lines with a limit, as a codec |
//!
//! All of them compare a length with [`FrameConfig`]'s limit before they
//! reserve anything, and reserve in step with the bytes that came, never with
//! the length that was announced.
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
