//! Errors of sources.

use std::path::PathBuf;

#[cfg(feature = "camera")]
use super::camera::CameraError;
use super::{ClipError, SourceSpec};
use crate::picture::PictureError;

/// Error from opening a source or taking a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The requested rate is out of range.
    #[error("{rate_hz} pictures a second: the rate must be above 0 and at most {limit_hz}")]
    BadRate {
        /// Requested rate, in pictures a second.
        rate_hz: f64,
        /// The maximum.
        limit_hz: f64,
    },
    /// The test pattern's stamp does not fit.
    #[error(
        "a pattern of {width_px}x{height_px} px has no room for its stamp of {needed_width_px}x{needed_height_px}"
    )]
    PatternTooSmall {
        /// Requested width, in pixels.
        width_px: u32,
        /// Requested height, in pixels.
        height_px: u32,
        /// Minimum width.
        needed_width_px: u32,
        /// Minimum height.
        needed_height_px: u32,
    },
    /// A file name with an unknown extension, or a source whose feature is not
    /// enabled.
    #[error(
        "cannot open {spec}: known are camera, camera:N, /dev/videoN, pattern, clip, \
         and files ending in mjpeg, mjpg, y4m, mp4, jpg, jpeg, png"
    )]
    Unknown {
        /// The requested source.
        spec: SourceSpec,
    },
    /// The picture does not match its own description.
    #[error("source gave a bad picture")]
    Picture(#[from] PictureError),
    /// The clip or still image cannot be shown.
    #[error("cannot show {}", path.display())]
    Clip {
        /// The file.
        path: PathBuf,
        /// The error.
        source: ClipError,
    },
    /// The camera cannot be opened, or has failed for good.
    #[cfg(feature = "camera")]
    #[error(transparent)]
    Camera(#[from] CameraError),
}
