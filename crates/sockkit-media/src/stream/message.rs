//! The contents of a message: a picture, or a control message. Pure.

use bytes::Bytes;
use sockkit_codec::shard::{MessageKind, SplitError};
use sockkit_link::channel::{Message, SendError};

use crate::{
    picture::{MessageError, Picture, PictureError, PictureHeader},
    stream::control::ControlMessage,
};

/// A parsed message.
#[derive(Debug)]
pub(super) enum Received {
    Picture(Picture),
    Control(ControlMessage),
    /// A control message of a later version.
    Unknown,
}

impl Received {
    /// Parses a message: by its kind or, without one, by its first bytes.
    pub(super) fn read(message: Message) -> Result<Self, MessageError> {
        let is_control = match message.kind {
            Some(PICTURE) => false,
            Some(CONTROL) => true,
            Some(_) => return Err(MessageError::NotAPicture),
            None => ControlMessage::is_one(&message.bytes),
        };
        if is_control {
            return Ok(ControlMessage::parse(&message.bytes).map_or(Self::Unknown, Self::Control));
        }
        Picture::from_message(message.bytes).map(Self::Picture)
    }
}

/// The message of a picture, encoded once for all receivers.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    /// The header and the data, which is shared with the publisher.
    pub(super) parts: [Bytes; 2],
}

impl Outgoing {
    /// Encodes a picture as a message that receivers accept.
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

/// Why a picture was not sent, or not to all destinations.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    /// It cannot be compressed.
    #[error(transparent)]
    Compress(#[from] PictureError),
    /// Messages cannot carry its encoding.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It exceeds every receiver's limit.
    #[error(transparent)]
    TooLong(#[from] SplitError),
    /// The channel rejected it.
    #[error(transparent)]
    Channel(#[from] SendError),
}

/// The kind of message with a picture.
pub(super) const PICTURE: MessageKind = MessageKind(1);

/// The kind of message with a [`ControlMessage`].
pub(super) const CONTROL: MessageKind = MessageKind(2);

/// Maximum length of a picture message on either side. 8K in raw RGB is longer,
/// and has to be compressed.
pub(super) const MAX_PICTURE_BYTES: usize = 64 << 20;

/// Allows for control messages of a later version.
pub(super) const MAX_CONTROL_BYTES: usize = 1_024;

/// ALPN protocol name for QUIC.
pub(super) const PROTOCOL: &[u8] = b"sockkit-pictures/1";

/// The same for the connections of subscriptions.
#[cfg(all(feature = "sealing", feature = "pairing"))]
pub(super) const SUBSCRIPTIONS: &[u8] = b"sockkit-subscription/1";

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
