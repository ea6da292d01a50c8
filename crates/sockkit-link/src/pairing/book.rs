//! The state of a shown code: guesses, uses, expiry. Pure.

use std::{
    collections::VecDeque,
    net::IpAddr,
    time::{Duration, Instant},
};

use sockkit_core::server::host;

use super::{Code, Refusal};

/// How often a code may be used; also determines its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Uses {
    /// By one peer: a number and two words, valid for ten minutes and three
    /// guesses.
    Once,
    /// By many peers, until the offer ends: three words, 100 wrong guesses. The
    /// first 64 new ones become known peers, and later ones are trusted until
    /// the program ends.
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

    /// How many new peers an offer adds to the list of known ones. A code for
    /// one adds one, and then another is drawn by its user.
    pub(super) fn places(self) -> usize {
        match self {
            Self::Once => usize::MAX,
            Self::Many => 64,
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
    fn parallel(self) -> usize {
        match self {
            Self::Once => 3,
            Self::Many => 16,
        }
    }

    /// Maximum number of concurrent exchanges with one host, which cannot keep
    /// a room out.
    fn parallel_per_host(self) -> usize {
        match self {
            Self::Once => 3,
            Self::Many => 4,
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
/// 4. When the code is [`burnt`](Self::burnt), show the next one, or
///    [`hide`](Self::hide) it.
#[derive(Debug)]
pub(super) struct Book {
    uses: Uses,
    shown: Option<Shown>,
    /// The hosts whose guesses revoked the code, until it is replaced.
    burnt: Option<Vec<IpAddr>>,
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
    /// The host of each running exchange.
    under_way: Vec<IpAddr>,
    /// The hosts that failed, each once; fewer than there are guesses.
    failed: Vec<IpAddr>,
}

/// A running exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token {
    generation: u64,
    began: Instant,
    from: IpAddr,
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
            burnt: None,
            generation: 0,
            recent: VecDeque::new(),
        }
    }

    /// Replaces the code; it is valid until `until`.
    pub(super) fn show(&mut self, code: Code, until: Option<Instant>) {
        self.hide();
        self.shown = Some(Shown {
            code,
            until,
            guesses: self.uses.guesses(),
            under_way: Vec::new(),
            failed: Vec::new(),
        });
    }

    /// Revokes the code.
    pub(super) fn hide(&mut self) {
        self.generation += 1;
        self.shown = None;
        self.burnt = None;
    }

    pub(super) fn code(&self) -> Option<&Code> {
        self.shown.as_ref().map(|shown| &shown.code)
    }

    /// When the code expires.
    pub(super) fn until(&self) -> Option<Instant> {
        self.shown.as_ref()?.until
    }

    /// The hosts whose wrong guesses revoked the code, if it must be replaced.
    pub(super) fn burnt(&self) -> Option<&[IpAddr]> {
        self.burnt.as_deref()
    }

    /// Whether an exchange was with the current code.
    pub(super) fn is_current(&self, token: &Token) -> bool {
        token.generation == self.generation
    }

    /// Counts a guess by `from`; returns the code, and the token that ends the
    /// exchange.
    pub(super) fn begin(
        &mut self,
        number: u16,
        from: IpAddr,
        now: Instant,
    ) -> Result<(Code, Token), Refusal> {
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
        let is_from_there = |one: &&IpAddr| host(**one) == host(from);
        let crowded = shown.under_way.len() >= uses.parallel()
            || shown.under_way.iter().filter(is_from_there).count() >= uses.parallel_per_host()
            || self.recent.len() >= uses.per_minute();
        if shown.guesses == 0 || crowded {
            return Err(Refusal::Busy);
        }
        shown.guesses -= 1;
        shown.under_way.push(from);
        self.recent.push_back(now);
        let token = Token {
            generation: self.generation,
            began: now,
            from,
        };
        Ok((shown.code.clone(), token))
    }

    /// Ends an exchange, once; `right` if the peer has proved that it knows the
    /// code.
    pub(super) fn end(&mut self, token: &Token, right: bool) -> End {
        if right {
            return match self.give_back(token) {
                true => self.used(),
                false => End::TooLate,
            };
        }
        let Some(shown) = self.ended(token) else {
            return End::Wrong;
        };
        if !shown.failed.contains(&token.from) {
            shown.failed.push(token.from);
        }
        if shown.guesses > 0 || !shown.under_way.is_empty() {
            return End::Wrong;
        }
        self.burnt = self.shown.take().map(|shown| shown.failed);
        End::Burnt
    }

    /// Ends an exchange as if it had not begun; `false` if its code is no
    /// longer valid.
    pub(super) fn give_back(&mut self, token: &Token) -> bool {
        let Some(shown) = self.ended(token) else {
            return false;
        };
        shown.guesses += 1;
        let own = self.recent.iter().rposition(|began| *began == token.began);
        self.recent.remove(own.unwrap_or(usize::MAX));
        true
    }

    fn used(&mut self) -> End {
        if self.uses == Uses::Once {
            self.shown = None;
        }
        End::Paired
    }

    /// The code of an exchange that is no longer running, if it is valid.
    fn ended(&mut self, token: &Token) -> Option<&mut Shown> {
        let current = self.is_current(token);
        let shown = self.shown.as_mut().filter(|_| current)?;
        let own = shown.under_way.iter().position(|from| *from == token.from);
        shown.under_way.swap_remove(own?);
        Some(shown)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

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
            let (_, token) = book.begin(7, HOST, now).unwrap();
            assert_eq!(book.end(&token, false), expected);
        }
        assert_eq!(book.begin(7, HOST, now), Err(Refusal::NoCode));
        assert!(book.code().is_none());
    }

    #[test]
    fn exchanges_side_by_side_cannot_exceed_the_guesses() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let begun: Vec<_> = (0..3)
            .map(|_| book.begin(7, HOST, now).unwrap().1)
            .collect();
        assert_eq!(book.begin(7, HOST, now), Err(Refusal::Busy));
        assert_eq!(book.end(&begun[0], false), End::Wrong);
        assert_eq!(book.begin(7, HOST, now), Err(Refusal::Busy));
        assert_eq!(book.end(&begun[1], true), End::Paired);
        // Used once is used.
        assert_eq!(book.end(&begun[2], true), End::TooLate);
        assert_eq!(book.begin(7, HOST, now), Err(Refusal::NoCode));
    }

    #[test]
    fn a_right_guess_is_given_back_and_many_may_be_right() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        for _ in 0..1_000 {
            let (_, token) = book.begin(0, HOST, now).unwrap();
            assert_eq!(book.end(&token, true), End::Paired);
        }
        let later = |wrong: u64| now + Duration::from_secs(wrong);
        for wrong in 0..99 {
            let (_, token) = book.begin(0, HOST, later(wrong)).unwrap();
            assert_eq!(book.end(&token, false), End::Wrong);
        }
        let (_, token) = book.begin(0, HOST, later(99)).unwrap();
        assert_eq!(book.end(&token, false), End::Burnt);
    }

    #[test]
    fn at_most_sixteen_of_many_are_tried_at_a_time() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        let from = |host: u8| IpAddr::from([192, 0, 2, host]);
        let begun: Vec<_> = (0..16)
            .map(|host| book.begin(0, from(host), now).unwrap().1)
            .collect();
        assert_eq!(book.begin(0, HOST, now), Err(Refusal::Busy));
        book.end(&begun[0], true);
        book.begin(0, HOST, now).unwrap();
    }

    #[test]
    fn at_most_four_of_them_are_from_one_host() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        let own = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"];
        let own = own.map(|from| book.begin(0, from.parse().unwrap(), now).unwrap().1);
        let fifth: IpAddr = "2001:db8::5".parse().unwrap();
        assert_eq!(book.begin(0, fifth, now), Err(Refusal::Busy));
        book.begin(0, "2001:db8:0:1::1".parse().unwrap(), now)
            .unwrap();
        book.end(&own[2], false);
        book.begin(0, fifth, now).unwrap();
    }

    #[test]
    fn the_hosts_that_burnt_a_code_are_kept_until_it_is_replaced() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let from = |host: u8| IpAddr::from([192, 0, 2, host]);
        let (_, old) = book.begin(7, from(1), now).unwrap();
        book.show("7-coral-lamp".parse().unwrap(), None);
        // Neither one that tried the code before, nor one that knew this one.
        assert_eq!(book.end(&old, false), End::Wrong);
        let (_, knew) = book.begin(7, from(2), now).unwrap();
        assert!(book.give_back(&knew));
        for host in [3, 4, 3] {
            let (_, token) = book.begin(7, from(host), now).unwrap();
            book.end(&token, false);
        }
        assert_eq!(book.burnt(), Some(&[from(3), from(4)][..]));
        book.show("8-coral-lamp".parse().unwrap(), None);
        assert_eq!(book.burnt(), None);
    }

    #[test]
    fn a_right_exchange_takes_its_own_entry_off_the_minute() {
        let now = Instant::now();
        let mut book = shown(Uses::Many, now);
        let (_, right) = book.begin(0, HOST, now).unwrap();
        let later = now + Duration::from_secs(59);
        let (_, wrong) = book.begin(0, HOST, later).unwrap();
        book.end(&wrong, false);
        book.end(&right, true);
        assert_eq!(book.recent, [later]);
    }

    #[test]
    fn a_minute_has_twelve_exchanges_over_all_codes() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        for _ in 0..4 {
            for _ in 0..3 {
                let (_, token) = book.begin(7, HOST, now).unwrap();
                book.end(&token, false);
            }
            book.show("7-coral-lamp".parse().unwrap(), None);
        }
        let just_before = now + MINUTE - Duration::from_nanos(1);
        assert_eq!(book.begin(7, HOST, just_before), Err(Refusal::Busy));
        book.begin(7, HOST, now + MINUTE).unwrap();
    }

    #[test]
    fn a_code_ends_at_its_time_and_not_before() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let until = book.until().unwrap();
        assert_eq!(until, now + Duration::from_secs(600));
        book.begin(7, HOST, until - Duration::from_nanos(1))
            .unwrap();
        assert_eq!(book.begin(7, HOST, until), Err(Refusal::NoCode));
    }

    #[test]
    fn another_number_costs_no_guess() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        for _ in 0..100 {
            assert_eq!(book.begin(8, HOST, now), Err(Refusal::OtherNumber));
        }
        book.begin(7, HOST, now).unwrap();
    }

    #[test]
    fn the_end_of_an_exchange_with_an_old_code_changes_nothing() {
        let now = Instant::now();
        let mut book = shown(Uses::Once, now);
        let (_, old) = book.begin(7, HOST, now).unwrap();
        book.show("8-coral-lamp".parse().unwrap(), None);
        assert_eq!(book.end(&old, true), End::TooLate);
        let begun: Vec<_> = (0..3)
            .map(|_| book.begin(8, HOST, now).unwrap().1)
            .collect();
        assert_eq!(book.begin(8, HOST, now), Err(Refusal::Busy));
        assert_eq!(begun.len(), 3);
    }
}
