//! Why a recording failed.

use std::{io, path::PathBuf};

use crate::picture::PictureError;

/// Why a recording cannot begin, go on or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The caller asked for a rate that no recording can have.
    #[error("{rate_hz} pictures a second: the rate must be from {least_hz} to {limit_hz}")]
    BadRate {
        /// The rate asked for, in pictures a second.
        rate_hz: f64,
        /// The lowest rate allowed.
        least_hz: f64,
        /// The highest rate allowed.
        limit_hz: f64,
    },
    /// The caller asked for more or fewer bits than the encoder can do.
    #[cfg(feature = "h264")]
    #[error("{bitrate_bps} bits a second: must be from {least_bps} to {limit_bps}")]
    BadBitrate {
        /// The bit rate asked for, in bits a second.
        bitrate_bps: u32,
        /// The lowest allowed.
        least_bps: u32,
        /// The highest allowed.
        limit_bps: u32,
    },
    /// The encoder cannot do pictures of this size; others may be recorded.
    #[cfg(feature = "h264")]
    #[error(
        "picture of {width_px}x{height_px} px: h264 takes even sides from 16 px up to 3840x2160"
    )]
    H264Size {
        /// Width of the picture, in pixels.
        width_px: u32,
        /// Height of the picture, in pixels.
        height_px: u32,
    },
    /// Nothing was written. `NAME.part` is what a killed recording of `NAME` left.
    #[error(
        "{} is there already: move it away, or choose another name", path.display()
    )]
    Exists {
        /// The file that is there.
        path: PathBuf,
    },
    /// The file cannot be made: nothing was written.
    #[error("cannot record to {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The disk took no more: what was written before, all but the last second,
    /// is in the file and plays.
    #[error("cannot go on recording to {}, which plays up to here", path.display())]
    Write {
        /// The file; `NAME.part` if it was to replace an old one.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The picture was not recorded; others may be.
    #[error("picture {number} cannot be recorded")]
    Picture {
        /// The picture's number.
        number: u64,
        /// What is wrong with it.
        #[source]
        source: PictureError,
    },
    /// A recording has one size. The picture was not recorded; others may be.
    #[error(
        "picture of {width_px}x{height_px} px in a recording of {recorded_width_px}x{recorded_height_px}"
    )]
    SizeChanged {
        /// Width of this picture, in pixels.
        width_px: u32,
        /// Height of this picture, in pixels.
        height_px: u32,
        /// Width of the recording, in pixels.
        recorded_width_px: u32,
        /// Height of the recording, in pixels.
        recorded_height_px: u32,
    },
    /// The disk took nothing for 10 s, or does not finish after a minute.
    #[error("disk of {} does not answer", path.display())]
    Stalled {
        /// The file.
        path: PathBuf,
    },
    /// The recording has failed before.
    #[error("recording to {} has ended after an error", path.display())]
    Ended {
        /// The file.
        path: PathBuf,
    },
}
