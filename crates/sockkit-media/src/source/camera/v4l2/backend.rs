//! A backend for nokhwa over V4L2, through nokhwa's extension point.

use std::{borrow::Cow, collections::HashMap};

use nokhwa::{
    Buffer, NokhwaError,
    camera_traits::CaptureBackendTrait,
    utils::{
        ApiBackend, CameraControl, CameraFormat as NokhwaFormat, CameraIndex, CameraInfo,
        ControlValueSetter, FrameFormat, KnownCameraControl, Resolution,
    },
};

use super::{CameraFormat, Identity, SharedStream};
use crate::picture::{Encoding, PixelFormat};

/// A configured and started camera.
///
/// Requests to reconfigure or restart it are rejected: this crate reopens the
/// camera instead.
pub(super) struct Backend {
    info: CameraInfo,
    format: CameraFormat,
    offers: Vec<CameraFormat>,
    stream: SharedStream,
}

impl Backend {
    pub(super) fn new(
        identity: &Identity,
        format: CameraFormat,
        offers: Vec<CameraFormat>,
        stream: SharedStream,
    ) -> Self {
        let index = CameraIndex::String(identity.port.clone());
        Self {
            info: CameraInfo::new(&identity.name, "Video4Linux", &identity.port, index),
            format,
            offers,
            stream,
        }
    }
}

impl CaptureBackendTrait for Backend {
    fn backend(&self) -> ApiBackend {
        ApiBackend::Video4Linux
    }

    fn camera_info(&self) -> &CameraInfo {
        &self.info
    }

    fn refresh_camera_format(&mut self) -> Result<(), NokhwaError> {
        Ok(())
    }

    fn camera_format(&self) -> NokhwaFormat {
        NokhwaFormat::new(self.resolution(), self.frame_format(), self.frame_rate())
    }

    fn set_camera_format(&mut self, _: NokhwaFormat) -> Result<(), NokhwaError> {
        Err(unsupported())
    }

    fn compatible_list_by_resolution(
        &mut self,
        fourcc: FrameFormat,
    ) -> Result<HashMap<Resolution, Vec<u32>>, NokhwaError> {
        let mut rates: HashMap<Resolution, Vec<u32>> = HashMap::new();
        for offer in &self.offers {
            if name_of(offer.encoding) == fourcc {
                rates
                    .entry(Resolution::new(offer.width_px, offer.height_px))
                    .or_default()
                    .push(whole_rate(offer.rate_hz));
            }
        }
        Ok(rates)
    }

    fn compatible_fourcc(&mut self) -> Result<Vec<FrameFormat>, NokhwaError> {
        let mut names: Vec<_> = self
            .offers
            .iter()
            .map(|offer| name_of(offer.encoding))
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn resolution(&self) -> Resolution {
        Resolution::new(self.format.width_px, self.format.height_px)
    }

    fn set_resolution(&mut self, _: Resolution) -> Result<(), NokhwaError> {
        Err(unsupported())
    }

    fn frame_rate(&self) -> u32 {
        whole_rate(self.format.rate_hz)
    }

    fn set_frame_rate(&mut self, _: u32) -> Result<(), NokhwaError> {
        Err(unsupported())
    }

    fn frame_format(&self) -> FrameFormat {
        name_of(self.format.encoding)
    }

    fn set_frame_format(&mut self, _: FrameFormat) -> Result<(), NokhwaError> {
        Err(unsupported())
    }

    fn camera_control(&self, _: KnownCameraControl) -> Result<CameraControl, NokhwaError> {
        Err(unsupported())
    }

    fn camera_controls(&self) -> Result<Vec<CameraControl>, NokhwaError> {
        Ok(Vec::new())
    }

    fn set_camera_control(
        &mut self,
        _: KnownCameraControl,
        _: ControlValueSetter,
    ) -> Result<(), NokhwaError> {
        Err(unsupported())
    }

    fn open_stream(&mut self) -> Result<(), NokhwaError> {
        Ok(())
    }

    fn is_stream_open(&self) -> bool {
        true
    }

    fn frame(&mut self) -> Result<Buffer, NokhwaError> {
        let data = self.stream.take()?;
        Ok(Buffer::new(self.resolution(), &data, self.frame_format()))
    }

    fn frame_raw(&mut self) -> Result<Cow<'_, [u8]>, NokhwaError> {
        self.stream.take().map(Cow::Owned)
    }

    /// Called by nokhwa when it drops the backend, and with it the stream,
    /// which then stops.
    fn stop_stream(&mut self) -> Result<(), NokhwaError> {
        Ok(())
    }
}

fn unsupported() -> NokhwaError {
    NokhwaError::UnsupportedOperationError(ApiBackend::Video4Linux)
}

/// nokhwa's name of an encoding. It has none for UYVY and I420, which are
/// handled here.
const fn name_of(encoding: Encoding) -> FrameFormat {
    let Encoding::Raw(pixels) = encoding else {
        // The only compressed encoding requested from cameras.
        return FrameFormat::MJPEG;
    };
    match pixels {
        PixelFormat::Yuyv | PixelFormat::Uyvy => FrameFormat::YUYV,
        PixelFormat::Nv12 | PixelFormat::I420 => FrameFormat::NV12,
        PixelFormat::Rgb => FrameFormat::RAWRGB,
        PixelFormat::Bgr => FrameFormat::RAWBGR,
        PixelFormat::Gray => FrameFormat::GRAY,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are above 0 and small; the cast saturates"
)]
fn whole_rate(rate_hz: f64) -> u32 {
    rate_hz.round() as u32
}
