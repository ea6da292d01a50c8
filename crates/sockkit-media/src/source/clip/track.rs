//! Which track of a file is shown, and which part of it.
//!
//! # Source
//! ISO/IEC 14496-12, §8.3.2 for the matrix of a track, §8.6.6 for its edit list.

use std::collections::VecDeque;

use shiguredo_mp4::{
    Decode,
    boxes::{EsdsBox, HdlrBox, MoovBox, SampleEntry, TrakBox},
};

use super::mp4::boxes;
use crate::picture::Turn;

/// The track that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    pub(super) turn: Turn,
    /// The parts that are shown, in this order; none is all of it.
    pub(super) edits: VecDeque<Edit>,
}

/// A part of a track, in its ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Edit {
    pub(super) begin: i64,
    pub(super) end: i64,
}

impl Edit {
    /// All of a track.
    pub(super) const ALL: Self = Self {
        begin: i64::MIN,
        end: i64::MAX,
    };

    /// How long a picture is shown of this part; `None` if not at all.
    pub(super) fn ticks(self, shown_at: i64, ticks: u32) -> Option<u32> {
        let end = shown_at.saturating_add(ticks.into()).min(self.end);
        let left = end.saturating_sub(shown_at.max(self.begin));
        // A picture that lasts no time at all still belongs to where it is.
        let is_within = (self.begin..self.end).contains(&shown_at);
        (left > 0 || (ticks == 0 && is_within)).then(|| u32::try_from(left).unwrap_or(ticks))
    }
}

impl Track {
    /// The first track of pictures that is enabled and can be shown; else the first that
    /// can be shown, or the first of all, whose first picture then tells why not.
    pub(super) fn choose(moov: &MoovBox) -> Option<Self> {
        let is_video =
            |track: &&TrakBox| track.mdia_box.hdlr_box.handler_type == HdlrBox::HANDLER_TYPE_VIDE;
        let best = moov.trak_boxes.iter().filter(is_video).min_by_key(|track| {
            let entries = &track.mdia_box.minf_box.stbl_box.stsd_box.entries;
            let can_be_shown = entries.first().is_some_and(can_be_shown);
            (!can_be_shown, !track.tkhd_box.flag_track_enabled)
        });
        best.map(|track| Self::of(track, moov))
    }

    fn of(track: &TrakBox, moov: &MoovBox) -> Self {
        let [a, b, _, c, d, ..] = track.tkhd_box.matrix;
        let edits = track
            .edts_box
            .iter()
            .filter_map(|edits| edits.elst_box.as_ref());
        let movie = i128::from(moov.mvhd_box.timescale.get());
        let media = i128::from(track.mdia_box.mdhd_box.timescale.get());
        let edits = edits.flat_map(|list| &list.entries).filter_map(|edit| {
            // A negative time is a pause before the track, which nothing is shown in.
            let begin = (edit.media_time >= 0).then_some(edit.media_time)?;
            let ticks = i128::from(edit.edit_duration) * media / movie;
            let end = match edit.edit_duration {
                0 => i64::MAX,
                _ => begin.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX)),
            };
            Some(Edit { begin, end })
        });
        Self {
            id: track.tkhd_box.track_id,
            turn: Turn::from_matrix([a, b, c, d]),
            edits: edits.take(MAX_EDITS).collect(),
        }
    }
}

