//! Entry points of the fuzz targets, compiled by `cargo fuzz` and tests only.
//! Tests run them over hostile inputs. Not part of the API.
//!
//! Each function passes the input to one decoder, and returns whether it was
//! valid.

use bytes::Bytes;

use crate::{
    picture::{Picture, PictureHeader, jpeg},
    source::clip::{self, ClipFormat},
    stream::control::ControlMessage,
};

pub fn jpeg(input: &[u8]) -> bool {
    let whole = jpeg::trim(input).is_ok();
    let frame = Picture::from_jpeg(Bytes::copy_from_slice(input));
    let Ok(pixels) = frame.and_then(|frame| jpeg::decode(&frame)) else {
        return false;
    };
    assert!(whole, "decoded what is not even whole");
    let (width, height) = (pixels.width_px() as usize, pixels.height_px() as usize);
    assert_eq!(pixels.data().len(), 3 * width * height);
    true
}

/// The input is a stream of JPEGs, which comes in pieces.
pub fn jpeg_stream(input: &[u8]) -> bool {
    let mut splitter = jpeg::Splitter::new(1 << 20);
    for part in input.chunks(1_000) {
        splitter.push(part);
        while let Some(image) = splitter.take() {
            assert!(image.len() <= input.len(), "longer than all");
        }
    }
    !splitter.has_partial() && splitter.skipped_bytes() == 0
}

/// A picture behind its header.
pub fn picture(input: &[u8]) -> bool {
    let Ok(frame) = Picture::from_message(Bytes::copy_from_slice(input)) else {
        return false;
    };
    assert!(frame.width_px() <= Picture::MAX_SIDE_PX);
    assert!(frame.data().len() <= input.len() - PictureHeader::BYTES);
    true
}

/// Clock requests, clock replies, reports and repair requests.
pub fn control(input: &[u8]) -> bool {
    let Some(control) = ControlMessage::parse(input) else {
        return false;
    };
    let again = control.emit();
    assert_eq!(ControlMessage::parse(&again), Some(control));
    // A report may come without its second half; it is not answered.
    let is_report = matches!(control, ControlMessage::Report(_));
    assert!(
        is_report || again.len() <= input.len(),
        "longer than what came"
    );
    true
}

pub fn y4m(input: &[u8]) -> bool {
    clip(ClipFormat::Y4m, input)
}

pub fn mjpeg(input: &[u8]) -> bool {
    clip(ClipFormat::Mjpeg, input)
}

/// Motion JPEG, and with the feature H.264.
#[cfg(feature = "record")]
pub fn mp4(input: &[u8]) -> bool {
    clip(ClipFormat::Mp4, input)
}

fn clip(format: ClipFormat, input: &[u8]) -> bool {
    let most = 1_000;
    let shown = clip::play_through(format, input.to_vec(), most);
    assert!(
        !matches!(shown, Ok(shown) if shown == most),
        "more pictures than bytes could tell of"
    );
    shown.is_ok_and(|shown| shown > 0)
}
