//! An open camera, through nokhwa.

use std::time::Duration;

use bytes::Bytes;
use nokhwa::Camera;

use super::{CameraError, CameraFormat};
use crate::picture::Timestamp;

/// What nokhwa's frames lack, and how to wait for one.
pub(super) trait Beside {
    /// Waits for a picture; returns `false` if there is none yet.
    fn wait(&mut self, timeout: Duration) -> Result<bool, CameraError>;

    /// Metadata of the picture that nokhwa has just returned.
    fn told(&mut self) -> Told;

    /// The error behind nokhwa's failure.
    fn failure(&mut self, error: nokhwa::NokhwaError) -> CameraError;
}

/// Metadata of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) captured: Timestamp,
    pub(super) sequence: Option<u32>,
    /// The driver reports that the data is damaged.
    pub(super) is_broken: bool,
    /// Length of the picture in the buffer, if it is shorter.
    pub(super) picture_bytes: Option<usize>,
}

/// A picture as returned by the driver.
#[derive(Debug)]
pub(super) struct RawCapture {
    pub(super) format: CameraFormat,
    pub(super) stride_bytes: usize,
    pub(super) captured: Timestamp,
    pub(super) sequence: Option<u32>,
    pub(super) data: Bytes,
}

/// Identifies a camera when it returns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    /// Its name.
    pub(super) name: String,
    /// The port where it is plugged in; empty if unknown.
    pub(super) port: String,
}

/// An open camera that has been started. Used by one thread.
pub(super) struct Device {
    pub(super) camera: Camera,
    pub(super) beside: Box<dyn Beside>,
    pub(super) identity: Identity,
    pub(super) format: CameraFormat,
    pub(super) stride_bytes: usize,
}

impl Device {
    pub(super) const fn format(&self) -> CameraFormat {
        self.format
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the next picture; `None` if there is none within `timeout`, or
    /// it is damaged.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Option<RawCapture>, CameraError> {
        if !self.beside.wait(timeout)? {
            return Ok(None);
        }
        let mut data = match self.camera.frame_raw() {
            Ok(data) => Bytes::from(data.into_owned()),
            Err(error) => return Err(self.beside.failure(error)),
        };
        let told = self.beside.told();
        data.truncate(told.picture_bytes.unwrap_or(usize::MAX));
        Ok((!told.is_broken).then(|| RawCapture {
            format: self.format,
            stride_bytes: self.stride_bytes,
            captured: told.captured,
            sequence: told.sequence,
            data,
        }))
    }
}
