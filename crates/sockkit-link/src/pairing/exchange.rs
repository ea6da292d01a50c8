//! SPAKE2 over the group of Ed25519, bound to the connection and to both keys,
//! and the tags with which each side proves that it knows the code. Pure.
//!
//! # Source
//! RFC 9382, in the form of `python-spake2` (magic-wormhole's), which the crate
//! spake2 implements.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::{CryptoRng, RngCore};
use sha2::Sha256;
use spake2::{Ed25519Group, Group, Identity, Password, Spake2};
use subtle::ConstantTimeEq;

use super::{Code, wire::VERSION};
use crate::Fingerprint;

/// What an exchange is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) dialler: Fingerprint,
    pub(super) listener: Fingerprint,
    /// Exported from the connection's keys: a relay has two connections, and so
    /// two different values.
    pub(super) binding: [u8; 32],
}

/// The side of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Dialler,
    Listener,
}

/// An element of the group, which reveals nothing about the code.
pub(super) type Element = [u8; 32];

/// Proves that its sender knows the code.
pub(super) type Tag = [u8; 32];

/// Random bytes from which a secret scalar is derived.
pub(crate) type Seed = [u8; 64];

/// This side's half.
pub(super) struct Half {
    role: Role,
    context: Vec<u8>,
    own: Element,
    spake: Spake2<Ed25519Group>,
}

/// One per direction.
pub(super) struct Tags {
    pub(super) own: Tag,
    expected: Tag,
}

impl Half {
    pub(super) fn new(role: Role, bound: &Bound, code: &Code, seed: Seed) -> Self {
        let context = bound.context(code.wire_number());
        let identity = |role: Role| Identity::new(&[&context[..], role.name()].concat());
        let (dialler, listener) = (identity(Role::Dialler), identity(Role::Listener));
        let password = Password::new(code.secret());
        let random = Given(seed);
        let (spake, message) = match role {
            Role::Dialler => Spake2::start_a_with_rng(&password, &dialler, &listener, random),
            Role::Listener => Spake2::start_b_with_rng(&password, &dialler, &listener, random),
        };
        // The crate prefixes the side; here it follows from the message's
        // position.
        let own = message[1..].try_into().expect("an element has 32 bytes");
        Self {
            role,
            context,
            own,
            spake,
        }
    }

    pub(super) fn element(&self) -> Element {
        self.own
    }

    /// Computes the tags; `None` for an element that no conforming peer sends.
    pub(super) fn finish(self, theirs: &Element) -> Option<Tags> {
        if !is_sound(theirs) {
            return None;
        }
        let side: &[u8] = match self.role {
            Role::Dialler => b"B",
            Role::Listener => b"A",
        };
        let key = self.spake.finish(&[side, theirs].concat()).ok()?;
        let (from_dialler, from_listener) = match self.role {
            Role::Dialler => (&self.own, theirs),
            Role::Listener => (theirs, &self.own),
        };
        let transcript = [&self.context[..], from_dialler, from_listener].concat();
        Some(Tags {
            own: tag(&key, self.role, &transcript),
            expected: tag(&key, self.role.other(), &transcript),
        })
    }
}

impl Tags {
    /// Whether the peer knows the code, in constant time.
    pub(super) fn confirm(&self, theirs: &Tag) -> bool {
        self.expected.ct_eq(theirs).into()
    }
}

impl Bound {
    /// The context in SPAKE2's identities and in the tags.
    fn context(&self, number: u16) -> Vec<u8> {
        let (dialler, listener) = (self.dialler.as_bytes(), self.listener.as_bytes());
        let number = number.to_be_bytes();
        [LABEL, &[VERSION], &number, dialler, listener, &self.binding].concat()
    }
}

impl Role {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Dialler => b"dialler",
            Self::Listener => b"listener",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// HMAC-SHA256 with a key used for that direction only.
fn tag(key: &[u8], role: Role, transcript: &[u8]) -> Tag {
    let mut own = [0; 32];
    Hkdf::<Sha256>::new(None, key)
        .expand(&[CONFIRMS, role.name()].concat(), &mut own)
        .expect("32 bytes are not too many");
    let mut mac = Hmac::<Sha256>::new_from_slice(&own).expect("a key may have any length");
    mac.update(role.name());
    mac.update(transcript);
    mac.finalize().into_bytes().into()
}

/// In the subgroup of prime order, not the identity, and in canonical form: any
/// other element could leak secrets, or fix the key.
fn is_sound(element: &Element) -> bool {
    Ed25519Group::bytes_to_element(element).is_some_and(|point| {
        !point.is_small_order()
            && point.is_torsion_free()
            && Ed25519Group::element_to_bytes(&point) == element
    })
}

/// Returns these bytes as the random source that the crate asks for.
struct Given(Seed);

impl RngCore for Given {
    fn next_u32(&mut self) -> u32 {
        unreachable!("a secret number is made of 64 bytes at once")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("a secret number is made of 64 bytes at once")
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// The caller provides random bytes.
impl CryptoRng for Given {}

const LABEL: &[u8] = b"sockkit pair";
const CONFIRMS: &[u8] = b"sockkit pair confirms ";
