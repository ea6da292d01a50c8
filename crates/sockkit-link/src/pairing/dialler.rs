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

/// An element was sent, which does not allow checking a guess.
pub(super) struct Asking {
    half: Half,
    typed: TypedCode,
}

/// The tag was sent: a false listener can check one guess with it.
pub(super) struct Confirming {
    tags: Tags,
    tried: Try,
}

/// Why this side ends the exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The code has been tried too often.
    Spent,
    /// The listener's element is one that no conforming peer sends.
    BadElement,
    /// The listener does not know the code.
    Wrong,
}

impl Asking {
    /// Starts the exchange; returns the bytes to send first.
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

    /// Processes the listener's element; returns the tag to send. The attempt
    /// counts from now on.
    pub(super) fn answer(self, theirs: &Element) -> Result<(Confirming, Tag), Ended> {
        let tags = self.half.finish(theirs).ok_or(Ended::BadElement)?;
        let tried = self.typed.begin().ok_or(Ended::Spent)?;
        let own = tags.own;
        Ok((Confirming { tags, tried }, own))
    }
}

impl Confirming {
    /// Processes the listener's tag. If it is dropped instead, the attempt
    /// stays counted.
    pub(super) fn confirm(self, theirs: &Tag) -> Result<(), Ended> {
        if !self.tags.confirm(theirs) {
            return Err(Ended::Wrong);
        }
        self.tried.was_right();
        Ok(())
    }
}
