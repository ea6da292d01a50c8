//! The offer: its entries, and the names of what is left out.

use bytes::{Buf, BufMut};

use super::{for_extensions, malformed, put_count, take_list, take_path};
use crate::file::{
    Entry, EntryKind, FileTime, Integrity, LeftOut, LeftOutReason, Manifest,
    session::error::{MessageKind, SessionError},
};

/// With the names of what is left out, as far as they fit; no more than are counted.
pub(super) fn put(manifest: &Manifest, out: &mut Vec<u8>) {
    put_manifest(manifest, out);
    let mut named = Vec::new();
    let counted = usize::try_from(manifest.left_out).unwrap_or(usize::MAX);
    let most = MAX_LEFT_OUT.min(counted);
    for left_out in manifest.left_out_entries.iter().take(most) {
        let path = left_out.path.as_bytes();
        let Ok(length) = u16::try_from(path.len()) else {
            continue;
        };
        if named.len() + 3 + path.len() > MAX_LEFT_OUT_BYTES {
            break;
        }
        named.put_u8(left_out.reason.code());
        named.put_u16(length);
        named.put_slice(path);
    }
    if let (false, Ok(length)) = (named.is_empty(), u32::try_from(named.len())) {
        out.put_u16(LEFT_OUT_EXTENSION);
        out.put_u32(length);
        out.put_slice(&named);
    }
}

/// Takes what [`put`] wrote, and skips extensions that it does not know.
pub(super) fn take(input: &mut &[u8]) -> Result<Manifest, SessionError> {
    let kind = MessageKind::Offer;
    let mut manifest = take_manifest(input).ok_or_else(|| malformed(kind))?;
    for_extensions(kind, input, |extension, value| {
        if extension == LEFT_OUT_EXTENSION {
            manifest.left_out_entries = take_left_out(manifest.left_out, value)?;
        }
        Some(())
    })?;
    Ok(manifest)
}

/// Encodes an offer for another protocol, as the body of a session's offer.
pub fn encode_manifest(manifest: &Manifest) -> Vec<u8> {
    let mut out = Vec::new();
    put_manifest(manifest, &mut out);
    out
}

/// Decodes what [`encode_manifest`] encoded. `None` if it is not valid. Its numbers
/// and names are as the peer sent them.
pub fn decode_manifest(mut bytes: &[u8]) -> Option<Manifest> {
    let manifest = take_manifest(&mut bytes)?;
    bytes.is_empty().then_some(manifest)
}

fn put_manifest(manifest: &Manifest, out: &mut Vec<u8>) {
    out.put_u8(match manifest.integrity {
        Integrity::Unverified => 0,
        Integrity::Blake3 => 1,
    });
    out.put_u32(manifest.left_out);
    put_count(manifest.entries.len(), out);
    manifest
        .entries
        .iter()
        .for_each(|entry| put_entry(entry, out));
}

/// Keeps no more than a user reads: each name costs more memory than its bytes. `None` too
/// if these are more than are counted.
fn take_left_out(counted: u32, mut value: &[u8]) -> Option<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    let rest = value.len().saturating_sub(MAX_LEFT_OUT_BYTES);
    while value.len() > rest && left_out.len() < MAX_LEFT_OUT {
        let reason = LeftOutReason::from_code(value.try_get_u8().ok()?);
        left_out.push(LeftOut::new(take_path(&mut value)?, reason));
    }
    (left_out.len() as u64 <= counted.into()).then_some(left_out)
}

fn put_entry(entry: &Entry, out: &mut Vec<u8>) {
    let (kind, target) = match &entry.kind {
        EntryKind::File => (0, &[][..]),
        EntryKind::Folder => (1, &[][..]),
        EntryKind::Link { target } => (2, target.as_bytes()),
        EntryKind::Other(kind) => (*kind, &[][..]),
    };
    out.put_u8(kind);
    out.put_u8(u8::from(entry.is_private));
    out.put_u16(entry.mode & MODE_BITS);
    out.put_u64(entry.size_bytes);
    out.put_i64(entry.modified.seconds);
    out.put_u32(entry.modified.nanoseconds);
    for bytes in [entry.path.as_bytes(), target] {
        // A truncated path still exceeds every receiver's limit.
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        out.put_u16(length);
        out.extend(bytes.iter().take(length.into()));
    }
}

fn take_manifest(input: &mut &[u8]) -> Option<Manifest> {
    let integrity = match input.try_get_u8().ok()? {
        0 => Integrity::Unverified,
        1 => Integrity::Blake3,
        _ => return None,
    };
    Some(Manifest {
        integrity,
        left_out: input.try_get_u32().ok()?,
        entries: take_list(input, take_entry)?,
        left_out_entries: Vec::new(),
    })
}

fn take_entry(input: &mut &[u8]) -> Option<Entry> {
    let (kind, flags) = (input.try_get_u8().ok()?, input.try_get_u8().ok()?);
    let mode = input.try_get_u16().ok()?;
    let size_bytes = input.try_get_u64().ok()?;
    let modified = FileTime {
        seconds: input.try_get_i64().ok()?,
        nanoseconds: input.try_get_u32().ok()?,
    };
    let path = take_path(input)?;
    let target = take_path(input)?;
    let sound = flags <= 1 && mode <= MODE_BITS && modified.nanoseconds < 1_000_000_000;
    let is_bare = target.as_bytes().is_empty() && size_bytes == 0;
    let kind = match kind {
        0 if target.as_bytes().is_empty() => EntryKind::File,
        1 if is_bare => EntryKind::Folder,
        2 if size_bytes == 0 => EntryKind::Link { target },
        0..=2 => return None,
        // Its other fields are for readers that know the kind.
        kind => EntryKind::Other(kind),
    };
    let size_bytes = if kind == EntryKind::File {
        size_bytes
    } else {
        0
    };
    sound.then_some(Entry {
        path,
        kind,
        size_bytes,
        modified,
        mode,
        is_private: flags & 1 == 1,
    })
}

/// Length of an entry in an offer, without its path and target.
pub(crate) const ENTRY_HEAD_BYTES: u64 = 28;

/// What is left out, by name.
const LEFT_OUT_EXTENSION: u16 = 2;
/// How many names of it are sent and kept.
const MAX_LEFT_OUT: usize = 1_000;
/// The length of those on the wire.
const MAX_LEFT_OUT_BYTES: usize = 64 << 10;
/// Permission bits; setuid and similar bits are not transferred.
const MODE_BITS: u16 = 0o777;
