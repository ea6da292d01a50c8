//! Pictures: payloads, pixel formats, conversion, JPEG.
//!
//! Pure: nothing here performs I/O or reads a clock. A [`Picture`] carries the
//! capture [`Timestamp`] set by its source.

mod convert;
mod error;
mod format;
mod header;
#[cfg(test)]
mod hostile;
pub mod jpeg;
mod payload;
mod resize;
mod shape;
mod timestamp;
mod turn;

pub(crate) use self::convert::{Planes, Range};
#[cfg(feature = "record")]
pub(crate) use self::turn::Turn;
pub use self::{
    error::PictureError,
    format::PixelFormat,
    header::{MessageError, PictureHeader},
    payload::{Encoding, Payload},
    shape::Picture,
    timestamp::Timestamp,
};
