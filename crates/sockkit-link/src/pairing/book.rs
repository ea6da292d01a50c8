//! The state of a shown code: guesses, uses, expiry. Pure.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Code, Refusal};

/// How often a code may be used; also determines its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Uses {
    /// By one peer: a number and two words, valid for ten minutes and three
    /// guesses.
    Once,
    /// By many peers, until the offer ends: three words, 100 wrong guesses.
    Many,
}

impl Uses {
    /// Number of wrong guesses that revokes it.
    pub(super) fn guesses(self) -> u32 {
        match self {
            Self::Once => 3,
            Self::Many => 100,
        }
    }

    /// How long it is valid; `None` until the offer ends.
    pub(super) fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Once => Some(Duration::from_secs(600)),
            Self::Many => None,
        }
    }

    /// Maximum number of concurrent exchanges.
    fn parallel(self) -> u32 {
        match self {
            Self::Once => 3,
            Self::Many => 16,
        }
    }

    /// Maximum number of failed exchanges per minute, over all codes of an
    /// offer.
    fn per_minute(self) -> usize {
        match self {
            Self::Once => 12,
            Self::Many => 60,
        }
    }
}

/// The current code, and the attempts so far.
///
/// 1. [`show`](Self::show) a code.
/// 2. [`begin`](Self::begin) each exchange **before** replying: it counts as a
///    guess.
/// 3. [`end`](Self::end) it, however it ended; a correct one returns its guess.
#[derive(Debug)]
pub(super) struct Book {
    uses: Uses,
    shown: Option<Shown>,
    /// Of the code, so that the late end of an exchange is not attributed to
    /// the next code.
    generation: u64,
    /// When the failed or running exchanges began.
    recent: VecDeque<Instant>,
}

#[derive(Debug)]
struct Shown {
    code: Code,
    until: Option<Instant>,
    guesses: u32,
    under_way: u32,
}

/// How an exchange ended, and the consequence for the code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The peer knew the code and is accepted.
    Paired,
    /// It knew the code, which is no longer valid.
    TooLate,
    /// It did not know the code, or disconnected.
    Wrong,
    /// As `Wrong`, and the code is revoked.
    Burnt,
}

impl Book {
    pub(super) fn new(uses: Uses) -> Self {
        Self {
            uses,
            shown: None,
            generation: 0,
            recent: VecDeque::new(),
        }
    }

    /// Replaces the code; it is valid until `until`.
    pub(super) fn show(&mut self, code: Code, until: Option<Instant>) {
        self.generation += 1;
        self.shown = Some(Shown {
            code,
            until,
            guesses: self.uses.guesses(),
            under_way: 0,
        });
    }

    /// Revokes the code.
    pub(super) fn hide(&mut self) {
        self.shown = None;
    }

    pub(super) fn code(&self) -> Option<&Code> {
        self.shown.as_ref().map(|shown| &shown.code)
    }

    /// When the code expires.
    pub(super) fn until(&self) -> Option<Instant> {
        self.shown.as_ref()?.until
    }

    /// Counts a guess; returns the code, and the token that ends the exchange.
    pub(super) fn begin(&mut self, number: u16, now: Instant) -> Result<(Code, u64), Refusal> {
        let uses = self.uses;
        let shown = self.shown.as_mut().ok_or(Refusal::NoCode)?;
        if shown.until.is_some_and(|until| now >= until) {
            return Err(Refusal::NoCode);
        }
        if shown.code.wire_number() != number {
            return Err(Refusal::OtherNumber);
        }
        while self
            .recent
            .front()
            .is_some_and(|&began| now.saturating_duration_since(began) >= MINUTE)
        {
            self.recent.pop_front();
        }
        let crowded = shown.under_way >= uses.parallel() || self.recent.len() >= uses.per_minute();
        if shown.guesses == 0 || crowded {
            return Err(Refusal::Busy);
        }
        shown.guesses -= 1;
        shown.under_way += 1;
        self.recent.push_back(now);
        Ok((shown.code.clone(), self.generation))
    }

