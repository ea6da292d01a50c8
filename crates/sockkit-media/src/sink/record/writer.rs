//! The thread that writes the file.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{
    Existing, RecordError, RecordSummary, RecorderConfig,
    boxes::{self, Sample},
    encoder::{Encoded, Encoder, FragmentPosition},
    timeline::Timeline,
};
use crate::picture::{Encoding, Picture, PictureError, jpeg};

/// A picture in the queue, with its permit.
pub(super) struct Queued {
    pub(super) frame: Picture,
    pub(super) _place: tokio::sync::OwnedSemaphorePermit,
}

/// Writes a fragmented MP4 file.
pub(super) struct Writer {
    file: File,
    /// Path of the file while it is being written.
    path: PathBuf,
    /// Its final path.
    target: PathBuf,
    timeline: Timeline,
    encoder: Encoder,
    /// Not yet written, because its duration is not known.
    waiting: Option<Picture>,
    fragment: Vec<Sample>,
    /// Data of the pictures in `fragment`.
    payload: Vec<u8>,
    fragment_micros: u64,
    /// When the fragment was started.
    flushed: Instant,
    fragments: u32,
    written_micros: u64,
    frames: u64,
    /// Length of the file up to its last complete fragment.
    bytes: u64,
}

impl Writer {
    /// Creates the file.
    pub(super) fn create(target: &Path, config: &RecorderConfig) -> Result<Self, RecordError> {
        let (file, path) = create_file(target, config.existing)?;
        Ok(Self {
            file,
            path,
            target: target.to_owned(),
            timeline: Timeline::new(config.timing),
            encoder: Encoder::new(config),
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

    /// Writes pictures until all senders are gone, then finishes the file.
    pub(super) fn run(mut self, pictures: &Receiver<Queued>) -> Result<RecordSummary, RecordError> {
        self.write_pictures(pictures)
            .and_then(|()| self.finish())
            .map_err(|source| {
                // Players ignore half a fragment, but removing it is cleaner.
                // If even that fails, the file is readable as it is.
                let _ = self.file.set_len(self.bytes);
                RecordError::Write {
                    path: self.path,
                    source,
                }
            })
    }

    fn write_pictures(&mut self, pictures: &Receiver<Queued>) -> io::Result<()> {
        loop {
            match pictures.recv_timeout(FRAGMENT) {
                Ok(Queued { frame, .. }) => self.handle_picture(&frame)?,
                // If a camera pauses, only one picture remains unwritten.
                Err(RecvTimeoutError::Timeout) => self.flush()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn handle_picture(&mut self, frame: &Picture) -> io::Result<()> {
        let frame = match self.encoder.prepare(frame) {
            Ok(frame) => frame,
            // The previous picture is shown instead.
            Err(error) => {
                tracing::warn!(
                    number = frame.number(),
                    error = &error as &dyn Error,
                    "picture not recorded"
                );
                return Ok(());
            }
        };
        let micros = self.timeline.handle_picture(frame.captured());
        if let Some((before, micros)) = self.waiting.replace(frame).zip(micros) {
            self.append(&before, micros)?;
        }
        // A second in the file may take longer or shorter in real time.
        if self.fragment_micros >= FRAGMENT_MICROS
            || self.flushed.elapsed() >= FRAGMENT
            || self.payload.len() >= MAX_FRAGMENT_BYTES
        {
            self.flush()?;
        }
        Ok(())
    }

    fn append(&mut self, frame: &Picture, micros: u32) -> io::Result<()> {
        let place = match self.fragment.is_empty() {
            true => FragmentPosition::First,
            false => FragmentPosition::Later,
        };
        let Encoded { data, kind } = self.encoder.encode(frame, place)?;
        if self.frames == 0 {
            let side = |px: u32| u16::try_from(px).map_err(io::Error::other);
            let (width_px, height_px) = (side(frame.width_px())?, side(frame.height_px())?);
            let entry = self.encoder.sample_entry(width_px, height_px)?;
            let start = boxes::start(entry, width_px, height_px)?;
            self.file.write_all(&start)?;
            self.count(&start);
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

    /// Passes the fragment to the operating system, which survives a crash of
    /// this program.
    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        if self.fragment.is_empty() {
            return Ok(());
        }
        self.fragments += 1;
        let header = boxes::fragment(self.fragments, self.written_micros, &self.fragment)?;
        self.file.write_all(&header)?;
        self.file.write_all(&self.payload)?;
        self.count(&header);
        self.bytes += u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        self.payload.clear();
        self.fragment.clear();
        self.written_micros += std::mem::take(&mut self.fragment_micros);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<RecordSummary> {
        if let Some(last) = self.waiting.take() {
            self.append(&last, self.timeline.last_duration())?;
        }
        self.flush()?;
        if self.frames == 0 {
            fs::remove_file(&self.path)?;
        } else {
            self.file.sync_all()?;
            if self.path != self.target {
                fs::rename(&self.path, &self.target)?;
            }
        }
        Ok(RecordSummary {
            frames: self.frames,
            bytes: self.bytes,
            duration: Duration::from_micros(self.written_micros),
        })
    }

    fn count(&mut self, written: &[u8]) {
        self.bytes += u64::try_from(written.len()).unwrap_or(u64::MAX);
    }
}

/// Makes clean JPEGs of pictures from any source.
pub(super) fn tidied(frame: &Picture) -> Result<Picture, PictureError> {
    if frame.encoding() != Encoding::Jpeg {
        return Ok(frame.clone());
    }
    let tidy = jpeg::trim(frame.data())?;
    if tidy.len() == frame.data().len() {
        return Ok(frame.clone());
    }
    Ok(Picture::from_jpeg(tidy.into_owned())?.stamped_like(frame))
}

/// Creates the file, and returns its path while it is being written.
fn create_file(target: &Path, existing: Existing) -> Result<(File, PathBuf), RecordError> {
    match (create_new(target), existing) {
        // A device or a folder cannot be replaced.
        (Err(RecordError::Exists { .. }), Existing::Replace) if target.is_file() => {
            let mut beside = target.as_os_str().to_owned();
            beside.push(".part");
            create_new(Path::new(&beside))
        }
        (made, _) => made,
    }
}

fn create_new(path: &Path) -> Result<(File, PathBuf), RecordError> {
    let path = path.to_owned();
    match File::options().write(true).create_new(true).open(&path) {
        Ok(file) => Ok((file, path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
            Err(RecordError::Exists { path })
        }
        Err(source) => Err(RecordError::Create { path, source }),
    }
}

/// At most this much is lost if the program is killed, plus the waiting
/// picture.
const FRAGMENT: Duration = Duration::from_millis(500);
const FRAGMENT_MICROS: u64 = 500_000;

/// Bounds the memory, at any rate.
const MAX_FRAGMENT_BYTES: usize = 16 << 20;