fn can_be_shown(entry: &SampleEntry) -> bool {
    match entry {
        SampleEntry::Avc1(_) => cfg!(feature = "h264"),
        SampleEntry::Unknown(entry) => match entry.box_type.as_bytes() {
            b"jpeg" | b"mjpa" | b"mjpg" | b"MJPG" => true,
            b"mp4v" => says_jpeg(&entry.payload),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the descriptor behind the fields of a visual entry names JPEG.
fn says_jpeg(payload: &[u8]) -> bool {
    let descriptors = payload.get(VISUAL_FIELDS_BYTES..).unwrap_or_default();
    boxes(descriptors).any(|(name, body)| {
        let mut whole = Vec::from(u32::try_from(body.len() + 8).unwrap_or(0).to_be_bytes());
        whole.extend(name);
        whole.extend(body);
        name == b"esds"
            && EsdsBox::decode(&whole).is_ok_and(|(esds, _)| {
                esds.es.dec_config_descr.object_type_indication == OBJECT_TYPE_JPEG
            })
    })
}

/// Each may show the whole track again.
const MAX_EDITS: usize = 16;

/// Eight of any sample entry, and seventy of a visual one.
const VISUAL_FIELDS_BYTES: usize = 78;

/// Visual ISO/IEC 10918-1, that is JPEG.
const OBJECT_TYPE_JPEG: u8 = 0x6c;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::source::clip::{Pictures, mp4::Mp4};

    /// Four pictures of 512 ticks, 40 ms each; its moov comes last.
    const WHOLE: &[u8] = include_bytes!("whole.mp4");

    /// Where the body of the first box of that name begins.
    fn at(file: &[u8], name: &[u8; 4]) -> usize {
        file.windows(4).position(|found| found == name).unwrap() + 4
    }

    fn put(file: &mut [u8], at: usize, value: u32) {
        file[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// The file with this edit list: duration in milliseconds, begin in ticks.
    fn edited(edits: &[(u32, u32)]) -> Vec<u8> {
        let mut file = WHOLE.to_vec();
        let list = at(&file, b"elst");
        put(&mut file, list + 4, u32::try_from(edits.len()).unwrap());
        let entries = edits
            .iter()
            .flat_map(|(duration, begin)| [*duration, *begin, 1 << 16]);
        let entries: Vec<u8> = entries.flat_map(u32::to_be_bytes).collect();
        let more = u32::try_from(entries.len() - 12).unwrap();
        file.splice(list + 8..list + 20, entries);
        for name in [b"elst", b"edts", b"trak", b"moov"] {
            let size = at(&file, name) - 8;
            let old = u32::from_be_bytes(*file[size..].first_chunk().unwrap());
            put(&mut file, size, old + more);
        }
        file
    }

    /// Each picture's size, which of the four it is, and how long it is shown.
    fn shown(file: &[u8]) -> Vec<((u32, u32), usize, u128)> {
        let all = |file: &[u8]| {
            let mut clip = Mp4::new(Cursor::new(file.to_vec())).unwrap();
            std::iter::from_fn(|| clip.next().unwrap()).collect::<Vec<_>>()
        };
        let originals = all(WHOLE);
        let which = |data: &[u8]| {
            originals
                .iter()
                .position(|one| one.frame.data()[..] == *data)
        };
        all(file)
            .iter()
            .map(|one| {
                let size = (one.frame.width_px(), one.frame.height_px());
                let millis = one.duration.unwrap().as_millis();
                (size, which(one.frame.data()).unwrap_or(9), millis)
            })
            .collect()
    }

    #[test]
    fn an_edit_list_is_followed() {
        let size = (64, 48);
        let all: Vec<_> = (0..4).map(|picture| (size, picture, 40)).collect();
        for (edits, expected) in [
            (&[(160, 0)][..], all.clone()),
            (&[(0, 0)], all.clone()),
            (&[(80, 512)], all[1..3].to_vec()),
            (
                &[(0, 768)],
                vec![(size, 1, 20), (size, 2, 40), (size, 3, 40)],
            ),
            (&[(50, 512)], vec![(size, 1, 40), (size, 2, 10)]),
            (&[(40, u32::MAX), (80, 1_024)], all[2..].to_vec()),
            (
                &[(80, 1_024), (40, 0)],
                vec![(size, 2, 40), (size, 3, 40), (size, 0, 40)],
            ),
            (&[(40, 9_999)], vec![]),
        ] {
            assert_eq!(shown(&edited(edits)), expected, "{edits:?}");
        }
    }

    #[test]
    fn a_turned_track_is_shown_upright() {
        let mut file = WHOLE.to_vec();
        let matrix = at(&file, b"tkhd") + 40;
        let one = 1 << 16;
        for (place, value) in [0, one, 0, 0_u32.wrapping_sub(one), 0].iter().enumerate() {
            put(&mut file, matrix + 4 * place, *value);
        }
        let shown = shown(&file);
        assert_eq!(shown.len(), 4);
        assert!(
            shown.iter().all(|(size, ..)| *size == (48, 64)),
            "{shown:?}"
        );
    }

    /// The file with its track twice, and the flags of both.
    fn doubled(flags: [u32; 2]) -> Vec<u8> {
        let mut file = WHOLE.to_vec();
        let begin = at(&file, b"trak") - 8;
        let size = u32::from_be_bytes(*file[begin..].first_chunk().unwrap());
        let end = begin + size as usize;
        let mut second = file[begin..end].to_vec();
        let header = at(&second, b"tkhd");
        put(&mut second, header, flags[1]);
        put(&mut second, header + 12, 2);
        let header = at(&file, b"tkhd");
        put(&mut file, header, flags[0]);
        file.splice(end..end, second);
        let moov = at(&file, b"moov") - 8;
        let old = u32::from_be_bytes(*file[moov..].first_chunk().unwrap());
        put(&mut file, moov, old + size);
        file
    }

    #[test]
    fn one_track_of_several_is_shown() {
        for (flags, id) in [([3, 3], 1), ([3, 2], 1), ([2, 3], 2), ([2, 2], 1)] {
            let file = doubled(flags);
            assert_eq!(shown(&file).len(), 4, "{flags:?}");
            let moov = at(&file, b"moov") - 8;
            let (moov, _) = MoovBox::decode(&file[moov..]).unwrap();
            assert_eq!(Track::choose(&moov).unwrap().id, id, "{flags:?}");
        }
    }

    #[test]
    fn an_edit_cuts_the_pictures_at_its_ends() {
        let edit = Edit {
            begin: 100,
            end: 250,
        };
        for (shown_at, ticks, left) in [
            (0, 100, None),
            (0, 101, Some(1)),
            (60, 80, Some(40)),
            (100, 50, Some(50)),
            (240, 50, Some(10)),
            (250, 50, None),
            (i64::MAX, 50, None),
            (100, 0, Some(0)),
            (99, 0, None),
        ] {
            assert_eq!(edit.ticks(shown_at, ticks), left, "{shown_at} {ticks}");
        }
        assert_eq!(Edit::ALL.ticks(i64::MAX, 7), None);
        assert_eq!(Edit::ALL.ticks(5, 7), Some(7));
    }
}
