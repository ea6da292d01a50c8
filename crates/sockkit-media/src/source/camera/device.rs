//! One open camera, through nokhwa.

use std::time::Duration;

use bytes::Bytes;
use nokhwa::Camera;

use super::{CameraError, CameraFormat};
use crate::picture::Timestamp;

/// What nokhwa's frame has no place for, and how long to wait for one.
pub(super) trait Beside {
    /// Waits for a picture; `false` if there is none yet.
    fn wait(&mut self, timeout: Duration) -> Result<bool, CameraError>;

    /// The picture that nokhwa just gave.
    fn told(&mut self) -> Told;

    /// What went wrong when nokhwa just failed.
    fn failure(&mut self, error: nokhwa::NokhwaError) -> CameraError;
}

/// What is known of a picture beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) captured: Timestamp,
    pub(super) sequence: Option<u32>,
    /// The driver says that the bytes are broken.
    pub(super) is_broken: bool,
    /// How much of the buffer is the picture, if not all of it.
    pub(super) picture_bytes: Option<usize>,
}

/// One picture as the driver gave it.
#[derive(Debug)]
pub(super) struct RawCapture {
    pub(super) format: CameraFormat,
    pub(super) stride_bytes: usize,
    pub(super) captured: Timestamp,
    pub(super) sequence: Option<u32>,
    pub(super) data: Bytes,
}

/// By what a camera is known again when it comes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    /// What it calls itself.
    pub(super) name: String,
    /// Where it is plugged in; empty if nobody knows.
    pub(super) port: String,
}

/// An open camera, started. Lives in one thread.
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

    /// The next picture; `None` if there is none within `timeout`, or it is broken.
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
