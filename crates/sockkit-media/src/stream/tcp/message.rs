//! What a frame holds: a picture, or a control message. Pure.

use bytes::{Buf, Bytes};
use sockkit_codec::frame::{FrameConfig, FrameWriteError};

use crate::{
    picture::{MessageError, Picture, PictureError, PictureHeader},
    stream::{control::Control, sender::MAX_PICTURE_BYTES},
};

/// One received message.
#[derive(Debug)]
pub(super) enum Message {
    Picture(Picture),
    Control(Control),
    /// A control message of a later day.
    Unknown,
}

impl Message {
    /// Reads a frame's payload.
    pub(super) fn read(payload: Bytes) -> Result<Self, MessageError> {
        if Control::is_one(&payload) {
            return Ok(Control::parse(&payload).map_or(Self::Unknown, Self::Control));
        }
        Picture::from_message(payload).map(Self::Picture)
    }
}

/// A picture's frame, made once for all who get it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// The frame's length and the picture's header.
    head: Bytes,
    /// The picture itself, shared with whoever published it.
    picture: Bytes,
}

impl Outgoing {
    /// Frames a picture that receivers accept.
    pub(super) fn of(frame: &Picture) -> Result<Self, Unsendable> {
        let header = PictureHeader::of(frame).emit()?;
        let frame = frame.packed();
        let limit = FrameConfig::default().max_send_bytes(MAX_PICTURE_BYTES);
        let prefix = limit.prefix(header.len() + frame.data().len())?;
        Ok(Self {
            head: [&prefix[..], &header[..]].concat().into(),
            picture: frame.into_data(),
        })
    }

    /// Bytes on the wire.
    pub(super) fn wire_bytes(&self) -> usize {
        self.head.len() + self.picture.len()
    }

    /// The bytes, to be written without a copy.
    pub(super) fn buf(&self) -> impl Buf + use<> {
        self.head.clone().chain(self.picture.clone())
    }
}

/// Why a picture is sent to no viewer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    /// It does not compress.
    #[error(transparent)]
    Compress(#[from] PictureError),
    /// It is longer than any receiver accepts.
    #[error(transparent)]
    Frame(#[from] FrameWriteError),
    /// No message carries it.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// A control message's frame.
pub(super) fn framed(control: Control) -> Vec<u8> {
    let message = control.emit();
    let prefix = FrameConfig::default()
        .prefix(message.len())
        .expect("a control message is short");
    [&prefix[..], &message[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{PixelFormat, Timestamp};

    fn picture() -> Picture {
        Picture::new(PixelFormat::Gray, 2, 1, vec![7, 9]).unwrap()
    }

    fn payload(frame: &[u8]) -> Bytes {
        let (length, payload) = frame.split_first_chunk().unwrap();
        assert_eq!(u64::from_be_bytes(*length), payload.len() as u64);
        Bytes::copy_from_slice(payload)
    }

    #[test]
    fn pictures_and_control_are_told_apart() {
        let wire = Outgoing::of(&picture()).unwrap().buf().copy_to_bytes(42);
        assert!(matches!(
            Message::read(payload(&wire)),
            Ok(Message::Picture(frame)) if frame == picture()
        ));
        let request = Control::ClockRequest { nonce: 3 };
        assert!(matches!(
            Message::read(payload(&framed(request))),
            Ok(Message::Control(read)) if read == request
        ));
    }

    #[test]
    fn control_of_a_later_day_is_no_garbage() {
        let reply = Control::ClockReply {
            nonce: 1,
            received: Timestamp::default(),
            sent: Timestamp::default(),
        };
        let mut later = payload(&framed(reply)).to_vec();
        later[5] = 99;
        assert!(matches!(Message::read(later.into()), Ok(Message::Unknown)));
        assert!(Message::read(Bytes::from_static(b"GET / HTTP/1.1")).is_err());
        assert!(Message::read(Bytes::new()).is_err());
    }

    #[test]
    fn the_picture_is_not_copied() {
        let frame = picture();
        let outgoing = Outgoing::of(&frame).unwrap();
        assert_eq!(outgoing.picture.as_ptr(), frame.data().as_ptr());
        assert_eq!(outgoing.wire_bytes(), 8 + 32 + 2);
    }

    #[test]
    fn what_no_receiver_takes_is_not_sent() {
        let side = |height| {
            let pixels = vec![0; 8_192 * height as usize];
            Picture::new(PixelFormat::Gray, 8_192, height, pixels).unwrap()
        };
        assert!(Outgoing::of(&side(8_191)).is_ok());
        assert!(matches!(
            Outgoing::of(&side(8_192)),
            Err(Unsendable::Frame(FrameWriteError::TooLong { .. }))
        ));
        let h264 = Picture::from_h264(true, 16, 16, vec![0, 0, 1, 0x65]).unwrap();
        assert!(matches!(
            Outgoing::of(&h264),
            Err(Unsendable::Message(MessageError::NoCode { .. }))
        ));
    }
}
