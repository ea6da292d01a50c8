//! MP4 with Motion JPEG or H.264: regular and fragmented files.

use std::{
    collections::VecDeque,
    error::Error,
    io::{Read, SeekFrom},
    time::Duration,
};

use shiguredo_mp4::{
    Decode,
    boxes::{MoovBox, SampleEntry},
    demux::{
        DemuxError, Fmp4FileDemuxer, Input as Piece, Mp4FileDemuxer, Mp4FileKind,
        Mp4FileKindDetector, RequiredInput, Sample,
    },
};

#[cfg(feature = "h264")]
use super::h264::H264;
use super::{
    ClipError, ClipFrame, Input, MAX_IMAGE_BYTES, Pictures,
    fragments::rebase,
    track::{Edit, Track},
};
use crate::picture::Picture;

/// Reads one video track of an MP4 file, as its edit list and its matrix say.
pub(super) struct Mp4<R> {
    input: R,
    demuxer: Demuxer,
    track: Track,
    /// The part of the track that is being shown.
    edit: Edit,
    codec: Codec,
    /// Decoded pictures that have not been returned.
    ready: VecDeque<ClipFrame>,
    /// Number of pictures read.
    taken: u64,
    ended: bool,
    is_cut_off: bool,
}

/// A file with one table of all pictures, or with a table in each fragment.
enum Demuxer {
    Whole(Mp4FileDemuxer),
    Fragments(Fmp4FileDemuxer),
}

/// The codec of the pictures.
enum Codec {
    /// Assumed until the first picture shows otherwise.
    MotionJpeg,
    #[cfg(feature = "h264")]
    H264(Box<H264>),
}

impl<R: Input> Mp4<R> {
    pub(super) fn new(mut input: R) -> Result<Self, ClipError> {
        let mut detector = Mp4FileKindDetector::new();
        let mut track = Track::default();
        while let Some(needed) = detector.required_input() {
            let bytes = read(&mut input, needed)?;
            if bytes.get(4..8) == Some(b"moov")
                && let Ok((moov, _)) = MoovBox::decode(&bytes)
            {
                track = Track::choose(&moov).unwrap_or_default();
            }
            detector.handle_input(needed.to_input(&bytes));
        }
        let demuxer = match detector.file_kind().map_err(unsound)? {
            Some(Mp4FileKind::FragmentedMp4) => Demuxer::Fragments(Fmp4FileDemuxer::new()),
            _ => Demuxer::Whole(Mp4FileDemuxer::new()),
        };
        let edit = track.edits.pop_front().unwrap_or(Edit::ALL);
        Ok(Self {
            input,
            demuxer,
            track,
            edit,
            codec: Codec::MotionJpeg,
            ready: VecDeque::new(),
            taken: 0,
            ended: false,
            is_cut_off: false,
        })
    }

    /// Position of the next picture of the video track.
    fn next_sample(&mut self) -> Result<Option<Place>, ClipError> {
        loop {
            let needed = match self.demuxer.next_sample() {
                Ok(None) => return Ok(None),
                Ok(Some(sample)) if sample.track.track_id == self.track.id => {
                    let place = Place::of(&sample);
                    if let Some(codec) = sample.sample_entry.map(Codec::of).transpose()? {
                        let before = std::mem::replace(&mut self.codec, codec);
                        let rest = before.finish()?;
                        self.show(rest)?;
                    }
                    return Ok(Some(place));
                }
                // Sound, or another track.
                Ok(Some(_)) => continue,
                Err(DemuxError::InputRequired(needed)) => needed,
                Err(error) => return Err(unsound(error)),
            };
            let mut bytes = read(&mut self.input, needed)?;
            check_runs(&bytes)?;
            rebase(&mut bytes, needed.position)?;
            self.demuxer.handle_input(needed.to_input(&bytes));
        }
    }

    /// Reads one picture; `None` if the file ends inside it.
    fn read_picture(&mut self, place: &Place) -> Result<Option<Vec<u8>>, ClipError> {
        if place.bytes > MAX_IMAGE_BYTES {
            return Err(too_large(place.bytes, MAX_IMAGE_BYTES));
        }
        let needed = RequiredInput {
            position: place.position,
            size: Some(place.bytes),
        };
        let image = read(&mut self.input, needed)?;
        Ok((image.len() == place.bytes).then_some(image))
    }

