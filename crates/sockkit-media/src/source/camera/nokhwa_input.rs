//! A camera through nokhwa's own inputs: on macOS and Windows, and optionally
//! V4L2.

use std::time::{Duration, SystemTime};

use nokhwa::{
    Camera, NokhwaError,
    utils::{
        CameraFormat as NokhwaFormat, CameraIndex, FrameFormat, RequestedFormat,
        RequestedFormatType,
    },
};

use super::{
    CameraConfig, CameraError, CameraFormat, CameraId,
    device::{Beside, Device, Identity, Told},
    format::choose,
};
use crate::picture::{Encoding, PixelFormat};

/// Opens the camera with nokhwa's `index`, and starts it.
pub(super) fn open(
    id: &CameraId,
    index: &CameraIndex,
    identity: Identity,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    let mut camera = opened(id, index)?;
    let offers = offers(id, &mut camera)?;
    let format = choose(&offers, config.wish())
        .ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
    let name =
        name_of(format.encoding).ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
    let wanted = NokhwaFormat::new_from(
        format.width_px,
        format.height_px,
        name,
        whole_rate(format.rate_hz),
    );
    camera
        .set_camera_requset(RequestedFormat::with_formats(
            RequestedFormatType::Exact(wanted),
            &[name],
        ))
        .map_err(|error| failed(id, error))?;
    camera.open_stream().map_err(|error| failed(id, error))?;
    Ok(Device {
        camera,
        beside: Box::new(Clock {
            id: id.clone(),
            picture_bytes: picture_bytes(format),
        }),
        identity,
        format,
        stride_bytes: row_bytes(format),
    })
}

pub(super) fn opened(id: &CameraId, index: &CameraIndex) -> Result<Camera, CameraError> {
    Camera::new(
        index.clone(),
        RequestedFormat::with_formats(RequestedFormatType::None, &NAMES.map(|(name, _)| name)),
    )
    .map_err(|error| failed(id, error))
}

pub(super) fn offers(id: &CameraId, camera: &mut Camera) -> Result<Vec<CameraFormat>, CameraError> {
    let formats = camera
        .compatible_camera_formats()
        .map_err(|error| failed(id, error))?;
    let mut offers: Vec<CameraFormat> = formats
        .iter()
        .filter_map(|format| {
            let &(_, encoding) = NAMES.iter().find(|(name, _)| *name == format.format())?;
            Some(CameraFormat {
                encoding,
                width_px: format.width(),
                height_px: format.height(),
                rate_hz: f64::from(format.frame_rate()),
            })
        })
        .collect();
    offers.sort_by_key(|offer| (offer.width_px, offer.height_px));
    Ok(offers)
}

fn failed(id: &CameraId, source: NokhwaError) -> CameraError {
    CameraError::Failed {
        camera: id.clone(),
        source: source.into(),
    }
}

/// These inputs provide neither timestamps nor numbers, and block until there
/// is a picture.
struct Clock {
    id: CameraId,
    picture_bytes: Option<usize>,
}

impl Beside for Clock {
    fn wait(&mut self, _: Duration) -> Result<bool, CameraError> {
        Ok(true)
    }

    fn told(&mut self) -> Told {
        Told {
            captured: SystemTime::now().into(),
            sequence: None,
            is_broken: false,
            picture_bytes: self.picture_bytes,
        }
    }

    fn failure(&mut self, error: NokhwaError) -> CameraError {
        failed(&self.id, error)
    }
}

/// A buffer may be longer than its picture; a JPEG marks its own end.
fn picture_bytes(format: CameraFormat) -> Option<usize> {
    let pixels = format.encoding.pixel_format()?;
    let row = row_bytes(format);
    pixels
        .picture_bytes(format.width_px, format.height_px, row)
        .ok()
}

/// Length of a row of raw pixels, in bytes; 0 if compressed.
fn row_bytes(format: CameraFormat) -> usize {
    let pixels = format.encoding.pixel_format();
    pixels.map_or(0, |pixels| pixels.row_bytes(format.width_px))
}

fn name_of(encoding: Encoding) -> Option<FrameFormat> {
    let name = NAMES.iter().find(|(_, known)| *known == encoding);
    name.map(|&(name, _)| name)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was a whole number before"
)]
fn whole_rate(rate_hz: f64) -> u32 {
    rate_hz.round() as u32
}

const NAMES: [(FrameFormat, Encoding); 6] = [
    (FrameFormat::MJPEG, Encoding::Jpeg),
    (FrameFormat::NV12, Encoding::Raw(PixelFormat::Nv12)),
    (FrameFormat::YUYV, Encoding::Raw(PixelFormat::Yuyv)),
    (FrameFormat::RAWBGR, Encoding::Raw(PixelFormat::Bgr)),
    (FrameFormat::RAWRGB, Encoding::Raw(PixelFormat::Rgb)),
    (FrameFormat::GRAY, Encoding::Raw(PixelFormat::Gray)),
];
