//! The MP4 boxes around the pictures.
//!
//! One `moov` without samples, then for each fragment a `moof` with the lengths
//! of its pictures and an `mdat` with their data. A truncated file is readable
//! up to its last complete fragment.
//!
//! # Source
//! ISO/IEC 14496-12 for the boxes; 14496-1 for the descriptor of JPEG.

use std::{io, num::NonZeroU32, time::Duration};

use shiguredo_mp4::{
    BoxSize, BoxType, Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags,
    Uint,
    boxes::{
        Brand, DinfBox, EsdsBox, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader, MehdBox, MfhdBox,
        MinfBox, MoofBox, MoovBox, MvexBox, MvhdBox, SampleEntry, StblBox, StcoBox, StscBox,
        StsdBox, StszBox, SttsBox, TfdtBox, TfhdBox, TkhdBox, TrafBox, TrakBox, TrexBox, TrunBox,
        TrunSample, UnknownBox, VisualSampleEntryFields, VmhdBox,
    },
    descriptors::{DecoderConfigDescriptor, EsDescriptor, SlConfigDescriptor},
};

use crate::picture::Timestamp;

/// The start of a file: what it is, and one track of such pictures.
///
/// It has the same length whatever the duration, so that it can be written over.
pub(super) struct Start {
    pub(super) entry: SampleEntry,
    pub(super) width_px: u16,
    pub(super) height_px: u16,
    pub(super) created: Timestamp,
}

impl Start {
    /// A duration of zero is one that is not known yet.
    pub(super) fn encode(&self, duration: Duration) -> io::Result<Vec<u8>> {
        let ftyp = FtypBox {
            major_brand: Brand::ISO5,
            minor_version: 0,
            compatible_brands: vec![Brand::ISO5, Brand::ISO6, Brand::MP41],
        };
        // Below the limit at which the boxes would change their length.
        let millis = duration.as_millis().min(u128::from(u32::MAX));
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let created = file_time(self.created);
        let moov = MoovBox {
            mvhd_box: MvhdBox {
                creation_time: created,
                modification_time: created,
                timescale: MILLIS_PER_SECOND,
                duration: millis,
                rate: MvhdBox::DEFAULT_RATE,
                volume: MvhdBox::DEFAULT_VOLUME,
                matrix: MvhdBox::DEFAULT_MATRIX,
                next_track_id: TRACK + 1,
            },
            trak_boxes: vec![self.track(created, millis)],
            mvex_box: Some(MvexBox {
                mehd_box: Some(MehdBox {
                    fragment_duration: millis,
                }),
                trex_boxes: vec![TrexBox {
                    track_id: TRACK,
                    default_sample_description_index: 1,
                    default_sample_duration: 0,
                    default_sample_size: 0,
                    default_sample_flags: SampleFlags::empty(),
                }],
                unknown_boxes: Vec::new(),
            }),
            unknown_boxes: Vec::new(),
        };
        Ok([encoded(&ftyp)?, encoded(&moov)?].concat())
    }
}

/// Seconds since 1904; none for a time that no clock tells.
fn file_time(captured: Timestamp) -> Mp4FileTime {
    let seconds = captured.as_micros() / 1_000_000;
    match seconds {
        1..=MAX_UNIX_SECONDS => Mp4FileTime::from_unix_time(Duration::from_secs(seconds)),
        _ => Mp4FileTime::default(),
    }
}

/// One picture of a fragment: its length in the file, and its duration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) bytes: u32,
    pub(super) micros: u32,
    pub(super) kind: SampleKind,
}

/// What a player needs in order to show a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SampleKind {
    /// Nothing else: a player can start here.
    Keyframe,
    /// Earlier pictures.
    #[cfg(feature = "h264")]
    Delta,
}

impl SampleKind {
    const fn flags(self) -> SampleFlags {
        match self {
            Self::Keyframe => SampleFlags::from_fields(0, 2, 0, 0, 0, false, 0),
            #[cfg(feature = "h264")]
            Self::Delta => SampleFlags::from_fields(0, 1, 0, 0, 0, true, 0),
        }
    }
}

