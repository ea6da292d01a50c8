//! Motion JPEG in MP4: whole files and fragmented ones.

use std::{
    error::Error,
    io::{Read, SeekFrom},
    time::Duration,
};

use shiguredo_mp4::{
    TrackKind,
    demux::{
        DemuxError, Fmp4FileDemuxer, Input as Piece, Mp4FileDemuxer, Mp4FileKind,
        Mp4FileKindDetector, RequiredInput, Sample,
    },
};

use super::{ClipError, ClipFrame, Input, MAX_IMAGE_BYTES, Pictures};
use crate::picture::VideoFrame;

/// Reads the video track of an MP4 file.
pub(super) struct Mp4<R> {
    input: R,
    demuxer: Demuxer,
    given: u64,
}

/// A file with one table of all pictures, or with a table in each fragment.
enum Demuxer {
    Whole(Mp4FileDemuxer),
    Fragments(Fmp4FileDemuxer),
}

impl<R: Input> Mp4<R> {
    pub(super) fn new(mut input: R) -> Result<Self, ClipError> {
        let mut detector = Mp4FileKindDetector::new();
        while let Some(needed) = detector.required_input() {
            let bytes = read(&mut input, needed)?;
            detector.handle_input(needed.to_input(&bytes));
        }
        let demuxer = match detector.file_kind().map_err(unsound)? {
            Some(Mp4FileKind::FragmentedMp4) => Demuxer::Fragments(Fmp4FileDemuxer::new()),
            _ => Demuxer::Whole(Mp4FileDemuxer::new()),
        };
        Ok(Self {
            input,
            demuxer,
            given: 0,
        })
    }

    /// Where the next picture of the video track is.
    fn next_sample(&mut self) -> Result<Option<Place>, ClipError> {
        loop {
            let needed = match self.demuxer.next_sample() {
                Ok(None) => return Ok(None),
                Ok(Some(sample)) if sample.track.kind == TrackKind::Video => {
                    return Ok(Some(Place::of(&sample)));
                }
                Ok(Some(_sound)) => continue,
                Err(DemuxError::InputRequired(needed)) => needed,
                Err(error) => return Err(unsound(error)),
            };
            let bytes = read(&mut self.input, needed)?;
            check_runs(&bytes)?;
            self.demuxer.handle_input(needed.to_input(&bytes));
        }
    }

    fn read_picture(&mut self, place: &Place) -> Result<ClipFrame, ClipError> {
        if place.bytes > MAX_IMAGE_BYTES {
            return Err(too_large(place.bytes, MAX_IMAGE_BYTES));
        }
        let image = read(
            &mut self.input,
            RequiredInput {
                position: place.position,
                size: Some(place.bytes),
            },
        )?;
        if !image.starts_with(&[0xff, 0xd8]) {
            return Err(ClipError::NotMotionJpeg);
        }
        Ok(ClipFrame {
            frame: VideoFrame::from_jpeg(image)?,
            duration: Some(place.duration),
        })
    }
}

impl<R: Input> Pictures for Mp4<R> {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError> {
        let place = match self.next_sample() {
            // The recorder died while it wrote: what came before is good.
            Err(error @ ClipError::Mp4(_)) if self.given > 0 => {
                tracing::warn!(error = &error as &dyn Error, "clip ends inside a fragment");
                return Ok(None);
            }
            place => place?,
        };
        let Some(place) = place else {
            return Ok(None);
        };
        let picture = self.read_picture(&place)?;
        self.given += 1;
        Ok(Some(picture))
    }
}

impl Demuxer {
    fn next_sample(&mut self) -> Result<Option<Sample<'_>>, DemuxError> {
        match self {
            Self::Whole(demuxer) => demuxer.next_sample(),
            Self::Fragments(demuxer) => demuxer.next_sample(),
        }
    }

    fn handle_input(&mut self, piece: Piece<'_>) {
        match self {
            Self::Whole(demuxer) => demuxer.handle_input(piece),
            Self::Fragments(demuxer) => demuxer.handle_input(piece),
        }
    }
}

/// One picture in the file.
struct Place {
    position: u64,
    bytes: usize,
    duration: Duration,
}

impl Place {
    fn of(sample: &Sample<'_>) -> Self {
        let scale = u64::from(sample.track.timescale.get());
        let nanos = u64::from(sample.duration) * 1_000_000_000 / scale;
        Self {
            position: sample.data_offset,
            bytes: sample.data_size,
            duration: Duration::from_nanos(nanos),
        }
    }
}

/// Reads what is there of a range; less at the end of the file.
fn read(input: &mut impl Input, needed: RequiredInput) -> Result<Vec<u8>, ClipError> {
    let size = needed.size.unwrap_or(MAX_READ_BYTES);
    if size > MAX_READ_BYTES {
        return Err(too_large(size, MAX_READ_BYTES));
    }
    input.seek(SeekFrom::Start(needed.position))?;
    // Grows with what the file holds, not with what a box says.
    let mut bytes = Vec::new();
    let limit = u64::try_from(size).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a fragment whose runs announce more pictures than bytes could tell of.
///
/// A run may give its pictures no bytes of their own; the demuxer would reserve
/// memory for each of the 2^32 that it may announce.
fn check_runs(fragment: &[u8]) -> Result<(), ClipError> {
    let mut announced = 0_u64;
    for (_, moof) in boxes(fragment).filter(|(name, _)| *name == b"moof") {
        for (_, traf) in boxes(moof).filter(|(name, _)| *name == b"traf") {
            for (_, trun) in boxes(traf).filter(|(name, _)| *name == b"trun") {
                // Version and flags, then the count.
                if let Some(count) = trun.get(4..).and_then(<[u8]>::first_chunk) {
                    announced += u64::from(u32::from_be_bytes(*count));
                }
            }
        }
    }
    if announced > MAX_FRAGMENT_PICTURES {
        return Err(ClipError::Mp4TooLarge {
            announced,
            limit: MAX_FRAGMENT_PICTURES,
        });
    }
    Ok(())
}

/// The boxes in a row, name and body; ends at the first that is not whole.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, rest) = bytes.split_first_chunk()?;
        let (name, _) = rest.split_first_chunk()?;
        let (mut header, mut length) = (8, u64::from(u32::from_be_bytes(*size)));
        if length == 1 {
            header = 16;
            length = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
        }
        let end = match length {
            0 => bytes.len(),
            _ => usize::try_from(length).ok()?.min(bytes.len()),
        };
        let body = bytes.get(header..end)?;
        bytes = &bytes[end..];
        Some((name, body))
    })
}

fn unsound(error: DemuxError) -> ClipError {
    ClipError::Mp4(error.into())
}

fn too_large(announced: usize, limit: usize) -> ClipError {
    ClipError::Mp4TooLarge {
        announced: u64::try_from(announced).unwrap_or(u64::MAX),
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}

/// The table of a day's recording is about 30 MB; a fragment is half a second.
const MAX_READ_BYTES: usize = 64 << 20;

/// Half a second has about 30.
const MAX_FRAGMENT_PICTURES: u64 = 100_000;
