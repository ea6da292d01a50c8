//! Pictures: pixel formats, conversion, JPEG.
//!
//! Pure: nothing here opens, waits, or reads a clock. A [`VideoFrame`] carries
//! the [`Timestamp`] its capturer gave it.

mod convert;
mod error;
mod format;
mod frame;
mod header;
#[cfg(test)]
mod hostile;
pub mod jpeg;
mod resize;
mod timestamp;

pub use self::{
    error::PictureError,
    format::PixelFormat,
    frame::VideoFrame,
    header::{MessageError, PictureHeader},
    timestamp::Timestamp,
};