/// The header of a fragment, before its pictures.
///
/// `number` counts fragments from 1; `begins_micros` is the duration of
/// everything before.
pub(super) fn fragment(
    number: u32,
    begins_micros: u64,
    pictures: &[Sample],
) -> io::Result<Vec<u8>> {
    let payload: u64 = pictures
        .iter()
        .map(|picture| u64::from(picture.bytes))
        .sum();
    let mdat_bytes = u32::try_from(MDAT_HEADER_BYTES as u64 + payload).map_err(io::Error::other)?;
    // The offset has a fixed width, so the size of the box does not depend on it.
    let moof_bytes = encoded(&moof(number, begins_micros, pictures, 0))?.len();
    let offset = i32::try_from(moof_bytes + MDAT_HEADER_BYTES).map_err(io::Error::other)?;
    let mut header = encoded(&moof(number, begins_micros, pictures, offset))?;
    header.extend_from_slice(&mdat_bytes.to_be_bytes());
    header.extend_from_slice(b"mdat");
    Ok(header)
}

/// `offset` is that of the first picture, from the start of this box.
fn moof(number: u32, begins_micros: u64, pictures: &[Sample], offset: i32) -> MoofBox {
    // Written once if it applies to all samples.
    let alone = pictures
        .iter()
        .all(|picture| picture.kind == SampleKind::Keyframe);
    MoofBox {
        mfhd_box: MfhdBox {
            sequence_number: number,
        },
        traf_boxes: vec![TrafBox {
            tfhd_box: TfhdBox {
                track_id: TRACK,
                base_data_offset: None,
                sample_description_index: None,
                default_sample_duration: None,
                default_sample_size: None,
                default_sample_flags: alone.then(|| SampleKind::Keyframe.flags()),
                duration_is_empty: false,
                default_base_is_moof: true,
            },
            tfdt_box: Some(TfdtBox {
                version: 1,
                base_media_decode_time: begins_micros,
            }),
            trun_boxes: vec![TrunBox {
                data_offset: Some(offset),
                first_sample_flags: None,
                samples: pictures
                    .iter()
                    .map(|picture| run_entry(picture, alone))
                    .collect(),
            }],
            unknown_boxes: Vec::new(),
        }],
        unknown_boxes: Vec::new(),
    }
}

fn run_entry(picture: &Sample, flags_are_said: bool) -> TrunSample {
    TrunSample {
        duration: Some(picture.micros),
        size: Some(picture.bytes),
        flags: (!flags_are_said).then(|| picture.kind.flags()),
        composition_time_offset: None,
    }
}

