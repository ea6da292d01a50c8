//! Errors of recordings.

use std::{io, path::PathBuf};

use crate::picture::PictureError;

/// Error from starting, continuing or finishing a recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The requested rate is out of range.
    #[error("{rate_hz} pictures a second: the rate must be from {least_hz} to {limit_hz}")]
    BadRate {
        /// Requested rate, in pictures a second.
        rate_hz: f64,
        /// The minimum.
        least_hz: f64,
        /// The maximum.
        limit_hz: f64,
    },
    /// The requested bit rate is out of range.
    #[cfg(feature = "h264")]
    #[error("{bitrate_bps} bits a second: must be from {least_bps} to {limit_bps}")]
    BadBitrate {
        /// Requested bit rate, in bits a second.
        bitrate_bps: u32,
        /// The minimum.
        least_bps: u32,
        /// The maximum.
        limit_bps: u32,
    },
    /// The encoder does not support this size; other pictures can be recorded.
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
    /// The file exists; nothing was written. `NAME.part` is left by an
    /// interrupted recording of `NAME`.
    #[error(
        "{} already exists: move it away, or choose another name", path.display()
    )]
    Exists {
        /// The existing file.
        path: PathBuf,
    },
    /// The file cannot be created; nothing was written.
    #[error("cannot record to {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Error from the operating system.
        #[source]
        source: io::Error,
    },
    /// Writing failed. The file contains everything except the last second, and
    /// plays.
    #[error("cannot continue recording to {}, which plays up to this point", path.display())]
    Write {
        /// The file; `NAME.part` if it was to replace an existing one.
        path: PathBuf,
        /// Error from the operating system.
        #[source]
        source: io::Error,
    },
    /// The picture was not recorded; others can be.
    #[error("picture {number} cannot be recorded")]
    Picture {
        /// The picture's number.
        number: u64,
        /// The error.
        #[source]
        source: PictureError,
    },
    /// The pictures changed their size so often that no more files are begun. Those of
    /// the last file's size are still recorded.
    #[error("pictures of more than {limit} sizes, one after the other")]
    TooManySizes {
        /// The most files of one recording.
        limit: u64,
    },
    /// The disk accepted no data for 10 s, or does not finish within a minute.
    #[error("disk of {} does not respond", path.display())]
    Stalled {
        /// The file.
        path: PathBuf,
    },
    /// The recording has already failed.
    #[error("recording to {} has ended after an error", path.display())]
    Ended {
        /// The file.
        path: PathBuf,
    },
}
