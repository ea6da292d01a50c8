//! Puts pictures together from packets.
#![warn(clippy::indexing_slicing)]

use bytes::Bytes;

use super::{
    PAYLOAD_TYPE, SAMPLINGS, TABLE_BYTES, UNIT_PX, WITH_RESTARTS, standard_huffman_tables,
};
use crate::{
    jpeg::marker::{
        BASELINE, END_OF_IMAGE, QUANTIZATION_TABLES, RESTART_INTERVAL, START_OF_IMAGE,
        START_OF_SCAN,
    },
    rtp::{RtpError, RtpHeader},
};

/// Rebuilds JPEGs, of which every one decodes to the pixels of the sender's.
///
/// Packets must arrive in order: a gap or a swap costs the picture. Pictures with the
/// tables in each of them are understood (quality 128 to 255), since that is what
/// senders use.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::rtp::jpeg::Depacketizer;
///
/// let mut pictures = Depacketizer::new(1 << 20);
/// assert!(pictures.handle_packet(b"not a packet").is_err());
/// ```
#[derive(Debug)]
pub struct Depacketizer {
    max_picture_bytes: usize,
    ssrc: Option<u32>,
    /// The sequence number to come.
    next: u16,
    picture: Option<Partial>,
    lost: u64,
}

/// A picture of which some packets have arrived.
#[derive(Debug)]
struct Partial {
    timestamp: u32,
    /// What the main header says but for the offset, and the restart interval.
    kind: [u8; 4],
    restart_interval: u16,
    /// The headers of the JPEG, and the data.
    jpeg: Vec<u8>,
    /// Length of the data so far.
    scan_bytes: usize,
}

/// Why a packet is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DepacketizeError {
    /// It is no RTP packet.
    #[error(transparent)]
    Rtp(#[from] RtpError),
    /// Its payload is not JPEG's.
    #[error("payload type {0} is not JPEG")]
    PayloadType(u8),
    /// Its payload ends within its headers.
    #[error("payload of {length} bytes is cut off")]
    CutOff {
        /// Length of the payload, in bytes.
        length: usize,
    },
    /// The type of picture is none of 0, 1, 64 and 65, or a side is zero.
    #[error("type {kind} of {width}x{height} units is unknown")]
    Kind {
        /// The type.
        kind: u8,
        /// Width in units of 8 pixels.
        width: u8,
        /// Height likewise.
        height: u8,
    },
    /// Tables are not in the payload, or not two of 8 bits.
    #[error("quality {0} without two tables of 8 bits in the payload")]
    Tables(u8),
    /// The picture would be longer than the limit.
    #[error("picture is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Depacketizer {
    /// For pictures of at most this length: the data of one is kept until it is whole.
    #[must_use]
    pub fn new(max_picture_bytes: usize) -> Self {
        Self {
            max_picture_bytes,
            ssrc: None,
            next: 0,
            picture: None,
            lost: 0,
        }
    }

    /// Pictures whose first packet arrived, and of which another is missing.
    ///
    /// One without its first packet is not counted.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a packet. Returns the picture that it completes.
    ///
    /// # Errors
    /// [`DepacketizeError`], after which the picture is lost.
    pub fn handle_packet(&mut self, packet: &[u8]) -> Result<Option<Bytes>, DepacketizeError> {
        let (header, payload) = RtpHeader::parse(packet)?;
        if header.payload_type != PAYLOAD_TYPE {
            return Err(DepacketizeError::PayloadType(header.payload_type));
        }
        self.follow(&header);
        let handled = self.handle_payload(&header, payload);
        if handled.is_err() {
            self.drop_partial();
        }
        handled
    }

    /// Drops the picture if the packet is not the next one of it.
    fn follow(&mut self, header: &RtpHeader) {
        let is_next = self.ssrc == Some(header.ssrc) && self.next == header.sequence;
        self.ssrc = Some(header.ssrc);
        self.next = header.sequence.wrapping_add(1);
        let continues = |picture: &Partial| is_next && picture.timestamp == header.timestamp;
        if !self.picture.as_ref().is_none_or(continues) {
            self.drop_partial();
        }
    }

    fn drop_partial(&mut self) {
        self.lost += u64::from(self.picture.take().is_some());
    }

    fn handle_payload(
        &mut self,
        header: &RtpHeader,
        payload: &[u8],
    ) -> Result<Option<Bytes>, DepacketizeError> {
        let fragment = Parsed::parse(payload)?;
        if fragment.offset == 0 {
            self.drop_partial();
            self.picture = Some(Partial::begin(header.timestamp, &fragment)?);
        }
        // Without its beginning a picture is of no use; it was counted when it was cut.
        let Some(mut picture) = self.picture.take() else {
            return Ok(None);
        };
        if !picture.continues_with(&fragment) {
            self.lost += 1;
            return Ok(None);
        }
        if picture.jpeg.len() + fragment.data.len() > self.max_picture_bytes {
            self.lost += 1;
            return Err(DepacketizeError::TooLong {
                limit: self.max_picture_bytes,
            });
        }
        picture.jpeg.extend_from_slice(fragment.data);
        picture.scan_bytes += fragment.data.len();
        if !header.is_marked {
            self.picture = Some(picture);
            return Ok(None);
        }
        Ok(Some(picture.end()))
    }
}

