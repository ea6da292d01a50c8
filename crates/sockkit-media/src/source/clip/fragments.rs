//! Fragments whose pictures are counted from the beginning of the file, put as those
//! that are counted from the fragment: the demuxer knows these alone.
//!
//! # Source
//! ISO/IEC 14496-12, §8.8.7 for the base offset, §8.8.8 for the offset of a run.

use super::{ClipError, mp4::boxes_at};

/// Rewrites a `moof` box at `position` of the file, in place, whatever follows it.
///
/// The base offset of eight bytes goes, a `free` box of eight bytes comes, and the
/// offset of each run counts from the fragment.
///
/// # Errors
/// [`ClipError::Mp4Offsets`] if it cannot be put so.
pub(super) fn rebase(bytes: &mut [u8], position: u64) -> Result<(), ClipError> {
    for (tfhd, runs) in absolute(bytes) {
        // A header with a size of 64 bits is twice as long: its size is elsewhere.
        if bytes.get(tfhd.begin - 4..tfhd.begin) != Some(b"tfhd") {
            return Err(ClipError::Mp4Offsets);
        }
        let base = be64(bytes, tfhd.begin + BASE_AT).ok_or(ClipError::Mp4Offsets)?;
        let shift = i64::try_from(i128::from(base) - i128::from(position))
            .map_err(|_| ClipError::Mp4Offsets)?;
        for run in runs {
            shift_run(bytes, run.begin, shift)?;
        }
        let flags = be32(bytes, tfhd.begin).ok_or(ClipError::Mp4Offsets)?;
        let flags = (flags & !HAS_BASE) | BASE_IS_MOOF;
        put(bytes, tfhd.begin, flags);
        // What follows the base moves to its place.
        bytes.copy_within(tfhd.begin + BASE_AT + 8..tfhd.end, tfhd.begin + BASE_AT);
        let size = u32::try_from(tfhd.end - tfhd.begin).map_err(|_| ClipError::Mp4Offsets)?;
        put(bytes, tfhd.begin - 8, size);
        put(bytes, tfhd.end - 8, 8);
        bytes[tfhd.end - 4..tfhd.end].copy_from_slice(b"free");
    }
    Ok(())
}

/// Where the body of a box is.
#[derive(Clone, Copy, Debug)]
struct Span {
    begin: usize,
    end: usize,
}

/// Each track's header with a base offset, and its runs.
fn absolute(bytes: &[u8]) -> Vec<(Span, Vec<Span>)> {
    let within = |span: Span, name: &'static [u8; 4]| {
        let body = bytes.get(span.begin..span.end).unwrap_or_default();
        boxes_at(body)
            .filter(move |(found, ..)| *found == name)
            .map(move |(_, begin, end)| Span {
                begin: span.begin + begin,
                end: span.begin + end,
            })
    };
    let all = Span {
        begin: 0,
        end: bytes.len(),
    };
    within(all, b"moof")
        .flat_map(|moof| within(moof, b"traf"))
        .filter_map(|traf| {
            let tfhd = within(traf, b"tfhd").next()?;
            let has_base = be32(bytes, tfhd.begin)? & HAS_BASE != 0;
            let is_whole = tfhd.end - tfhd.begin >= BASE_AT + 8;
            (has_base && is_whole).then(|| (tfhd, within(traf, b"trun").collect()))
        })
        .collect()
}

/// A run without an offset begins at the base, which is where no picture is once it
/// counts from the fragment.
fn shift_run(bytes: &mut [u8], run: usize, shift: i64) -> Result<(), ClipError> {
    let flags = be32(bytes, run).ok_or(ClipError::Mp4Offsets)?;
    if flags & HAS_OFFSET == 0 {
        return Err(ClipError::Mp4Offsets);
    }
    let offset = be32(bytes, run + 8).ok_or(ClipError::Mp4Offsets)?;
    let shifted = i64::from(offset.cast_signed()) + shift;
    let shifted = i32::try_from(shifted).map_err(|_| ClipError::Mp4Offsets)?;
    put(bytes, run + 8, shifted.cast_unsigned());
    Ok(())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Flags of `tfhd`: the base offset is given; without one it is the fragment.
const HAS_BASE: u32 = 1;
const BASE_IS_MOOF: u32 = 0x02_0000;

/// In `tfhd`, after version, flags and the track's number.
const BASE_AT: usize = 8;

/// Flag of `trun`: the offset is given.
const HAS_OFFSET: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], name, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A fragment whose header has a base offset and a default size behind it.
    fn fragment(base: u64, run: &[u32]) -> Vec<u8> {
        let header = [words(&[0x11, 1]), base.to_be_bytes().to_vec(), words(&[77])].concat();
        let track = [boxed(b"tfhd", &header), boxed(b"trun", &words(run))].concat();
        boxed(b"moof", &boxed(b"traf", &track))
    }

    #[test]
    fn offsets_count_from_the_fragment_afterwards() {
        let mut bytes = fragment(5_000, &[1, 0, 300]);
        let length = bytes.len();
        rebase(&mut bytes, 4_900).unwrap();
        let header = [words(&[0x02_0010, 1, 77]), words(&[8]), b"free".to_vec()].concat();
        let track = [
            words(&[20]),
            b"tfhd".to_vec(),
            header,
            boxed(b"trun", &words(&[1, 0, 400])),
        ];
        let expected = boxed(b"moof", &boxed(b"traf", &track.concat()));
        assert_eq!((bytes, length), (expected.clone(), expected.len()));
    }

    #[test]
    fn what_cannot_be_put_so_is_refused() {
        for (base, run) in [
            (5_000, &[0, 0][..]),
            (1 << 40, &[1, 0, 0]),
            (u64::MAX, &[1, 0, 0]),
        ] {
            let refused = rebase(&mut fragment(base, run), 0);
            assert!(matches!(refused, Err(ClipError::Mp4Offsets)), "{base}");
        }
    }

    #[test]
    fn a_header_with_a_size_of_64_bits_is_refused() {
        let body = [words(&[0x11, 1]), 5_000_u64.to_be_bytes().to_vec()].concat();
        let size = 16 + body.len() as u64;
        let header = [
            words(&[1]),
            b"tfhd".to_vec(),
            size.to_be_bytes().to_vec(),
            body,
        ];
        let track = [header.concat(), boxed(b"trun", &words(&[1, 0, 300]))].concat();
        let mut bytes = boxed(b"moof", &boxed(b"traf", &track));
        let refused = rebase(&mut bytes, 4_900);
        assert!(matches!(refused, Err(ClipError::Mp4Offsets)), "{refused:?}");
    }

    #[test]
    fn cuts_change_nothing_beyond_themselves() {
        let whole = fragment(5_000, &[1, 0, 300]);
        for length in 0..whole.len() {
            let _ = rebase(&mut whole[..length].to_vec(), 4_900);
        }
        let plain = boxed(b"mdat", b"no fragment");
        let mut bytes = plain.clone();
        rebase(&mut bytes, 9).unwrap();
        assert_eq!(bytes, plain);
    }
}
