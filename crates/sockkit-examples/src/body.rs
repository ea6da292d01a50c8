//! What the course's TCP video sends after the length.

use anyhow::{Context, ensure};
use bytes::Bytes;
use sockkit::picture::{PixelFormat, VideoFrame, pickle};

/// How a picture is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Body {
    /// Compressed.
    Jpeg,
    /// The bytes of the array: rows from the top, blue, green, red.
    Raw,
    /// `pickle.dumps` of a numpy array, read without running anything.
    Pickle,
}

impl Body {
    /// Writes a picture.
    ///
    /// # Errors
    /// If it is a broken JPEG.
    pub fn encode(self, picture: &VideoFrame) -> anyhow::Result<Bytes> {
        Ok(match self {
            Self::Jpeg => picture.convert(PixelFormat::Jpeg)?.into_data(),
            Self::Raw => picture.convert(PixelFormat::Bgr)?.packed().into_data(),
            Self::Pickle => pickle::encode(picture)?.into(),
        })
    }

    /// Reads a picture; raw ones are so many pixels wide.
    ///
    /// # Errors
    /// If the bytes are no such picture.
    pub fn decode(self, body: Bytes, raw_width_px: u32) -> anyhow::Result<VideoFrame> {
        Ok(match self {
            Self::Jpeg => VideoFrame::from_jpeg(body)?,
            Self::Pickle => pickle::decode(&body)?,
            Self::Raw => {
                let row = (raw_width_px as usize)
                    .checked_mul(3)
                    .filter(|row| *row > 0)
                    .context("a width of that many pixels is none")?;
                ensure!(
                    body.len().is_multiple_of(row),
                    "{} bytes are no rows of {raw_width_px} pixels; --width tells their width",
                    body.len()
                );
                let height_px = u32::try_from(body.len() / row)?;
                VideoFrame::new(PixelFormat::Bgr, raw_width_px, height_px, body)?
            }
        })
    }
}
