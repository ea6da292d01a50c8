//! The thread that writes the files.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use super::{
    Existing, RecordError, RecordSummary, RecorderConfig,
    film::{FRAGMENT, Film, Taken},
    place,
};
use crate::picture::{Encoding, Picture, PictureError, jpeg};

/// A picture in the queue, with its permit.
pub(super) struct Queued {
    pub(super) frame: Picture,
    pub(super) _place: tokio::sync::OwnedSemaphorePermit,
}

/// Writes a file, and another one each time that the pictures' size changes.
pub(super) struct Writer {
    film: Film,
    /// The first file.
    target: PathBuf,
    /// The number that the last file's name has, or would have.
    number: u32,
    config: RecorderConfig,
    done: RecordSummary,
    /// Of a size for which there is no file any more.
    left_out: u64,
}

impl Writer {
    /// Makes the first file.
    pub(super) fn create(target: &Path, config: &RecorderConfig) -> Result<Self, RecordError> {
        Ok(Self {
            film: Film::create(target, config)?,
            target: target.to_owned(),
            number: 1,
            config: config.clone(),
            done: RecordSummary::default(),
            left_out: 0,
        })
    }

    /// Writes what comes until the recorder is gone, then ends the file.
    pub(super) fn run(mut self, pictures: &Receiver<Queued>) -> Result<RecordSummary, RecordError> {
        loop {
            let written = match pictures.recv_timeout(FRAGMENT) {
                Ok(Queued { frame, .. }) => self
                    .film
                    .handle_picture(&frame)
                    .map(|taken| (taken == Taken::OtherSize).then_some(frame)),
                // A camera that pauses leaves nothing unwritten but one picture.
                Err(RecvTimeoutError::Timeout) => self.film.flush().map(|()| None),
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_film()?;
                    return Ok(self.done);
                }
            };
            if let Some(other) = written.map_err(|error| self.film.give_up(error))? {
                self.change_size(&other)?;
            }
        }
    }

    /// Begins another file with this picture.
    fn change_size(&mut self, first: &Picture) -> Result<(), RecordError> {
        if self.done.files.len() + 1 >= MAX_FILES {
            self.left_out += 1;
            if self.left_out == 1 {
                let limit = u64::try_from(MAX_FILES).unwrap_or(u64::MAX);
                let error = RecordError::TooManySizes { limit };
                tracing::warn!(error = &error as &dyn Error, "pictures not recorded");
            }
            return Ok(());
        }
        let next = self.next_film()?;
        self.end_film()?;
        self.film = next;
        let taken = self.film.handle_picture(first);
        taken.map(drop).map_err(|error| self.film.give_up(error))
    }

    /// The next file; one that is there already is passed over.
    fn next_film(&mut self) -> Result<Film, RecordError> {
        loop {
            self.number += 1;
            let target = place::numbered(&self.target, self.number);
            match Film::create(&target, &self.config) {
                Err(RecordError::Exists { .. })
                    if self.config.existing == Existing::Refuse && self.number < MAX_NUMBER => {}
                made => {
                    tracing::info!(file = %target.display(), "size changed: another file");
                    return made;
                }
            }
        }
    }

    fn end_film(&mut self) -> Result<(), RecordError> {
        let length = self
            .film
            .finish()
            .map_err(|error| self.film.give_up(error))?;
        if length.frames > 0 {
            self.done.files.push(self.film.target().to_owned());
        }
        self.done.frames += length.frames;
        self.done.bytes += length.bytes;
        self.done.duration += Duration::from_micros(length.micros);
        Ok(())
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

/// A sender that changes its size with each picture must not fill the folder.
const MAX_FILES: usize = 100;

/// A folder with so many recordings of one name is an archive.
const MAX_NUMBER: u32 = 10_000;
