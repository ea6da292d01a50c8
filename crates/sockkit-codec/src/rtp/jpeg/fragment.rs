//! The payload of one packet.
#![warn(clippy::indexing_slicing)]

use bytes::{Bytes, BytesMut};

use super::{JpegFrame, TABLE_BYTES, TABLES_IN_BAND, UNIT_PX, WITH_RESTARTS};

/// A part of a picture, with the header that goes before it.
///
/// ```text
/// | type-specific |              fragment offset                  |
/// |     type      |       Q       |     width     |     height    |
/// | restart interval (type 64 and up)  |F|L|    restart count     |
/// |     MBZ       |   precision   |   length of the tables        |  first one only
/// |   64 bytes of luma's table, 64 bytes of the colours'          |
/// ```
///
/// # Source
/// RFC 2435, section 3.1.
#[derive(Clone, Debug)]
pub struct Fragment {
    header: Bytes,
    data: Bytes,
    is_last: bool,
}

impl Fragment {
    /// The header of the payload, which follows RTP's.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The compressed data after it.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Length of the payload, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.header.len() + self.data.len()
    }

    /// Whether it ends the picture, so that its packet is marked.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }
}

/// Cuts a picture.
#[derive(Debug)]
pub(super) struct Fragments {
    main: [u8; 8],
    restart: Option<[u8; 4]>,
    tables: [[u8; TABLE_BYTES]; 2],
    scan: Bytes,
    offset: u32,
    max_payload_bytes: usize,
}

impl Fragments {
    pub(super) fn new(frame: &JpegFrame, max_payload_bytes: usize) -> Self {
        let [width, height] = [frame.size_px().0, frame.size_px().1]
            .map(|side| u8::try_from(side.div_ceil(UNIT_PX)).unwrap_or(u8::MAX));
        let restarts = frame.restart_interval != 0;
        let kind = frame.kind + if restarts { WITH_RESTARTS } else { 0 };
        let [i1, i0] = frame.restart_interval.to_be_bytes();
        Self {
            main: [0, 0, 0, 0, kind, TABLES_IN_BAND, width, height],
            // Fragments do not begin at restarts: all bits of the count mean that.
            restart: restarts.then_some([i1, i0, 0xff, 0xff]),
            tables: frame.tables,
            scan: frame.scan.clone(),
            offset: 0,
            max_payload_bytes: max_payload_bytes.max(MIN_PAYLOAD_BYTES),
        }
    }

    fn header(&self) -> Bytes {
        let mut header = BytesMut::with_capacity(MAX_HEADER_BYTES);
        let [_, o2, o1, o0] = self.offset.to_be_bytes();
        let [_, _, _, _, rest @ ..] = self.main;
        header.extend_from_slice(&[0, o2, o1, o0]);
        header.extend_from_slice(&rest);
        header.extend_from_slice(self.restart.as_ref().map_or(&[], |restart| restart));
        if self.offset == 0 {
            let bytes = u16::try_from(self.tables.as_flattened().len()).unwrap_or_default();
            let [l1, l0] = bytes.to_be_bytes();
            header.extend_from_slice(&[0, 0, l1, l0]);
            header.extend_from_slice(self.tables.as_flattened());
        }
        header.freeze()
    }
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        if self.scan.is_empty() {
            return None;
        }
        let header = self.header();
        let room = self.max_payload_bytes.saturating_sub(header.len());
        let data = self.scan.split_to(room.min(self.scan.len()));
        self.offset += u32::try_from(data.len()).unwrap_or_default();
        Some(Fragment {
            header,
            data,
            is_last: self.scan.is_empty(),
        })
    }
}

/// Main header, restarts, header of the tables, and the tables.
const MAX_HEADER_BYTES: usize = 8 + 4 + 4 + 2 * TABLE_BYTES;

/// Least length of a payload, in bytes: the first header, and some data.
pub const MIN_PAYLOAD_BYTES: usize = 2 * MAX_HEADER_BYTES;
