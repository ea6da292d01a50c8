//! H.264 encoding with OpenH264.
//!
//! Every fragment starts with a keyframe, so that a player can start there.
//! There are no B-frames: pictures are stored in display order.
//!
//! # Source
//! ITU-T H.264, Annex B for the encoder's byte stream; ISO/IEC 14496-15 for its
//! form in an MP4 file.

use std::io;

use openh264::{
    OpenH264API,
    encoder::{
        BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod,
        Profile, RateControlMode, VuiConfig,
    },
    formats::YUVSlices,
};
use shiguredo_mp4::{
    bitstream::h264::{
        H264NalUnitType, H264SampleEntryConfig, LengthSize, build_avc1_box, parse_annexb_nal_units,
    },
    boxes::SampleEntry,
};

use super::{
    RecordError, Timing,
    boxes::SampleKind,
    encoder::{Encoded, FragmentPosition},
};
use crate::picture::Picture;

/// Settings of the H.264 encoder.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::sink::record::{Codec, H264Config, RecorderConfig};
///
/// let small = H264Config::default().bitrate_bps(500_000);
/// let config = RecorderConfig::default().codec(Codec::H264(small));
/// ```
///
/// OpenH264 is by Cisco, under the BSD licence. The codec is patented: Cisco
/// pays for the binaries that it distributes itself, and this one is compiled
/// from source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "a config does nothing until a recorder is made with it"]
pub struct H264Config {
    bitrate_bps: Option<u32>,
}

impl H264Config {
    /// Bit rate. Default: a ninth of a bit per pixel, which is 1.0 Mbit/s at
    /// 640x480 and 3.1 Mbit/s at 1280x720.
    ///
    /// At 30 pictures a second, or at the rate of [`Timing::Constant`]: a
    /// camera at 15 a second needs half of it. A lower bit rate blurs moving
    /// objects.
    pub const fn bitrate_bps(mut self, bitrate_bps: u32) -> Self {
        self.bitrate_bps = Some(bitrate_bps);
        self
    }

