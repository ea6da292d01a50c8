//! The state of a typed code: a false listener gets one guess per exchange.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::Code;

/// A code that the user typed, and the number of attempts left.
///
/// Any host may answer a dialler, and can check one guess of the code per
/// exchange. So a code is valid for three failed exchanges, however often the
/// program dials; clones count together.
#[derive(Clone, Debug)]
pub struct TypedCode {
    code: Code,
    left: Arc<AtomicU32>,
}

/// An exchange, counted from its beginning. It is uncounted only if the
/// listener has proved that it knows the code.
#[derive(Debug)]
#[must_use = "it counts as wrong until it is given back"]
pub(super) struct Try(Arc<AtomicU32>);

impl TypedCode {
    /// Creates a code with three attempts.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            left: Arc::new(AtomicU32::new(TRIES)),
        }
    }

    /// The code.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Counts an attempt, before this side's proof is sent.
    pub(super) fn begin(&self) -> Option<Try> {
        let taken = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        taken.ok().map(|_| Try(Arc::clone(&self.left)))
    }

    /// Whether no attempts are left.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

impl Try {
    pub(super) fn was_right(self) {
        self.0.fetch_add(1, Relaxed);
    }
}

const TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_that_do_not_end_well_and_no_more() {
        let typed = TypedCode::new("7-coral-lamp".parse().unwrap());
        for _ in 0..100 {
            typed.begin().unwrap().was_right();
        }
        let clone = typed.clone();
        drop(typed.begin().unwrap());
        drop(clone.begin().unwrap());
        assert!(!typed.is_spent());
        let last = typed.begin().unwrap();
        assert!(clone.begin().is_none() && clone.is_spent());
        last.was_right();
        assert!(clone.begin().is_some());
    }
}
