//! Frames over a stream: the I/O loops.

mod reader;
mod writer;

pub use self::{reader::FrameReader, writer::FrameWriter};