    pub(super) fn check(&self) -> Result<(), RecordError> {
        match self.bitrate_bps {
            Some(bitrate_bps) if !(LEAST_BPS..=LIMIT_BPS).contains(&bitrate_bps) => {
                Err(RecordError::BadBitrate {
                    bitrate_bps,
                    least_bps: LEAST_BPS,
                    limit_bps: LIMIT_BPS,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The encoder of one recording.
pub(super) struct H264 {
    config: H264Config,
    rate_hz: f64,
    /// Created for the first picture, because it needs the size.
    encoder: Option<Encoder>,
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    encoded: u64,
}

impl H264 {
    pub(super) const fn new(config: H264Config, timing: Timing) -> Self {
        let rate_hz = match timing {
            Timing::AsCaptured => USUAL_RATE_HZ,
            Timing::Constant { rate_hz } => rate_hz.clamp(1.0, 60.0),
        };
        Self {
            config,
            rate_hz,
            encoder: None,
            sps: Vec::new(),
            pps: Vec::new(),
            encoded: 0,
        }
    }

    /// Compresses one I420 picture.
    pub(super) fn encode(
        &mut self,
        frame: &Picture,
        place: FragmentPosition,
    ) -> io::Result<Encoded> {
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => self.make_encoder(frame)?,
        };
        if place == FragmentPosition::First && self.encoded > 0 {
            encoder.force_intra_frame();
        }
        let planes = planes(frame);
        for attempt in 0..=PATIENCE {
            // A keyframe is never skipped.
            if attempt == PATIENCE {
                encoder.force_intra_frame();
            }
            let stream = encoder.encode(&planes).map_err(io::Error::other)?;
            let kind = match stream.frame_type() {
                FrameType::IDR => SampleKind::Keyframe,
                _ => SampleKind::Delta,
            };
            let data = self.take_units(&stream.to_vec())?;
            // A picture is skipped when the bit budget is exhausted. The
            // encoder counts a retry as passed time, and soon has bits again.
            if !data.is_empty() {
                self.encoder = Some(encoder);
                self.encoded += 1;
                return Ok(Encoded {
                    data: data.into(),
                    kind,
                });
            }
        }
        Err(io::Error::other("the encoder skipped a picture"))
    }

    pub(super) fn sample_entry(&self) -> io::Result<SampleEntry> {
        let config = H264SampleEntryConfig {
            length_size: LengthSize::FourBytes,
        };
        build_avc1_box(&self.sps, &self.pps, &config)
            .map(SampleEntry::Avc1)
            .map_err(io::Error::other)
    }

    /// Converts start codes to lengths. The parameter sets go into the file
    /// header.
    fn take_units(&mut self, stream: &[u8]) -> io::Result<Vec<u8>> {
        let mut data = Vec::with_capacity(stream.len());
        for unit in parse_annexb_nal_units(stream).map_err(io::Error::other)? {
            let set = match unit.nal_unit_type {
                H264NalUnitType::Sps => &mut self.sps,
                H264NalUnitType::Pps => &mut self.pps,
                _ => {
                    let length = u32::try_from(unit.data.len()).map_err(io::Error::other)?;
                    data.extend_from_slice(&length.to_be_bytes());
                    data.extend_from_slice(unit.data);
                    continue;
                }
            };
            // They are repeated, unchanged, with each keyframe.
            if set.is_empty() {
                set.push(unit.data.to_vec());
            }
        }
        Ok(data)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and both are positive"
    )]
    fn make_encoder(&self, frame: &Picture) -> io::Result<Encoder> {
        let pixels = f64::from(frame.width_px()) * f64::from(frame.height_px());
        let usual = (pixels * self.rate_hz / PIXELS_PER_BIT) as u32;
        let bitrate_bps = self.config.bitrate_bps.unwrap_or(usual);
        // The defaults are 120 kbit/s, and a single keyframe in the whole
        // stream.
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bitrate_bps.clamp(LEAST_BPS, LIMIT_BPS)))
            .rate_control_mode(RateControlMode::Bitrate)
            .max_frame_rate(FrameRate::from_hz(self.rate_hz as f32))
            // Without it the encoder prints a warning; `encode` retries skipped
            // pictures.
            .skip_frames(true)
            // Requested for each fragment.
            .intra_frame_period(IntraFramePeriod::auto())
            .complexity(Complexity::Low)
            .profile(Profile::Baseline)
            // Matches `PixelFormat::I420`; without it, players guess by the
            // size.
            .vui(VuiConfig::bt601())
            // With one slice per picture there is nothing to parallelise.
            .num_threads(1);
        Encoder::with_api_config(OpenH264API::from_source(), config).map_err(io::Error::other)
    }
}

/// Rejects sizes with which the encoder would panic or fail later.
pub(super) fn check_size(width_px: u32, height_px: u32) -> Result<(), RecordError> {
    let (short, long) = (width_px.min(height_px), width_px.max(height_px));
    let even = width_px.is_multiple_of(2) && height_px.is_multiple_of(2);
    if even && (LEAST_SIDE_PX..=LIMIT_SHORT_PX).contains(&short) && long <= LIMIT_LONG_PX {
        return Ok(());
    }
    Err(RecordError::H264Size {
        width_px,
        height_px,
    })
}

/// The three planes of an I420 picture with unpadded rows and even sides.
fn planes(frame: &Picture) -> YUVSlices<'_> {
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    let (luma, colour) = frame.data().split_at(width * height);
    let (blue, red) = colour.split_at(colour.len() / 2);
    YUVSlices::new(
        (luma, blue, red),
        (width, height),
        (width, width / 2, width / 2),
    )
}

/// Typical for cameras.
const USUAL_RATE_HZ: f64 = 30.0;

/// Suitable for camera pictures, at 30 a second.
const PIXELS_PER_BIT: f64 = 9.0;

/// How many skipped attempts to make before requesting a keyframe.
const PATIENCE: u32 = 30;

const LEAST_BPS: u32 = 16_000;

/// Level 5.2 allows 240 Mbit/s.
const LIMIT_BPS: u32 = 240_000_000;

const LEAST_SIDE_PX: u32 = 16;

const LIMIT_SHORT_PX: u32 = 2_160;

const LIMIT_LONG_PX: u32 = 3_840;