impl Start {
    fn track(&self, created: Mp4FileTime, millis: u64) -> TrakBox {
        // The box has signed 16.16 numbers; no picture is wider than 8,192 px.
        let side = |px: u16| FixedPointNumber::new(i16::try_from(px).unwrap_or(i16::MAX), 0);
        let tkhd_box = TkhdBox {
            flag_track_enabled: true,
            flag_track_in_movie: true,
            flag_track_in_preview: false,
            flag_track_size_is_aspect_ratio: false,
            creation_time: created,
            modification_time: created,
            track_id: TRACK,
            duration: millis,
            layer: TkhdBox::DEFAULT_LAYER,
            alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
            volume: TkhdBox::DEFAULT_VIDEO_VOLUME,
            matrix: TkhdBox::DEFAULT_MATRIX,
            width: side(self.width_px),
            height: side(self.height_px),
        };
        // Empty tables: the fragments have them.
        let stbl_box = StblBox {
            stsd_box: StsdBox {
                entries: vec![self.entry.clone()],
            },
            stts_box: SttsBox {
                entries: Vec::new(),
            },
            ctts_box: None,
            cslg_box: None,
            stsc_box: StscBox {
                entries: Vec::new(),
            },
            stsz_box: StszBox::Variable {
                entry_sizes: Vec::new(),
            },
            stco_or_co64_box: Either::A(StcoBox {
                chunk_offsets: Vec::new(),
            }),
            stss_box: None,
            sdtp_box: None,
            unknown_boxes: Vec::new(),
        };
        TrakBox {
            tkhd_box,
            edts_box: None,
            mdia_box: MdiaBox {
                mdhd_box: MdhdBox {
                    creation_time: created,
                    modification_time: created,
                    timescale: TICKS_PER_SECOND,
                    duration: 0,
                    language: LanguageCode::UNDEFINED,
                },
                hdlr_box: HdlrBox {
                    handler_type: HdlrBox::HANDLER_TYPE_VIDE,
                    name: b"sockkit\0".to_vec(),
                },
                minf_box: MinfBox {
                    media_header: Some(MediaHeader::Vmhd(VmhdBox::default())),
                    dinf_box: DinfBox::LOCAL_FILE,
                    stbl_box,
                    unknown_boxes: Vec::new(),
                },
                unknown_boxes: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        }
    }
}

/// `mp4v` with a descriptor for JPEG, as written by ffmpeg and understood by
/// players.
pub(super) fn motion_jpeg(width_px: u16, height_px: u16) -> io::Result<SampleEntry> {
    let visual = VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width: width_px,
        height: height_px,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    };
    let esds = EsdsBox {
        es: EsDescriptor {
            es_id: EsDescriptor::MIN_ES_ID,
            stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
            depends_on_es_id: None,
            url_string: None,
            ocr_es_id: None,
            dec_config_descr: DecoderConfigDescriptor {
                object_type_indication: OBJECT_TYPE_JPEG,
                stream_type: STREAM_TYPE_VISUAL,
                up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
                buffer_size_db: Uint::new(0),
                max_bitrate: 0,
                avg_bitrate: 0,
                dec_specific_info: None,
            },
            sl_config_descr: SlConfigDescriptor,
        },
    };
    let payload = [encoded(&visual)?, encoded(&esds)?].concat();
    let size = u32::try_from(8 + payload.len()).expect("about a hundred bytes");
    Ok(SampleEntry::Unknown(UnknownBox {
        box_type: BoxType::Normal(*b"mp4v"),
        box_size: BoxSize::U32(size),
        payload,
    }))
}

fn encoded(item: &impl Encode) -> io::Result<Vec<u8>> {
    item.encode_to_vec().map_err(io::Error::other)
}

/// Capture times are in microseconds, and so is the file.
const TICKS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// What the header counts in, which has room for 49 days of them.
const MILLIS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// 2040, when 32 bits of seconds since 1904 end.
const MAX_UNIX_SECONDS: u64 = u32::MAX as u64 - 2_082_844_800;

/// The one track.
const TRACK: u32 = 1;

/// Visual ISO/IEC 10918-1, that is JPEG.
const OBJECT_TYPE_JPEG: u8 = 0x6c;

const STREAM_TYPE_VISUAL: Uint<u8, 6, 2> = Uint::new(4);

const MDAT_HEADER_BYTES: usize = 8;

#[cfg(all(test, feature = "h264"))]
mod tests {
    use shiguredo_mp4::Decode;

    use super::*;

    /// A player's own parser may find out, so no player shows a wrong mark.
    #[test]
    fn h264_pictures_that_need_others_are_marked_as_non_sync() {
        let pictures = [SampleKind::Keyframe, SampleKind::Delta].map(|kind| Sample {
            bytes: 1,
            micros: 1,
            kind,
        });
        let header = fragment(1, 0, &pictures).unwrap();
        let (moof, _) = MoofBox::decode(&header).unwrap();
        let flags: Vec<_> = moof.traf_boxes[0].trun_boxes[0]
            .samples
            .iter()
            .map(|sample| sample.flags.unwrap())
            .collect();
        // ISO/IEC 14496-12 §8.8.3.1: depends on none; depends on others, non-sync.
        let expected = [0x0200_0000_u32, 0x0101_0000].map(|flags| flags.to_be_bytes().to_vec());
        let encoded: Vec<_> = flags
            .iter()
            .map(|flags| flags.encode_to_vec().unwrap())
            .collect();
        assert_eq!(encoded, expected);
    }
}
