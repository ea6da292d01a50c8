//! Reads the headers of a JPEG, and checks that RTP can carry it.
#![warn(clippy::indexing_slicing)]

use super::{
    MAX_SIDE_PX, NotCarried, SAMPLINGS, Sampling, TABLE_BYTES, scan::cut_off, tables::is_standard,
};
use crate::jpeg::{
    Segment, Segments,
    marker::{
        ADOBE, BASELINE, HUFFMAN_TABLES, QUANTIZATION_TABLES, RESTART_INTERVAL, START_OF_SCAN,
    },
};

/// What the headers say, up to the scan.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    /// Of the quantization tables that were defined, the last in each slot.
    quantization: [Option<&'a [u8; TABLE_BYTES]>; 4],
    /// Whether the Huffman table in each slot is the standard one of that slot.
    huffman: [bool; 8],
    restart_interval: u16,
    /// Whether the colours are said not to be YCbCr.
    is_other_colour: bool,
    frame: Option<Frame>,
}

/// A checked frame header.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: u8,
    size_px: (u16, u16),
    ids: [u8; 3],
    /// The slots of the quantization tables.
    slots: [u8; 3],
}

/// A JPEG that can be carried.
#[derive(Debug)]
pub(super) struct Carried<'a> {
    pub(super) kind: u8,
    pub(super) size_px: (u16, u16),
    pub(super) restart_interval: u16,
    pub(super) tables: [&'a [u8; TABLE_BYTES]; 2],
    /// Offset of the compressed data.
    pub(super) scan: usize,
}

impl<'a> Headers<'a> {
    /// Reads the headers up to the scan.
    pub(super) fn read(jpeg: &'a [u8]) -> Result<Carried<'a>, NotCarried> {
        let mut headers = Self {
            quantization: [None; 4],
            // Cameras that leave the tables out mean the standard ones.
            huffman: [true; 8],
            restart_interval: 0,
            is_other_colour: false,
            frame: None,
        };
        for segment in Segments::new(jpeg)? {
            let segment = segment?;
            if segment.marker == START_OF_SCAN {
                return headers.carried(&segment).ok_or_else(|| cut_off(jpeg))?;
            }
            headers.handle(&segment).ok_or_else(|| cut_off(jpeg))??;
        }
        Err(cut_off(jpeg))
    }

    /// `None` if the segment is too short.
    fn handle(&mut self, segment: &Segment<'a>) -> Option<Result<(), NotCarried>> {
        match segment.marker {
            HUFFMAN_TABLES => self.handle_huffman(segment.body)?,
            QUANTIZATION_TABLES => return self.handle_quantization(segment.body),
            RESTART_INTERVAL => {
                let interval = segment.body.first_chunk()?;
                self.restart_interval = u16::from_be_bytes(*interval);
            }
            ADOBE => {
                // Its last byte is 1 for YCbCr.
                let transform = segment.body.strip_prefix(b"Adobe").and_then(|b| b.get(6));
                self.is_other_colour = transform.is_some_and(|&transform| transform != 1);
            }
            BASELINE if self.frame.is_some() => return Some(Err(NotCarried::Scans)),
            BASELINE => match Frame::read(segment.body)? {
                Ok(frame) => self.frame = Some(frame),
                Err(error) => return Some(Err(error)),
            },
            process => {
                if let Some(process) = process_name(process) {
                    return Some(Err(NotCarried::Process(process)));
                }
            }
        }
        Some(Ok(()))
    }

    fn handle_huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&class_and_slot, tables)) = body.split_first() {
            let counts = tables.first_chunk::<16>()?;
            let values: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (table, rest) = tables.split_at_checked(16 + values)?;
            let slot = self.huffman.get_mut(huffman_slot(class_and_slot))?;
            *slot = is_standard(class_and_slot, table);
            body = rest;
        }
        Some(())
    }

    fn handle_quantization(&mut self, mut body: &'a [u8]) -> Option<Result<(), NotCarried>> {
        while let Some((&precision_and_slot, rest)) = body.split_first() {
            if precision_and_slot >> 4 != 0 {
                return Some(Err(NotCarried::QuantizationTables));
            }
            let (table, rest) = rest.split_first_chunk()?;
            *self.quantization.get_mut(usize::from(precision_and_slot))? = Some(table);
            body = rest;
        }
        Some(Ok(()))
    }

    /// Checks the scan header against the frame's. `None` if it is too short.
    fn carried(&self, scan: &Segment<'_>) -> Option<Result<Carried<'a>, NotCarried>> {
        let Some(frame) = &self.frame else {
            return Some(Err(NotCarried::Scans));
        };
        if *scan.body.first()? != 3 {
            return Some(Err(NotCarried::Scans));
        }
        let &[_, c0, t0, c1, t1, c2, t2, first, last, approximation] = scan.body.first_chunk()?;
        if ([c0, c1, c2], [first, last, approximation]) != (frame.ids, [0, 63, 0]) {
            return Some(Err(NotCarried::Scans));
        }
        if [t0, t1, t2] != [0x00, 0x11, 0x11] || self.huffman != [true; 8] {
            return Some(Err(NotCarried::HuffmanTables));
        }
        if self.is_other_colour || frame.ids == *b"RGB" {
            return Some(Err(NotCarried::Colours));
        }
        let table = |slot: u8| *self.quantization.get(usize::from(slot)).unwrap_or(&None);
        let [Some(luma), Some(blue), Some(red)] = frame.slots.map(table) else {
            return Some(Err(NotCarried::QuantizationTables));
        };
        if blue != red {
            return Some(Err(NotCarried::QuantizationTables));
        }
        Some(Ok(Carried {
            kind: frame.kind,
            size_px: frame.size_px,
            restart_interval: self.restart_interval,
            tables: [luma, blue],
            scan: scan.end,
        }))
    }
}

