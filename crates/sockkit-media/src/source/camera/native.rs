//! Cameras of macOS and Windows, by nokhwa's own inputs.
//!
//! Checked by the compiler for Windows alone, and run by nobody yet.

use std::time::{Duration, SystemTime};

use nokhwa::{
    Camera, NokhwaError,
    utils::{
        ApiBackend, CameraFormat as NokhwaFormat, CameraInfo as NokhwaInfo, FrameFormat,
        RequestedFormat, RequestedFormatType,
    },
};

use super::{
    CameraConfig, CameraError, CameraFormat, CameraId, CameraInfo, SignalLoss,
    device::{Beside, Device, Identity, Told},
    format::choose,
};
use crate::picture::PixelFormat;

pub(super) fn list() -> Vec<CameraInfo> {
    (0..)
        .zip(cameras())
        .map(|(index, info)| {
            let id = CameraId::Index(index);
            let offers = opened(&id, &info).and_then(|mut camera| offers(&id, &mut camera));
            let (formats, problem) = match offers {
                Ok(formats) => (formats, None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            CameraInfo {
                index,
                name: info.human_name(),
                path: None,
                formats,
                problem,
            }
        })
        .collect()
}

/// Opens a camera and starts it.
pub(super) fn open(id: &CameraId, config: &CameraConfig) -> Result<Device, CameraError> {
    let cameras = cameras();
    let known = cameras.len();
    let place = match id {
        CameraId::Index(index) => usize::try_from(*index).unwrap_or(usize::MAX),
        CameraId::Path(_) => usize::MAX,
    };
    let info = cameras
        .into_iter()
        .nth(place)
        .ok_or_else(|| CameraError::NotFound {
            camera: id.clone(),
            known,
        })?;
    open_found(id, &info, config)
}

/// Opens the same camera again, wherever it is in the list now.
pub(super) fn reopen(
    id: &CameraId,
    identity: &Identity,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    let info = cameras()
        .into_iter()
        .find(|info| identity_of(info) == *identity)
        .ok_or_else(|| CameraError::NoSignal {
            camera: id.clone(),
            reason: SignalLoss::Unplugged,
        })?;
    open_found(id, &info, config)
}

fn open_found(
    id: &CameraId,
    info: &NokhwaInfo,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    let mut camera = opened(id, info)?;
    let offers = offers(id, &mut camera)?;
    let format = choose(&offers, config.wish())
        .ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
    let name =
        name_of(format.pixels).ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
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
        beside: Box::new(Clock { id: id.clone() }),
        identity: identity_of(info),
        format,
        stride_bytes: format.pixels.row_bytes(format.width_px),
    })
}

fn cameras() -> Vec<NokhwaInfo> {
    nokhwa::query(ApiBackend::Auto).unwrap_or_default()
}

fn identity_of(info: &NokhwaInfo) -> Identity {
    Identity {
        name: info.human_name(),
        port: info.misc(),
    }
}

fn opened(id: &CameraId, info: &NokhwaInfo) -> Result<Camera, CameraError> {
    Camera::new(
        info.index().clone(),
        RequestedFormat::with_formats(RequestedFormatType::None, &NAMES.map(|(name, _)| name)),
    )
    .map_err(|error| failed(id, error))
}

fn offers(id: &CameraId, camera: &mut Camera) -> Result<Vec<CameraFormat>, CameraError> {
    let formats = camera
        .compatible_camera_formats()
        .map_err(|error| failed(id, error))?;
    let mut offers: Vec<CameraFormat> = formats
        .iter()
        .filter_map(|format| {
            let &(_, pixels) = NAMES.iter().find(|(name, _)| *name == format.format())?;
            Some(CameraFormat {
                pixels,
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

/// These inputs tell neither time nor number, and block until there is a picture.
struct Clock {
    id: CameraId,
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
        }
    }

    fn failure(&mut self, error: NokhwaError) -> CameraError {
        failed(&self.id, error)
    }
}

fn name_of(pixels: PixelFormat) -> Option<FrameFormat> {
    let name = NAMES.iter().find(|(_, format)| *format == pixels);
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

const NAMES: [(FrameFormat, PixelFormat); 6] = [
    (FrameFormat::MJPEG, PixelFormat::Jpeg),
    (FrameFormat::NV12, PixelFormat::Nv12),
    (FrameFormat::YUYV, PixelFormat::Yuyv),
    (FrameFormat::RAWBGR, PixelFormat::Bgr),
    (FrameFormat::RAWRGB, PixelFormat::Rgb),
    (FrameFormat::GRAY, PixelFormat::Gray),
];
