//! Errors of clips and still images.

use std::{error::Error, io};

use crate::picture::PictureError;

/// Error from opening or playing a clip or a still image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The file cannot be opened or read.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// A picture in the clip is damaged, too large, or of a kind that is not decoded.
    #[error("contains a picture that cannot be shown")]
    Picture(#[from] PictureError),
    /// There is no picture in the file.
    #[error("contains no picture")]
    Empty,
    /// Reading took longer than 10 s.
    #[error("cannot be read in time")]
    Stalled,
    /// The clip has already failed.
    #[error("has ended after an error")]
    Ended,
    /// The first line is not a Y4M header, or lacks a field.
    #[error("is not a y4m file: bad header field at byte {offset}")]
    Y4mHeader {
        /// Position in the file, in bytes.
        offset: usize,
    },
    /// Y4M with more than 8 bits a sample, or alpha.
    #[error(
        "is y4m with colours {colours}, not 8 bits a sample without alpha; \
             convert it with ffmpeg -pix_fmt yuv420p"
    )]
    Y4mColours {
        /// Their name in the header, escaped.
        colours: String,
    },
    /// A Y4M picture does not start with its marker.
    #[error("has a bad marker before picture {number}")]
    Y4mMark {
        /// Which picture, from 0.
        number: u64,
    },
    /// The PNG image does not decode.
    #[error("is a damaged png image")]
    Png(#[source] Box<dyn Error + Send + Sync>),
    /// The boxes of an MP4 file are malformed.
    #[error("is a damaged mp4 file")]
    Mp4(#[source] Box<dyn Error + Send + Sync>),
    /// A box or a picture of an MP4 file exceeds a limit.
    #[error("contains the number {announced}, limit is {limit}")]
    Mp4TooLarge {
        /// The number in the file.
        announced: u64,
        /// The limit.
        limit: u64,
    },
    /// The fragments of an MP4 file use absolute offsets in a way that is not supported.
    #[error(
        "has fragments whose offsets count from the beginning of the file; \
         make it again with ffmpeg -c copy -movflags +default_base_moof"
    )]
    Mp4Offsets,
    /// The MP4 file uses another codec.
    #[error("contains video other than motion jpeg; convert it with ffmpeg -c:v mjpeg")]
    NotMotionJpeg,
    /// The MP4 file uses H.264, and the feature `h264` is not enabled.
    #[error(
        "contains h264, which needs the feature of that name: rebuild with --features h264, \
         or convert the clip with ffmpeg -c:v mjpeg"
    )]
    NoH264,
    /// H.264 with a chroma format other than 4:2:0, 8 bits a sample.
    #[cfg(feature = "h264")]
    #[error("is h264 with colours other than 4:2:0; convert it with ffmpeg -pix_fmt yuv420p")]
    H264Colours,
    /// The H.264 does not decode.
    #[cfg(feature = "h264")]
    #[error("contains h264 that does not decode at picture {number}")]
    H264 {
        /// Which picture of the file, from 0.
        number: u64,
        /// Error from the decoder.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
