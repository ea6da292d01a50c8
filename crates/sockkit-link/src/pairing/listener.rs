//! The listener's side of an exchange. Pure.
//!
//! ```text
//!   hello, element ─▶ Answering::new   with a guess that was taken before
//!   element()                          send it
//!   confirm(tag) ─▶ tag                only if theirs was right; send it
//! ```

use super::{
    Code, Refusal,
    exchange::{Bound, Element, Half, Role, Seed, Tag, Tags},
};

/// The listener's element may be sent.
pub(super) struct Answering {
    own: Element,
    tags: Tags,
}

impl Answering {
    /// Processes the dialler's element.
    pub(super) fn new(
        bound: &Bound,
        code: &Code,
        seed: Seed,
        theirs: &Element,
    ) -> Result<Self, Refusal> {
        let half = Half::new(Role::Listener, bound, code, seed);
        let own = half.element();
        let tags = half.finish(theirs).ok_or(Refusal::Malformed)?;
        Ok(Self { own, tags })
    }

    pub(super) fn element(&self) -> Element {
        self.own
    }

    /// Returns this side's tag, but only to a peer that knows the code.
    pub(super) fn confirm(&self, theirs: &Tag) -> Option<Tag> {
        self.tags.confirm(theirs).then_some(self.tags.own)
    }
}
