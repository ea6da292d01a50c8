//! From pictures to what a fragment holds of them.

use std::io;

use bytes::Bytes;
use shiguredo_mp4::boxes::SampleEntry;

#[cfg(feature = "h264")]
use super::h264::{self, H264};
use super::{Codec, RecordError, RecorderConfig, boxes, boxes::SampleKind};
use crate::picture::{Picture, PictureError, jpeg};

/// Compresses the pictures of one recording.
pub(super) enum Encoder {
    MotionJpeg {
        quality: u8,
    },
    #[cfg(feature = "h264")]
    H264(Box<H264>),
}

/// One picture as it is in the file.
pub(super) struct Encoded {
    pub(super) data: Bytes,
    pub(super) kind: SampleKind,
}

/// Where in its fragment a picture comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FragmentPosition {
    /// It must stand alone, so that a player can start with the fragment.
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

    /// The picture in the form that [`encode`](Self::encode) takes.
    pub(super) fn prepare(&self, frame: &Picture) -> Result<Picture, PictureError> {
        match self {
            Self::MotionJpeg { quality } => jpeg::encode(frame, *quality),
            #[cfg(feature = "h264")]
            Self::H264(_) => frame.convert(crate::picture::PixelFormat::I420),
        }
    }

    /// Compresses a prepared picture; in the order in which they are shown.
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
                // Each stands alone, wherever it comes.
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

    /// What the file says of its pictures; known once the first is encoded.
    pub(super) fn sample_entry(&self, width_px: u16, height_px: u16) -> io::Result<SampleEntry> {
        match self {
            Self::MotionJpeg { .. } => boxes::motion_jpeg(width_px, height_px),
            #[cfg(feature = "h264")]
            Self::H264(encoder) => encoder.sample_entry(),
        }
    }
}

/// Refuses a picture that the codec cannot hold.
pub(super) fn check_size(codec: &Codec, frame: &Picture) -> Result<(), RecordError> {
    match codec {
        // It takes whatever a frame can be.
        Codec::MotionJpeg => {
            let _ = frame;
            Ok(())
        }
        #[cfg(feature = "h264")]
        Codec::H264(_) => h264::check_size(frame.width_px(), frame.height_px()),
    }
}
