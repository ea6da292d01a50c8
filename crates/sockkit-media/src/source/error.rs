//! Why there is no picture.

use std::{io, path::PathBuf};

use super::SourceSpec;
use crate::picture::PictureError;

/// Why a source does not open or gives no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The caller asked for a rate that no clock can keep.
    #[error("{rate_hz} pictures a second: the rate must be above 0 and at most {limit_hz}")]
    BadRate {
        /// The rate asked for, in pictures a second.
        rate_hz: f64,
        /// The highest rate allowed.
        limit_hz: f64,
    },
    /// The test pattern's stamp needs more room.
    #[error(
        "a pattern of {width_px}x{height_px} px has no room for its stamp of {needed_width_px}x{needed_height_px}"
    )]
    PatternTooSmall {
        /// Width asked for, in pixels.
        width_px: u32,
        /// Height asked for, in pixels.
        height_px: u32,
        /// The least width.
        needed_width_px: u32,
        /// The least height.
        needed_height_px: u32,
    },
    /// No source of that kind, or none that was built in.
    #[error("no source for {spec}")]
    Unknown {
        /// What was asked for.
        spec: SourceSpec,
    },
    /// The picture does not fit its own description.
    #[error("source gave a bad picture")]
    Picture(#[from] PictureError),
    /// The file cannot be opened or read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}
