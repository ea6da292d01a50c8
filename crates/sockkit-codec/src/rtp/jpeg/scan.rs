//! Finds the end of a JPEG's scan.
#![warn(clippy::indexing_slicing)]

use super::NotCarried;
use crate::jpeg::marker::{FIRST_RESTART, LAST_RESTART};

/// The end of the scan that begins at `begin`: the offset of the marker after it, and
/// that marker.
pub(super) fn end_of_scan(jpeg: &[u8], begin: usize) -> Result<(usize, u8), NotCarried> {
    let mut at = begin;
    loop {
        let rest = jpeg.get(at..).ok_or_else(|| cut_off(jpeg))?;
        let found = rest.iter().position(|&byte| byte == 0xff);
        at += found.ok_or_else(|| cut_off(jpeg))?;
        match jpeg.get(at + 1) {
            None => return Err(cut_off(jpeg)),
            Some(0x00 | FIRST_RESTART..=LAST_RESTART) => at += 2,
            // Fill bytes.
            Some(0xff) => at += 1,
            Some(&marker) => return Ok((at, marker)),
        }
    }
}

pub(super) fn cut_off(jpeg: &[u8]) -> NotCarried {
    NotCarried::CutOff { length: jpeg.len() }
}
