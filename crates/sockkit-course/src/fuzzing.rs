//! Entry points of the fuzz targets, compiled by `cargo fuzz` and tests only.
//! Tests run them over hostile inputs. Not part of the API.
//!
//! Each function passes the input to one decoder, and returns whether it was
//! valid.

use bytes::Bytes;

use crate::{pickle::decode as unpickle, video::Assembler};

pub fn pickle(input: &[u8]) -> bool {
    let Ok(frame) = unpickle(&Bytes::copy_from_slice(input)) else {
        return false;
    };
    assert!(frame.data().len() <= input.len(), "more than came");
    true
}

/// The input is the datagrams of the course's video, each behind two bytes: its
/// length, little-endian, of which 0xb401 is a whole one.
pub fn course_video(input: &[u8]) -> bool {
    let mut assembler = Assembler::default();
    let (mut rest, mut sound) = (input, false);
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (datagram, next) = after.split_at(length);
        sound |= assembler.handle_datagram(datagram).is_some();
        rest = next;
    }
    sound
}
