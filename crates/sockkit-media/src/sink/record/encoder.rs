//! Encodes pictures for the file.

use std::io;

use bytes::Bytes;
use shiguredo_mp4::boxes::SampleEntry;

#[cfg(feature = "h264")]
use super::h264::{self, H264};
use super::{Codec, RecordError, RecorderConfig, boxes, boxes::SampleKind};
use crate::picture::{Picture, PictureError, Turn, jpeg};

/// The encoder of one recording.
pub(super) enum Encoder {
    MotionJpeg {
        quality: u8,
    },
    #[cfg(feature = "h264")]
    H264(Box<H264>),
}

/// One picture, encoded for the file.
pub(super) struct Encoded {
    pub(super) data: Bytes,
    pub(super) kind: SampleKind,
}

/// Position of a picture in its fragment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FragmentPosition {
    /// It must be a keyframe, so that a player can start at the fragment.
    First,
    Later,
}

impl Encoder {
    pub(super) fn new(config: &RecorderConfig) -> Self {
        match config.codec {
            Codec::MotionJpeg => Self::MotionJpeg {
                quality: config.jpeg_quality,
            },
            #[cfg(feature = "h264")]
            Codec::H264(settings) => Self::H264(Box::new(H264::new(settings, config.timing))),
        }
    }

    /// Converts the picture to the form that [`encode`](Self::encode) takes.
    pub(super) fn prepare(&self, frame: &Picture) -> Result<Picture, PictureError> {
        match self {
            // Players do not look for an orientation in each picture.
            Self::MotionJpeg { quality } => match frame.turn() {
                Turn::NONE => jpeg::encode(frame, *quality),
                _ => jpeg::encode(&frame.to_rgb()?, *quality),
            },
            #[cfg(feature = "h264")]
            Self::H264(_) => frame.convert(crate::picture::PixelFormat::I420),
        }
    }

    /// Compresses a prepared picture; call it in display order.
    #[cfg_attr(
        not(feature = "h264"),
        expect(clippy::needless_pass_by_ref_mut, reason = "h264 remembers pictures")
    )]
    pub(super) fn encode(
        &mut self,
        frame: &Picture,
        place: FragmentPosition,
    ) -> io::Result<Encoded> {
        match self {
            Self::MotionJpeg { .. } => {
                // Each is a keyframe, at any position.
                let _ = place;
                Ok(Encoded {
                    data: frame.data().clone(),
                    kind: SampleKind::Keyframe,
                })
            }
            #[cfg(feature = "h264")]
            Self::H264(encoder) => encoder.encode(frame, place),
        }
    }

    /// The description of the track, known when the first picture is encoded.
    pub(super) fn sample_entry(&self, width_px: u16, height_px: u16) -> io::Result<SampleEntry> {
        match self {
            Self::MotionJpeg { .. } => boxes::motion_jpeg(width_px, height_px),
            #[cfg(feature = "h264")]
            Self::H264(encoder) => encoder.sample_entry(),
        }
    }
}

/// Rejects a picture that the codec does not support.
pub(super) fn check_size(codec: &Codec, frame: &Picture) -> Result<(), RecordError> {
    match codec {
        // It supports every picture size.
        Codec::MotionJpeg => {
            let _ = frame;
            Ok(())
        }
        #[cfg(feature = "h264")]
        Codec::H264(_) => h264::check_size(frame.width_px(), frame.height_px()),
    }
}