/// The headers of a payload, and its data.
#[derive(Debug)]
struct Parsed<'a> {
    offset: usize,
    kind: [u8; 4],
    restart_interval: u16,
    /// In the first payload of a picture.
    tables: &'a [u8],
    data: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, DepacketizeError> {
        let cut_off = DepacketizeError::CutOff {
            length: payload.len(),
        };
        let (main, mut data) = payload.split_first_chunk().ok_or(cut_off)?;
        let &[_, o2, o1, o0, kind, quality, width, height] = main;
        if !matches!(kind & !WITH_RESTARTS, 0 | 1) || width == 0 || height == 0 {
            return Err(DepacketizeError::Kind {
                kind,
                width,
                height,
            });
        }
        let mut restart_interval = 0;
        if kind & WITH_RESTARTS != 0 {
            let (&[i1, i0, _, _], rest) = data.split_first_chunk().ok_or(cut_off)?;
            restart_interval = u16::from_be_bytes([i1, i0]);
            data = rest;
        }
        let offset = usize::try_from(u32::from_be_bytes([0, o2, o1, o0])).unwrap_or(usize::MAX);
        let mut tables = &[][..];
        if offset == 0 {
            let no_tables = DepacketizeError::Tables(quality);
            if quality < FIRST_WITH_TABLES {
                return Err(no_tables);
            }
            let (&[_, precision, l1, l0], rest) = data.split_first_chunk().ok_or(cut_off)?;
            let bytes = usize::from(u16::from_be_bytes([l1, l0]));
            if (precision, bytes) != (0, 2 * TABLE_BYTES) {
                return Err(no_tables);
            }
            (tables, data) = rest.split_at_checked(bytes).ok_or(cut_off)?;
        }
        Ok(Self {
            offset,
            kind: [kind, quality, width, height],
            restart_interval,
            tables,
            data,
        })
    }
}

impl Partial {
    fn begin(timestamp: u32, fragment: &Parsed<'_>) -> Result<Self, DepacketizeError> {
        let [kind, quality, width, height] = fragment.kind;
        let (luma, colours) = fragment
            .tables
            .split_first_chunk()
            .and_then(|(luma, rest)| Some((luma, rest.first_chunk()?)))
            .ok_or(DepacketizeError::Tables(quality))?;
        let sampling = SAMPLINGS.get(usize::from(kind & !WITH_RESTARTS));
        let sampling = sampling.ok_or(DepacketizeError::Kind {
            kind,
            width,
            height,
        })?;
        let sides = [width, height].map(|side| u16::from(side) * UNIT_PX);
        Ok(Self {
            timestamp,
            kind: fragment.kind,
            restart_interval: fragment.restart_interval,
            jpeg: headers(sides, sampling, fragment.restart_interval, [luma, colours]),
            scan_bytes: 0,
        })
    }

    fn continues_with(&self, fragment: &Parsed<'_>) -> bool {
        (fragment.offset, fragment.kind) == (self.scan_bytes, self.kind)
            && fragment.restart_interval == self.restart_interval
    }

    fn end(mut self) -> Bytes {
        // Some senders include the end marker.
        if !self.jpeg.ends_with(&[0xff, END_OF_IMAGE]) {
            self.jpeg.extend([0xff, END_OF_IMAGE]);
        }
        self.jpeg.into()
    }
}

/// A JPEG up to its compressed data.
fn headers(
    [width_px, height_px]: [u16; 2],
    sampling: &[u8; 3],
    restart_interval: u16,
    tables: [&[u8; TABLE_BYTES]; 2],
) -> Vec<u8> {
    let mut jpeg = vec![0xff, START_OF_IMAGE];
    for (slot, table) in (0..).zip(tables) {
        jpeg.extend([0xff, QUANTIZATION_TABLES, 0, 67, slot]);
        jpeg.extend(table);
    }
    if restart_interval != 0 {
        jpeg.extend([0xff, RESTART_INTERVAL, 0, 4]);
        jpeg.extend(restart_interval.to_be_bytes());
    }
    jpeg.extend([0xff, BASELINE, 0, 17, 8]);
    jpeg.extend(height_px.to_be_bytes());
    jpeg.extend(width_px.to_be_bytes());
    jpeg.push(3);
    for ((id, factors), slot) in (1..).zip(sampling).zip([0, 1, 1]) {
        jpeg.extend([id, *factors, slot]);
    }
    jpeg.extend(standard_huffman_tables());
    jpeg.extend([0xff, START_OF_SCAN, 0, 12, 3]);
    jpeg.extend([1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    jpeg
}

/// The first quality that has its tables in the payload.
const FIRST_WITH_TABLES: u8 = 128;
