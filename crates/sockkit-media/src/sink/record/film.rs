//! One file of a recording.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    RecordError, RecorderConfig,
    boxes::{self, Sample, Start},
    encoder::{Encoded, Encoder, FragmentPosition},
    place,
    timeline::Timeline,
};
use crate::picture::Picture;

/// A fragmented MP4 file of pictures of one size.
pub(super) struct Film {
    file: File,
    /// Where the file is while it grows.
    path: PathBuf,
    /// Where it goes once whole.
    target: PathBuf,
    timeline: Timeline,
    encoder: Encoder,
    size_px: Option<(u32, u32)>,
    /// What the file begins with, once it does.
    start: Option<Start>,
    /// Not written yet: how long it is shown is known when the next one comes.
    waiting: Option<Picture>,
    fragment: Vec<Sample>,
    /// The pictures of `fragment`, one after the other.
    payload: Vec<u8>,
    fragment_micros: u64,
    /// When the fragment began to grow.
    flushed: Instant,
    fragments: u32,
    written_micros: u64,
    frames: u64,
    /// The file's length up to its last whole fragment.
    bytes: u64,
}

/// What became of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// It is recorded, or was damaged and left out.
    Yes,
    /// It has another size than those before.
    OtherSize,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Length {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) micros: u64,
}

impl Film {
    /// Makes the file.
    pub(super) fn create(target: &Path, config: &RecorderConfig) -> Result<Self, RecordError> {
        let (file, path) = place::create(target, config.existing)?;
        Ok(Self {
            file,
            path,
            target: target.to_owned(),
            timeline: Timeline::new(config.timing),
            encoder: Encoder::new(config),
            size_px: None,
            start: None,
            waiting: None,
            fragment: Vec::new(),
            payload: Vec::new(),
            fragment_micros: 0,
            flushed: Instant::now(),
            fragments: 0,
            written_micros: 0,
            frames: 0,
            bytes: 0,
        })
    }

    /// The name that the file gets when it is complete.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn handle_picture(&mut self, frame: &Picture) -> io::Result<Taken> {
        let frame = match self.encoder.prepare(frame) {
            Ok(frame) => frame,
            // The picture before is shown in its place.
            Err(error) => {
                tracing::warn!(
                    number = frame.number(),
                    error = &error as &dyn Error,
                    "picture not recorded"
                );
                return Ok(Taken::Yes);
            }
        };
        let size_px = (frame.width_px(), frame.height_px());
        if *self.size_px.get_or_insert(size_px) != size_px {
            return Ok(Taken::OtherSize);
        }
        let micros = self.timeline.handle_picture(frame.captured());
        if let Some((before, micros)) = self.waiting.replace(frame).zip(micros) {
            self.append(&before, micros)?;
        }
        // A second in the file may take longer or shorter to come.
        if self.fragment_micros >= FRAGMENT_MICROS
            || self.flushed.elapsed() >= FRAGMENT
            || self.payload.len() >= MAX_FRAGMENT_BYTES
        {
            self.flush()?;
        }
        Ok(Taken::Yes)
    }

    fn append(&mut self, frame: &Picture, micros: u32) -> io::Result<()> {
        let place = match self.fragment.is_empty() {
            true => FragmentPosition::First,
            false => FragmentPosition::Later,
        };
        let Encoded { data, kind } = self.encoder.encode(frame, place)?;
        if self.start.is_none() {
            self.begin(frame)?;
        }
        self.payload.extend_from_slice(&data);
        self.fragment.push(Sample {
            bytes: u32::try_from(data.len()).map_err(io::Error::other)?,
            micros,
            kind,
        });
        self.fragment_micros += u64::from(micros);
        self.frames += 1;
        Ok(())
    }

    fn begin(&mut self, first: &Picture) -> io::Result<()> {
        let side = |px: u32| u16::try_from(px).map_err(io::Error::other);
        let (width_px, height_px) = (side(first.width_px())?, side(first.height_px())?);
        let start = Start {
            entry: self.encoder.sample_entry(width_px, height_px)?,
            width_px,
            height_px,
            created: first.captured(),
        };
        let bytes = start.encode(Duration::ZERO)?;
        self.file.write_all(&bytes)?;
        self.count(&bytes);
        self.start = Some(start);
        Ok(())
    }

    /// Writes the fragment to the disk: a system that loses its power writes nothing
    /// more, and would have waited half a minute.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.fragment.is_empty() {
            self.flushed = Instant::now();
            return Ok(());
        }
        self.fragments += 1;
        let header = boxes::fragment(self.fragments, self.written_micros, &self.fragment)?;
        self.file.write_all(&header)?;
        self.file.write_all(&self.payload)?;
        self.file.sync_data()?;
        if self.fragments == 1 {
            place::sync_folder(&self.path);
        }
        self.count(&header);
        self.bytes += u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        self.payload.clear();
        self.fragment.clear();
        self.written_micros += std::mem::take(&mut self.fragment_micros);
        // Last: a disk that takes longer than a fragment would be made to write one for
        // each picture.
        self.flushed = Instant::now();
        Ok(())
    }

    /// The file is whole and on the disk; without a picture there is none.
    pub(super) fn finish(&mut self) -> io::Result<Length> {
        if let Some(last) = self.waiting.take() {
            self.append(&last, self.timeline.last_duration())?;
        }
        self.flush()?;
        let Some(start) = &self.start else {
            fs::remove_file(&self.path)?;
            return Ok(Length::default());
        };
        // Written before it was known, in as many bytes.
        let start = start.encode(Duration::from_micros(self.written_micros))?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&start)?;
        self.file.sync_all()?;
        if self.path != self.target {
            fs::rename(&self.path, &self.target)?;
            place::sync_folder(&self.target);
        }
        Ok(Length {
            frames: self.frames,
            bytes: self.bytes,
            micros: self.written_micros,
        })
    }

    /// The disk took no more. Half a fragment is no loss to players, but none is
    /// tidier; if the disk does not even do this, the file is readable as it is.
    pub(super) fn give_up(&self, source: io::Error) -> RecordError {
        let _ = self.file.set_len(self.bytes);
        RecordError::Write {
            path: self.path.clone(),
            source,
        }
    }

    fn count(&mut self, written: &[u8]) {
        self.bytes += u64::try_from(written.len()).unwrap_or(u64::MAX);
    }
}

/// At most this much is lost if the program is killed or the power is cut, and the
/// picture that waits.
pub(super) const FRAGMENT: Duration = Duration::from_millis(500);
const FRAGMENT_MICROS: u64 = 500_000;

/// Bounds the memory, whatever the rate.
const MAX_FRAGMENT_BYTES: usize = 16 << 20;
