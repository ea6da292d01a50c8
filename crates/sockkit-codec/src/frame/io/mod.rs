//! Frames over a stream: the loops that move the bytes.

mod reader;
mod writer;

pub use self::{reader::FrameReader, writer::FrameWriter};
