//! The dialler's side of an exchange. Pure.
//!
//! ```text
//!   Asking::new ─▶ hello, element      send it
//!   answer(element) ─▶ tag             counts a try, then send it
//!   confirm(tag)                       gives the try back, or not
//! ```

use super::{
    TypedCode,
    exchange::{Bound, Element, Half, Role, Seed, Tag, Tags},
    typed::Try,
    wire::{Hello, Way},
};

/// An element was sent, and nothing that a guess could be checked by.
pub(super) struct Asking {
    half: Half,
    typed: TypedCode,
}

/// The tag was sent: a false listener can check one guess by it.
pub(super) struct Confirming {
    tags: Tags,
    tried: Try,
}

/// Why this side ends the exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The code was tried too often already.
    Spent,
    /// The listener's element is none that an honest one sends.
    BadElement,
    /// The listener does not know the code.
    Wrong,
}

impl Asking {
    /// What it begins with, to be sent first.
    pub(super) fn new(bound: &Bound, typed: &TypedCode, seed: Seed) -> (Self, Vec<u8>) {
        let half = Half::new(Role::Dialler, bound, typed.code(), seed);
        let hello = Hello {
            way: Way::Code,
            number: typed.code().wire_number(),
        };
        let first = [&hello.to_bytes()[..], &half.element()].concat();
        let typed = typed.clone();
        (Self { half, typed }, first)
    }

    /// Takes the listener's element; what comes back is to be sent. The try is
    /// counted from now on.
    pub(super) fn answer(self, theirs: &Element) -> Result<(Confirming, Tag), Ended> {
        let tags = self.half.finish(theirs).ok_or(Ended::BadElement)?;
        let tried = self.typed.begin().ok_or(Ended::Spent)?;
        let own = tags.own;
        Ok((Confirming { tags, tried }, own))
    }
}

impl Confirming {
    /// Takes the listener's tag. Dropping this instead leaves the try counted.
    pub(super) fn confirm(self, theirs: &Tag) -> Result<(), Ended> {
        if !self.tags.confirm(theirs) {
            return Err(Ended::Wrong);
        }
        self.tried.was_right();
        Ok(())
    }
}