    /// Reads one picture of the file; after the last one, the clip ends.
    fn advance(&mut self) -> Result<(), ClipError> {
        let place = match self.next_sample() {
            // The recording was interrupted: everything before is usable.
            Err(error @ ClipError::Mp4(_)) if self.taken > 0 => {
                tracing::debug!(error = &error as &dyn Error, "clip ends inside a fragment");
                self.is_cut_off = true;
                None
            }
            place => place?,
        };
        let Some(place) = place else {
            return self.next_edit();
        };
        let Some(image) = self.read_picture(&place)? else {
            self.is_cut_off = true;
            return self.finish();
        };
        self.taken += 1;
        let shown = match &mut self.codec {
            Codec::MotionJpeg => Some(motion_jpeg(image, &place)?),
            #[cfg(feature = "h264")]
            Codec::H264(decoder) => decoder.decode(&image, &place)?,
        };
        self.show(shown)?;
        // What is stored later of H.264 may be shown earlier.
        match matches!(self.codec, Codec::MotionJpeg) && place.shown_at >= self.edit.end {
            true => self.next_edit(),
            false => Ok(()),
        }
    }

    /// Gives what the edit shows of these pictures.
    fn show(&mut self, pictures: impl IntoIterator<Item = Shown>) -> Result<(), ClipError> {
        for shown in pictures {
            if let Some(ticks) = self.edit.ticks(shown.at, shown.ticks) {
                self.ready.push_back(ClipFrame {
                    frame: shown.frame.turned(self.track.turn)?,
                    duration: Some(duration(ticks, shown.ticks_per_second)),
                });
            }
        }
        Ok(())
    }

    /// The track continues at another place, or has ended.
    fn next_edit(&mut self) -> Result<(), ClipError> {
        // Fragments are read once through, and what is compressed by the pictures before
        // it cannot be begun anywhere.
        let (Demuxer::Whole(demuxer), Codec::MotionJpeg, Some(edit)) =
            (&mut self.demuxer, &self.codec, self.track.edits.pop_front())
        else {
            return self.finish();
        };
        self.edit = edit;
        let tracks = demuxer.tracks().map_err(unsound)?;
        let ticks_per_second = tracks
            .iter()
            .find(|track| track.track_id == self.track.id)
            .map_or(1, |track| track.timescale.get());
        let begin = Duration::from_secs(edit.begin.max(0).unsigned_abs()) / ticks_per_second;
        demuxer.seek(begin).map_err(unsound)
    }

    /// Gives up what the decoder still holds.
    fn finish(&mut self) -> Result<(), ClipError> {
        self.ended = true;
        let codec = std::mem::replace(&mut self.codec, Codec::MotionJpeg);
        let rest = codec.finish()?;
        self.show(rest)
    }
}

impl<R: Input> Pictures for Mp4<R> {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            if self.ended {
                return Ok(None);
            }
            self.advance()?;
        }
    }

    fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }
}

impl Codec {
    fn of(entry: &SampleEntry) -> Result<Self, ClipError> {
        match entry {
            #[cfg(feature = "h264")]
            SampleEntry::Avc1(entry) => Ok(Self::H264(Box::new(H264::new(&entry.avcc_box)?))),
            #[cfg(not(feature = "h264"))]
            SampleEntry::Avc1(_) => Err(ClipError::NoH264),
            _ => Ok(Self::MotionJpeg),
        }
    }

    /// What is still to be shown.
    fn finish(self) -> Result<Vec<Shown>, ClipError> {
        match self {
            Self::MotionJpeg => Ok(Vec::new()),
            #[cfg(feature = "h264")]
            Self::H264(decoder) => decoder.finish(),
        }
    }
}

fn motion_jpeg(image: Vec<u8>, place: &Place) -> Result<Shown, ClipError> {
    if !image.starts_with(&[0xff, 0xd8]) {
        return Err(ClipError::NotMotionJpeg);
    }
    Ok(Shown {
        frame: Picture::from_jpeg(image)?,
        at: place.shown_at,
        ticks: place.ticks,
        ticks_per_second: place.ticks_per_second,
    })
}

