//! What a message holds: a picture, or a control message. Pure.

use bytes::Bytes;
use sockkit_codec::shard::{MessageKind, SplitError};
use sockkit_link::channel::{Message, SendError};

use crate::{
    picture::{MessageError, Picture, PictureError, PictureHeader},
    stream::control::ControlMessage,
};

/// What has arrived.
#[derive(Debug)]
pub(super) enum Received {
    Picture(Picture),
    Control(ControlMessage),
    /// A control message of a later day.
    Unknown,
}

impl Received {
    /// Reads a message: its kind says what it is, or, without one, its first bytes.
    pub(super) fn read(message: Message) -> Result<Self, MessageError> {
        let is_control = match message.kind {
            Some(PICTURE) => false,
            Some(CONTROL) => true,
            Some(_) => return Err(MessageError::NotAPicture),
            None => ControlMessage::is_one(&message.bytes),
        };
        if is_control {
            return Ok(
                ControlMessage::parse(&message.bytes).map_or(Self::Unknown, Self::ControlMessage)
            );
        }
        Picture::from_message(message.bytes).map(Self::Picture)
    }
}

/// A picture's message, made once for all who get it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    /// The picture's header, and the picture itself, shared with its publisher.
    pub(super) parts: [Bytes; 2],
}

impl Outgoing {
    /// The message of a picture that receivers accept.
    pub(super) fn of(picture: &Picture) -> Result<Self, NotSent> {
        let header = PictureHeader::of(picture).emit()?;
        let (number, picture) = (picture.number(), picture.packed().into_data());
        let (got, limit) = (header.len() + picture.len(), MAX_PICTURE_BYTES);
        if got > limit {
            return Err(SplitError::MessageTooLong { got, limit }.into());
        }
        Ok(Self {
            number,
            parts: [Bytes::copy_from_slice(&header), picture],
        })
    }
}

/// Why a picture was not sent, or not to all.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    /// It does not compress.
    #[error(transparent)]
    Compress(#[from] PictureError),
    /// No message carries it.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It is longer than any receiver accepts.
    #[error(transparent)]
    TooLong(#[from] SplitError),
    /// The channel has not taken it.
    #[error(transparent)]
    Channel(#[from] SendError),
}

/// The kind of message that holds a picture.
pub(super) const PICTURE: Kind = MessageKind(1);

/// The kind of message that holds a [`ControlMessage`].
pub(super) const CONTROL: Kind = MessageKind(2);

/// The longest picture message either side takes: 8K in raw RGB is longer,
/// and shall be compressed.
pub(super) const MAX_PICTURE_BYTES: usize = 64 << 20;

/// Room for control messages of a later day.
pub(super) const MAX_CONTROL_BYTES: usize = 1_024;

/// What both ends of a QUIC connection name.
pub(super) const PROTOCOL: &[u8] = b"sockkit-pictures/1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{PixelFormat, Timestamp};

    fn picture() -> Picture {
        Picture::new(PixelFormat::Gray, 2, 1, vec![7, 9]).unwrap()
    }

    fn read(kind: Option<MessageKind>, bytes: impl Into<Bytes>) -> Result<Received, MessageError> {
        let from = ([10, 0, 0, 1], 5_006).into();
        Received::read(Message::new(bytes.into(), from).of_kind(kind))
    }

    #[test]
    fn pictures_and_control_are_told_apart() {
        let message = Outgoing::of(&picture()).unwrap().parts.concat();
        for kind in [None, Some(PICTURE)] {
            assert!(matches!(
                read(kind, message.clone()),
                Ok(Received::Picture(read)) if read == picture()
            ));
        }
        let request = ControlMessage::ClockRequest { nonce: 3 };
        for kind in [None, Some(CONTROL)] {
            assert!(matches!(
                read(kind, request.emit()),
                Ok(Received::Control(read)) if read == request
            ));
        }
    }

    #[test]
    fn a_kind_is_believed_and_an_unknown_one_refused() {
        let message = Outgoing::of(&picture()).unwrap().parts.concat();
        assert!(matches!(
            read(Some(CONTROL), message.clone()),
            Ok(Received::Unknown)
        ));
        let request = ControlMessage::ClockRequest { nonce: 3 }.emit();
        assert!(read(Some(PICTURE), request).is_err());
        assert!(read(Some(MessageKind(9)), message).is_err());
    }

    #[test]
    fn control_of_a_later_day_is_no_garbage() {
        let reply = ControlMessage::ClockReply {
            nonce: 1,
            received: Timestamp::default(),
            sent: Timestamp::default(),
        };
        let mut later = reply.emit();
        later[5] = 99;
        assert!(matches!(read(None, later), Ok(Received::Unknown)));
        assert!(read(None, "GET / HTTP/1.1").is_err());
        assert!(read(None, "").is_err());
    }

    #[test]
    fn the_picture_is_not_copied() {
        let frame = picture();
        let outgoing = Outgoing::of(&frame).unwrap();
        assert_eq!(outgoing.parts[1].as_ptr(), frame.data().as_ptr());
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
            Err(NotSent::TooLong(_))
        ));
        let h264 = Picture::from_h264(true, 16, 16, vec![0, 0, 1, 0x65]).unwrap();
        assert!(matches!(
            Outgoing::of(&h264),
            Err(NotSent::Message(MessageError::NoCode { .. }))
        ));
    }
}