impl Frame {
    /// `None` if the header is too short.
    fn read(body: &[u8]) -> Option<Result<Self, NotCarried>> {
        let (&[precision, h1, h0, w1, w0, count], components) = body.split_first_chunk()?;
        if precision != 8 {
            return Some(Err(NotCarried::Precision(precision)));
        }
        if count != 3 {
            return Some(Err(NotCarried::Components(count)));
        }
        let (width_px, height_px) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        let sides = 1..=MAX_SIDE_PX;
        if !sides.contains(&width_px) || !sides.contains(&height_px) {
            return Some(Err(NotCarried::Size {
                width_px,
                height_px,
            }));
        }
        let components: &[[u8; 3]; 3] = components.as_chunks().0.first_chunk()?;
        let sampling: Sampling = components.map(|[_, factors, _]| factors);
        let Some(kind) = (0..).zip(SAMPLINGS).find(|(_, known)| *known == sampling) else {
            return Some(Err(NotCarried::Sampling));
        };
        Some(Ok(Self {
            kind: kind.0,
            size_px: (width_px, height_px),
            ids: components.map(|[id, _, _]| id),
            slots: components.map(|[_, _, slot]| slot),
        }))
    }
}

/// DC before AC, four slots each; none beyond.
fn huffman_slot(class_and_slot: u8) -> usize {
    match (class_and_slot >> 4, class_and_slot & 0xf) {
        (class @ 0..=1, slot @ 0..=3) => usize::from(4 * class + slot),
        _ => usize::MAX,
    }
}

/// The kind of picture that a frame header other than baseline begins.
fn process_name(marker: u8) -> Option<&'static str> {
    Some(match marker {
        0xc1 => "extended sequential",
        0xc2 => "progressive",
        0xc3 => "lossless",
        0xc5..=0xc7 | 0xcd..=0xcf => "hierarchical",
        0xc9..=0xcb => "arithmetic coded",
        _ => return None,
    })
}