/// A picture in the order in which they are shown, times in the track's ticks.
pub(super) struct Shown {
    pub(super) frame: Picture,
    pub(super) at: i64,
    pub(super) ticks: u32,
    pub(super) ticks_per_second: u32,
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

/// Position of a picture in the file.
pub(super) struct Place {
    position: u64,
    bytes: usize,
    /// In the track's ticks, like the following fields.
    pub(super) ticks: u32,
    /// When it is shown.
    pub(super) shown_at: i64,
    pub(super) ticks_per_second: u32,
}

impl Place {
    fn of(sample: &Sample<'_>) -> Self {
        let decoded_at = i64::try_from(sample.timestamp).unwrap_or(i64::MAX);
        let offset = sample.composition_time_offset.unwrap_or(0);
        Self {
            position: sample.data_offset,
            bytes: sample.data_size,
            ticks: sample.duration,
            shown_at: decoded_at.saturating_add(offset),
            ticks_per_second: sample.track.timescale.get(),
        }
    }

    #[cfg(all(test, feature = "h264"))]
    pub(super) fn at(shown_at: i64, ticks: u32, ticks_per_second: u32) -> Self {
        Self {
            position: 0,
            bytes: 0,
            ticks,
            shown_at,
            ticks_per_second,
        }
    }
}

fn duration(ticks: u32, per_second: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(per_second))
}

/// Reads a range as far as it exists; shorter at the end of the file.
fn read(input: &mut impl Input, needed: RequiredInput) -> Result<Vec<u8>, ClipError> {
    let size = needed.size.unwrap_or(MAX_READ_BYTES);
    if size > MAX_READ_BYTES {
        return Err(too_large(size, MAX_READ_BYTES));
    }
    input.seek(SeekFrom::Start(needed.position))?;
    // Grows with the data in the file, not with the announced length.
    let mut bytes = Vec::new();
    let limit = u64::try_from(size).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Rejects a fragment whose runs announce more pictures than its data could
/// describe.
///
/// A run may contain no data for its pictures; the demuxer would reserve memory
/// for each of up to 2^32 announced ones.
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
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    boxes_at(bytes).map(|(name, begin, end)| (name, &bytes[begin..end]))
}

/// The same, and where the bodies begin and end.
pub(super) fn boxes_at(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let (size, named) = rest.split_first_chunk()?;
        let (name, _) = named.split_first_chunk()?;
        let (mut header, mut length) = (8, u64::from(u32::from_be_bytes(*size)));
        if length == 1 {
            header = 16;
            length = u64::from_be_bytes(*rest.get(8..)?.first_chunk()?);
        }
        let end = match length {
            0 => rest.len(),
            _ => usize::try_from(length).ok()?.min(rest.len()),
        };
        let (begin, end) = (at + header, at + end);
        at = end;
        (begin <= end).then_some((name, begin, end))
    })
}

/// In words for users: the demuxer's own name a line of its source.
fn unsound(error: DemuxError) -> ClipError {
    let words = match error {
        DemuxError::DecodeError(error) if error.reason.is_empty() => {
            format!("{:?}", error.kind)
        }
        DemuxError::DecodeError(error) => error.reason,
        other => other.to_string(),
    };
    ClipError::Mp4(words.into())
}

fn too_large(announced: usize, limit: usize) -> ClipError {
    ClipError::Mp4TooLarge {
        announced: u64::try_from(announced).unwrap_or(u64::MAX),
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}

/// The table of a day's recording has about 30 MB; a fragment is half a second.
const MAX_READ_BYTES: usize = 64 << 20;

/// Half a second has about 30.
const MAX_FRAGMENT_PICTURES: u64 = 100_000;

#[cfg(all(test, not(feature = "h264")))]
mod tests {
    use super::*;

    #[test]
    fn h264_without_the_feature_says_what_to_do() {
        let clip = std::io::Cursor::new(include_bytes!("whole-h264.mp4"));
        let error = Mp4::new(clip).and_then(|mut clip| clip.next()).unwrap_err();
        assert!(matches!(error, ClipError::NoH264), "{error}");
        let told = error.to_string();
        assert!(told.contains("--features h264") && told.contains("-c:v mjpeg"));
    }
}
