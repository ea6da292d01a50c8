//! A JPEG as RTP carries it.
#![warn(clippy::indexing_slicing)]

use bytes::Bytes;

use super::{
    Fragment, MAX_SCAN_BYTES, NotCarried, TABLE_BYTES, fragment::Fragments, read::Headers,
    scan::end_of_scan,
};
use crate::jpeg::marker::END_OF_IMAGE;

/// What RTP carries of a JPEG: its kind, its size, its tables and its compressed data,
/// which is shared with the JPEG and not copied.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use bytes::Bytes;
/// use sockkit::rtp::{RtpHeader, jpeg::{JpegFrame, NotCarried, PAYLOAD_TYPE}};
///
/// /// The packets of one picture.
/// fn packets(jpeg: &Bytes, sequence: u16, timestamp: u32) -> Result<Vec<Vec<u8>>, NotCarried> {
///     let fragments = JpegFrame::new(jpeg)?.fragments(1_400);
///     let packets = fragments.zip(0..).map(|(fragment, number)| {
///         let header = RtpHeader {
///             payload_type: PAYLOAD_TYPE,
///             is_marked: fragment.is_last(),
///             sequence: sequence.wrapping_add(number),
///             timestamp,
///             ssrc: 1,
///         };
///         [&header.emit(), fragment.header(), fragment.data()].concat()
///     });
///     Ok(packets.collect())
/// }
/// # assert!(packets(&Bytes::new(), 0, 0).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct JpegFrame {
    pub(super) kind: u8,
    size_px: (u16, u16),
    pub(super) restart_interval: u16,
    /// Luma, then the colours.
    pub(super) tables: [[u8; TABLE_BYTES]; 2],
    /// The compressed data, without the end marker.
    pub(super) scan: Bytes,
}

impl JpegFrame {
    /// Checks that `jpeg` can be carried as it is, up to the end of its only scan.
    ///
    /// Takes time for the length of the data, which is looked through for its end.
    ///
    /// # Errors
    /// [`NotCarried`], which says why not.
    pub fn new(jpeg: &Bytes) -> Result<Self, NotCarried> {
        let headers = Headers::read(jpeg)?;
        let (end, marker) = end_of_scan(jpeg, headers.scan)?;
        if marker != END_OF_IMAGE {
            return Err(NotCarried::Scans);
        }
        let scan = jpeg.slice(headers.scan..end);
        if scan.is_empty() {
            return Err(NotCarried::CutOff { length: end });
        }
        if scan.len() > MAX_SCAN_BYTES {
            return Err(NotCarried::TooLong { bytes: scan.len() });
        }
        Ok(Self {
            kind: headers.kind,
            size_px: headers.size_px,
            restart_interval: headers.restart_interval,
            tables: headers.tables.map(|table| *table),
            scan,
        })
    }

    /// Width and height in pixels. A player shows them rounded up to a multiple of 8: the
    /// encoder has filled the rest.
    #[must_use]
    pub fn size_px(&self) -> (u16, u16) {
        self.size_px
    }

    /// Cuts it into payloads of at most `max_payload_bytes`, and at least
    /// [`MIN_PAYLOAD_BYTES`](super::MIN_PAYLOAD_BYTES).
    ///
    /// The tables are in the first one.
    pub fn fragments(&self, max_payload_bytes: usize) -> impl Iterator<Item = Fragment> + use<> {
        Fragments::new(self, max_payload_bytes)
    }
}