    /// Ends an exchange, once; `right` if the peer has proved that it knows the
    /// code.
    pub(super) fn end(&mut self, generation: u64, right: bool) -> End {
        let current = generation == self.generation;
        let Some(shown) = self.shown.as_mut().filter(|_| current) else {
            return if right { End::TooLate } else { End::Wrong };
        };
        shown.under_way -= 1;
        if right {
            shown.guesses += 1;
            self.recent.pop_back();
            if self.uses == Uses::Once {
                self.shown = None;
            }
            return End::Paired;
        }
        if shown.guesses > 0 || shown.under_way > 0 {
            return End::Wrong;
        }
        self.shown = None;
        End::Burnt
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uses: Uses, now: Instant) -> Book {
        let mut book = Book::new(uses);
        let code = match uses {
            Uses::Once => "7-coral-lamp",
            Uses::Many => "coral-lamp-orbit",
        };
        let until = uses.lifetime().map(|lifetime| now + lifetime);
        book.show(code.parse().unwrap(), until);
        book
    }

    #[test]
    fn three_wrong_guesses_burn_a_code() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        for expected in [End::Wrong, End::Wrong, End::Burnt] {
            let (_, generation) = book.begin(7, now).unwrap();
            assert_eq!(book.end(generation, false), expected);
        }
        assert_eq!(book.begin(7, now), Err(Refusal::NoCode));
        assert!(book.code().is_none());
    }

    #[test]
    fn exchanges_side_by_side_cannot_exceed_the_guesses() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let begun: Vec<_> = (0..3).map(|_| book.begin(7, now).unwrap().1).collect();
        assert_eq!(book.begin(7, now), Err(Refusal::Busy));
        assert_eq!(book.end(begun[0], false), End::Wrong);
        assert_eq!(book.begin(7, now), Err(Refusal::Busy));
        assert_eq!(book.end(begun[1], true), End::Paired);
        // Used once is used.
        assert_eq!(book.end(begun[2], true), End::TooLate);
        assert_eq!(book.begin(7, now), Err(Refusal::NoCode));
    }

    #[test]
    fn a_right_guess_is_given_back_and_many_may_be_right() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        for _ in 0..1_000 {
            let (_, generation) = book.begin(0, now).unwrap();
            assert_eq!(book.end(generation, true), End::Paired);
        }
        let later = |wrong: u64| now + Duration::from_secs(wrong);
        for wrong in 0..99 {
            let (_, generation) = book.begin(0, later(wrong)).unwrap();
            assert_eq!(book.end(generation, false), End::Wrong);
        }
        let (_, generation) = book.begin(0, later(99)).unwrap();
        assert_eq!(book.end(generation, false), End::Burnt);
    }

    #[test]
    fn at_most_sixteen_of_many_are_tried_at_a_time() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        let begun: Vec<_> = (0..16).map(|_| book.begin(0, now).unwrap().1).collect();
        assert_eq!(book.begin(0, now), Err(Refusal::Busy));
        book.end(begun[0], true);
        book.begin(0, now).unwrap();
    }

    #[test]
    fn a_minute_has_twelve_exchanges_over_all_codes() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        for _ in 0..4 {
            for _ in 0..3 {
                let (_, generation) = book.begin(7, now).unwrap();
                book.end(generation, false);
            }
            book.show("7-coral-lamp".parse().unwrap(), None);
        }
        let just_before = now + MINUTE - Duration::from_nanos(1);
        assert_eq!(book.begin(7, just_before), Err(Refusal::Busy));
        book.begin(7, now + MINUTE).unwrap();
    }

    #[test]
    fn a_code_ends_at_its_time_and_not_before() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let until = book.until().unwrap();
        assert_eq!(until, now + Duration::from_secs(600));
        book.begin(7, until - Duration::from_nanos(1)).unwrap();
        assert_eq!(book.begin(7, until), Err(Refusal::NoCode));
    }

    #[test]
    fn another_number_costs_no_guess() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        for _ in 0..100 {
            assert_eq!(book.begin(8, now), Err(Refusal::OtherNumber));
        }
        book.begin(7, now).unwrap();
    }

    #[test]
    fn the_end_of_an_exchange_with_an_old_code_changes_nothing() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let (_, old) = book.begin(7, now).unwrap();
        book.show("8-coral-lamp".parse().unwrap(), None);
        assert_eq!(book.end(old, true), End::TooLate);
        let begun: Vec<_> = (0..3).map(|_| book.begin(8, now).unwrap().1).collect();
        assert_eq!(book.begin(8, now), Err(Refusal::Busy));
        assert_eq!(begun.len(), 3);
    }
}
