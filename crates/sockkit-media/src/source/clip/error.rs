//! What is wrong with a clip or a still image.

use std::{error::Error, io};

use crate::picture::PictureError;

/// Why a clip or a still image cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The file cannot be opened or read.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// A picture in the clip is broken.
    #[error("holds a bad picture")]
    Picture(#[from] PictureError),
    /// There is no picture in it.
    #[error("holds no picture")]
    Empty,
    /// Reading took longer than 10 s.
    #[error("gives no bytes")]
    Stalled,
    /// The clip has failed before.
    #[error("has ended after an error")]
    Ended,
    /// The first line is not a Y4M header, or lacks a field.
    #[error("is no y4m file: bad header field at byte {offset}")]
    Y4mHeader {
        /// Where in the file, in bytes.
        offset: usize,
    },
    /// Y4M with colours that are not 4:2:0 or gray, 8 bits a sample.
    #[error("is y4m with colours other than 4:2:0 or gray; convert it with -pix_fmt yuv420p")]
    Y4mColours,
    /// A Y4M picture does not begin with its mark.
    #[error("has a bad mark before picture {number}")]
    Y4mMark {
        /// Which picture, from 0.
        number: u64,
    },
    /// The PNG image does not decode.
    #[error("is no sound png image")]
    Png(#[source] Box<dyn Error + Send + Sync>),
    /// The boxes of an MP4 file do not fit together.
    #[error("is no sound mp4 file")]
    Mp4(#[source] Box<dyn Error + Send + Sync>),
    /// A box or picture of an MP4 file passes a limit.
    #[error("announces {announced} where at most {limit} is allowed")]
    Mp4TooLarge {
        /// The number in the file.
        announced: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The MP4 file's pictures are of another codec.
    #[error("holds video other than motion jpeg; convert it with ffmpeg -c:v mjpeg")]
    NotMotionJpeg,
    /// The MP4 file's pictures are H.264, and this build has no decoder for it.
    #[error(
        "holds h264, which needs the feature of that name: rebuild with --features h264, \
         or convert the clip with ffmpeg -c:v mjpeg"
    )]
    NoH264,
    /// H.264 with colours other than 4:2:0, 8 bits a sample.
    #[cfg(feature = "h264")]
    #[error("is h264 with colours other than 4:2:0; convert it with ffmpeg -pix_fmt yuv420p")]
    H264Colours,
    /// The H.264 does not decode.
    #[cfg(feature = "h264")]
    #[error("holds h264 that does not decode at picture {number}")]
    H264 {
        /// Which picture of the file, from 0.
        number: u64,
        /// What the decoder said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
