//! Why there is no picture.

use std::path::PathBuf;

#[cfg(feature = "camera")]
use super::camera::CameraError;
use super::{ClipError, SourceSpec};
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
    /// A file whose name's ending says nothing, or a source that was not built in.
    #[error(
        "cannot open {spec}: known are camera, camera:N, /dev/videoN, pattern, clip, \
         and files ending in mjpeg, mjpg, y4m, mp4, jpg, jpeg, png"
    )]
    Unknown {
        /// What was asked for.
        spec: SourceSpec,
    },
    /// The picture does not fit its own description.
    #[error("source gave a bad picture")]
    Picture(#[from] PictureError),
    /// The clip or still image cannot be shown.
    #[error("cannot show {}", path.display())]
    Clip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ClipError,
    },
    /// The camera does not open, or failed for good.
    #[cfg(feature = "camera")]
    #[error(transparent)]
    Camera(#[from] CameraError),
}
