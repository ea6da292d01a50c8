//! Signatures of a group's messages: its members have one key, with which each could seal
//! as the sender does. Pure.

use std::{fmt, io};

use bytes::Bytes;
use ring::{
    digest::{Context, SHA256},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use sockkit_codec::shard::{
    MessageKind, StreamId,
    seal::{Position, ReplayWindow},
};

use super::{random_secret, subscription::GroupGrant};
use crate::channel::OpenError;

/// Signs the messages of one stream.
pub(crate) struct Signer {
    key: Ed25519KeyPair,
    stream: StreamId,
}

/// Verifies them, and takes each number once.
pub(crate) struct Verifier {
    key: [u8; 32],
    stream: StreamId,
    numbers: ReplayWindow,
}

/// What is signed of a message besides its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedPlace {
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) kind: MessageKind,
}

impl Signer {
    /// With a new key.
    pub(crate) fn new(stream: StreamId) -> io::Result<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(&random_secret()?);
        let key = key.map_err(|_| io::Error::other("no key can be made"))?;
        Ok(Self { key, stream })
    }

    /// The key that members verify with.
    pub(crate) fn verifying_key(&self) -> [u8; 32] {
        let key = self.key.public_key().as_ref().try_into();
        key.expect("an Ed25519 key has 32 bytes")
    }

    /// What follows the message.
    pub(crate) fn trailer(&self, place: SignedPlace, parts: &[&[u8]]) -> [u8; TRAILER_BYTES] {
        let signature = self.key.sign(&signed(self.stream, place, parts));
        let mut trailer = [0; TRAILER_BYTES];
        let (first, rest) = trailer.split_at_mut(8);
        first.copy_from_slice(&place.epoch.to_be_bytes());
        rest.copy_from_slice(signature.as_ref());
        trailer
    }
}

impl Verifier {
    /// Of a group's messages from the one on that the grant names.
    pub(crate) fn of(grant: &GroupGrant) -> Self {
        Self::new(grant.verifying_key, grant.stream, grant.number)
    }

    /// Of the messages of a stream from this number on.
    pub(crate) fn new(key: [u8; 32], stream: StreamId, first: u64) -> Self {
        Self {
            key,
            stream,
            numbers: ReplayWindow::starting_at(Position(first)),
        }
    }

    /// Whose messages it verifies.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// Returns the message without its trailer, and its epoch.
    ///
    /// # Errors
    /// If the sender has not signed it under this number and kind, or it was verified before. The
    /// state is then unchanged.
    pub(crate) fn verify(
        &mut self,
        (number, kind): (u64, MessageKind),
        message: &Bytes,
    ) -> Result<(Bytes, u64), OpenError> {
        let (text, trailer) = message
            .split_last_chunk::<TRAILER_BYTES>()
            .ok_or(OpenError::NotSigned)?;
        let (epoch, signature) = trailer
            .split_first_chunk::<8>()
            .ok_or(OpenError::NotSigned)?;
        let epoch = u64::from_be_bytes(*epoch);
        if !self.numbers.is_new(Position(number)) {
            return Err(OpenError::NotNew);
        }
        let place = SignedPlace {
            epoch,
            number,
            kind,
        };
        let signed = signed(self.stream, place, &[text]);
        UnparsedPublicKey::new(&ED25519, &self.key)
            .verify(&signed, signature)
            .map_err(|_| OpenError::NotSigned)?;
        self.numbers.note(Position(number));
        Ok((message.slice(..text.len()), epoch))
    }
}

