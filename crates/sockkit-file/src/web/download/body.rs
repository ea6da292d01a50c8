//! The body of a response: a file, read as the client takes it.

use std::{io, ops::Range, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::task::spawn_blocking;

use super::{super::digest::read_all, Shared};
use crate::{EntryIndex, store::OpenFileSet};

/// Reads the file as the client takes it. A chunk is noted when the next one is asked for,
/// so that the end of a file does not count before the rest is on its way.
pub(super) fn body(
    shared: Arc<Shared>,
    index: EntryIndex,
    open: OpenFileSet,
    part: Range<u64>,
) -> Body {
    if part.is_empty() {
        shared.note(index, part);
        return Body::empty();
    }
    let reading = Reading {
        shared,
        index,
        open: Arc::new(open),
        noted: part.start,
        left: part,
    };
    Body::from_stream(stream::try_unfold(reading, async |mut reading| {
        let bytes = reading.next().await?;
        Ok::<_, io::Error>(bytes.map(|bytes| (bytes, reading)))
    }))
}

/// A response that is on its way.
#[derive(Debug)]
struct Reading {
    shared: Arc<Shared>,
    index: EntryIndex,
    open: Arc<OpenFileSet>,
    /// What was not read.
    left: Range<u64>,
    /// Up to here it is noted as taken.
    noted: u64,
}

impl Reading {
    /// The next chunk, which is asked for when the one before is almost on its way.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.note();
        if self.left.is_empty() {
            return Ok(None);
        }
        let chunk = self.chunk();
        let (from, is_last) = (chunk.clone(), chunk.end == self.left.end);
        let open = Arc::clone(&self.open);
        let bytes = spawn_blocking(move || read(&open, from, is_last)).await;
        let bytes = bytes.map_err(io::Error::other).flatten();
        let bytes = bytes.inspect_err(|_| self.shared.fail(self.index))?;
        self.left.start = chunk.end;
        if is_last {
            // Nothing is asked for after it.
            self.note();
        }
        Ok(Some(bytes))
    }

    /// The last byte is a chunk of its own.
    fn chunk(&self) -> Range<u64> {
        let last = (self.left.end - 1).max(self.left.start + 1);
        self.left.start..last.min(self.left.start + CHUNK_BYTES)
    }

    fn note(&mut self) {
        let taken = self.noted..self.left.start;
        if !taken.is_empty() {
            self.noted = taken.end;
            self.shared.note(self.index, taken);
        }
    }
}

/// The last chunk of a file that has changed fails, so that the client does not take what it
/// has for the file.
fn read(open: &OpenFileSet, part: Range<u64>, is_last: bool) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(usize::try_from(CHUNK_BYTES).unwrap_or_default());
    let is_whole = read_all(
        part.end - part.start,
        |buffer, offset| open.read_at(buffer, part.start + offset),
        |bytes| chunk.extend_from_slice(bytes),
    )?;
    match is_whole && (!is_last || open.is_unchanged()) {
        true => Ok(chunk.into()),
        false => Err(io::Error::other("file changed while it was being sent")),
    }
}

const CHUNK_BYTES: u64 = 256 << 10;
