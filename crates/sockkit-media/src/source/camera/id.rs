//! Identifiers of cameras.

use std::{fmt, path::PathBuf};

/// Identifies a camera.
///
/// A number is an index in [`list`](super::list()); a path is a Linux device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CameraId {
    /// The camera at this index of the list, from 0.
    Index(u32),
    /// The camera with this device, such as `/dev/video2`.
    Path(PathBuf),
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "camera {index}"),
            Self::Path(path) => write!(f, "camera {}", path.display()),
        }
    }
}