/// What the signature is of.
fn signed(stream: StreamId, place: SignedPlace, parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    for part in parts {
        digest.update(part);
    }
    let numbers = [stream.0, place.epoch, place.number].map(u64::to_be_bytes);
    let (numbers, kind) = (numbers.as_flattened(), [place.kind.0]);
    [LABEL, numbers, &kind, digest.finish().as_ref()].concat()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

const LABEL: &[u8] = b"sockkit group message 1";

/// The epoch and the signature.
pub(crate) const TRAILER_BYTES: usize = 8 + 64;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(7);
    const KIND: MessageKind = MessageKind(4);

    fn place(epoch: u64, number: u64) -> SignedPlace {
        SignedPlace {
            epoch,
            number,
            kind: KIND,
        }
    }

    fn signed_by(signer: &Signer, epoch: u64, number: u64, text: &[u8]) -> Bytes {
        let trailer = signer.trailer(place(epoch, number), &[text]);
        Bytes::from([text, &trailer].concat())
    }

    #[test]
    fn a_message_is_verified_once_and_each_change_is_noticed() {
        let signer = Signer::new(STREAM).unwrap();
        let verifier = || Verifier::new(signer.verifying_key(), STREAM, 5);
        let message = signed_by(&signer, 2, 5, b"a picture");
        let mut once = verifier();
        assert_eq!(
            once.verify((5, KIND), &message),
            Ok(("a picture".into(), 2))
        );
        assert_eq!(once.verify((5, KIND), &message), Err(OpenError::NotNew));

        let refused = |number, message: &Bytes| {
            let refused = verifier().verify((number, KIND), message);
            refused.unwrap_err()
        };
        for at in 0..message.len() {
            let mut changed = message.to_vec();
            changed[at] ^= 1;
            assert_eq!(refused(5, &changed.into()), OpenError::NotSigned, "{at}");
            assert_eq!(
                refused(5, &message.slice(..at)),
                OpenError::NotSigned,
                "{at}"
            );
        }
        let kind = MessageKind(5);
        let other_kind = verifier().verify((5, kind), &message);
        assert_eq!(other_kind, Err(OpenError::NotSigned));
        // Under another number, before the beginning, in another stream, by another member.
        assert_eq!(refused(6, &message), OpenError::NotSigned);
        let earlier = signed_by(&signer, 2, 4, b"a picture");
        assert_eq!(refused(4, &earlier), OpenError::NotNew);
        let mut elsewhere = Verifier::new(signer.verifying_key(), StreamId(8), 5);
        let elsewhere = elsewhere.verify((5, KIND), &message);
        assert_eq!(elsewhere, Err(OpenError::NotSigned));
        let forged = signed_by(&Signer::new(STREAM).unwrap(), 2, 6, b"believe me");
        assert_eq!(refused(6, &forged), OpenError::NotSigned);
    }

    #[test]
    fn a_forged_number_does_not_take_the_place_of_others() {
        let signer = Signer::new(STREAM).unwrap();
        let member = Signer::new(STREAM).unwrap();
        let mut verifier = Verifier::new(signer.verifying_key(), STREAM, 0);
        for number in [9, 1 << 40] {
            let forged = signed_by(&member, 0, number, b"believe me");
            let refused = verifier.verify((number, KIND), &forged);
            assert_eq!(refused, Err(OpenError::NotSigned));
        }
        let message = signed_by(&signer, 0, 9, b"a picture");
        assert!(verifier.verify((9, KIND), &message).is_ok());
    }

    /// The example in the document, which a second implementation reproduces.
    #[test]
    fn the_signed_bytes_are_those_of_the_document() {
        let signed = signed(StreamId(1), place(2, 3), &[b"0123", b"456789"]);
        let mut expected = b"sockkit group message 1".to_vec();
        for number in [1_u64, 2, 3] {
            expected.extend(number.to_be_bytes());
        }
        expected.push(4);
        expected.extend([
            0x84, 0xd8, 0x98, 0x77, 0xf0, 0xd4, 0x04, 0x1e, 0xfb, 0x6b, 0xf9, 0x1a, 0x16, 0xf0,
            0x24, 0x8f, 0x2f, 0xd5, 0x73, 0xe6, 0xaf, 0x05, 0xc1, 0x9f, 0x96, 0xbe, 0xdb, 0x9f,
            0x88, 0x2f, 0x78, 0x82,
        ]);
        assert_eq!(signed, expected);
    }
}
