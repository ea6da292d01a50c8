//! A code shown to the user of this side.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant as Clock, sleep_until},
};

use super::{
    Code, Refusal, Uses,
    book::{Book, End, Token},
    code::RANDOM_BYTES,
};

/// Accepts peers that know the shown code; for a
/// [`Trust`](crate::trust::Trust). Clones are the same offer.
///
/// [`Uses`] limits a code. When it is revoked or has expired, no peer is
/// accepted until [`News::next`] has drawn the next one, since only then can it
/// be shown. That happens however many events were missed.
#[derive(Clone, Debug)]
pub struct Offer(Arc<Shared>);

/// The events of an [`Offer`], for the program that shows the code.
#[derive(Debug)]
pub struct News {
    offer: Offer,
    /// For display only: what must be done is in the book.
    events: mpsc::Receiver<Told>,
}

/// An event to show to the user.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OfferEvent {
    /// A peer was accepted; a code of [`Uses::Once`] is used up.
    Paired,
    /// A host tried another code, or disconnected.
    Wrong {
        /// The host.
        from: IpAddr,
    },
    /// Too many wrong guesses: the code is revoked.
    Burnt {
        /// The hosts that made them.
        from: Vec<IpAddr>,
        /// The code to show now; `None` if the user had chosen the code.
        next: Option<Code>,
    },
    /// The code expired unused.
    Expired {
        /// The code to show now; `None` if the user had chosen the code.
        next: Option<Code>,
    },
}

#[derive(Debug)]
struct Shared {
    uses: Uses,
    /// Chosen by the user, and so not replaced.
    fixed: bool,
    book: Mutex<Book>,
    /// The code was burnt or replaced.
    changed: Notify,
    /// How many new peers may still be added to the list of known ones.
    places: AtomicUsize,
    tell: mpsc::Sender<Told>,
}

/// How an exchange ended.
#[derive(Debug)]
struct Told {
    end: End,
    token: Token,
    from: IpAddr,
}

/// An exchange, counted as wrong unless it is completed.
#[derive(Debug)]
pub(super) struct Guess {
    shared: Arc<Shared>,
    token: Token,
    from: IpAddr,
    ended: bool,
}

/// A code that is too short for its [`Uses`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a code for many peers has three words and no number, such as coral-lamp-orbit")]
pub struct ShortCode;

impl Offer {
    /// Creates an offer with a random code.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn new(uses: Uses) -> io::Result<(Self, News)> {
        let (offer, news) = Self::empty(uses, false);
        offer.draw()?;
        Ok((offer, news))
    }

    /// Creates an offer with a code chosen by the user, which is not replaced
    /// when it is revoked or has expired.
    ///
    /// # Errors
    /// [`ShortCode`] for a code of two words that many peers may use: it could
    /// be guessed within the limits of [`Uses::Many`]. One of three words that
    /// one peer may use is longer than necessary.
    pub fn of(code: Code, uses: Uses) -> Result<(Self, News), ShortCode> {
        if uses == Uses::Many && code.number().is_some() {
            return Err(ShortCode);
        }
        let (offer, news) = Self::empty(uses, true);
        offer.show(code);
        Ok((offer, news))
    }

    fn empty(uses: Uses, fixed: bool) -> (Self, News) {
        let (tell, events) = mpsc::channel(MAX_TOLD);
        let offer = Self(Arc::new(Shared {
            uses,
            fixed,
            book: Mutex::new(Book::new(uses)),
            changed: Notify::new(),
            places: AtomicUsize::new(uses.places()),
            tell,
        }));
        let news = News {
            offer: offer.clone(),
            events,
        };
        (offer, news)
    }

    /// The current code.
    pub fn code(&self) -> Option<Code> {
        self.0.book().code().cloned()
    }

    /// Draws the next code, for example after one was used, and makes it the
    /// current one.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn draw(&self) -> io::Result<Code> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let code = Code::drawn(self.0.uses == Uses::Once, &random);
        self.show(code.clone());
        Ok(code)
    }

    fn show(&self, code: Code) {
        let lifetime = self.0.uses.lifetime();
        let until = lifetime.map(|lifetime| now() + lifetime);
        self.0.book().show(code, until);
        self.0.changed.notify_one();
    }

    /// Whether one more new peer may be added to the list of known ones: the
    /// holder of a code may make any number of keys.
    pub(crate) fn takes_place(&self) -> bool {
        let taken = self
            .0
            .places
            .fetch_update(Relaxed, Relaxed, |places| places.checked_sub(1));
        taken.is_ok()
    }

    /// Counts a guess before anything is sent.
    pub(super) fn begin(&self, number: u16, from: IpAddr) -> Result<(Code, Guess), Refusal> {
        let (code, token) = self.0.book().begin(number, from, now())?;
        let guess = Guess {
            shared: Arc::clone(&self.0),
            token,
            from,
            ended: false,
        };
        Ok((code, guess))
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess {
    /// The peer knows the code; returns whether the code is still valid.
    pub(super) fn was_right(mut self) -> bool {
        self.end(true) == End::Paired
    }

    /// The peer knows the code, but cannot be accepted for another reason: the
    /// code stays valid.
    pub(super) fn give_back(mut self) {
        self.ended = true;
        self.shared.book().give_back(&self.token);
    }

    fn end(&mut self, right: bool) -> End {
        self.ended = true;
        let end = self.shared.book().end(&self.token, right);
        let (token, from) = (self.token, self.from);
        match end {
            End::Burnt => self.shared.changed.notify_one(),
            // If the queue is full, the owner has enough events.
            _ => drop(self.shared.tell.try_send(Told { end, token, from })),
        }
        end
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        if !self.ended {
            self.end(false);
        }
    }
}

impl News {
    /// Waits for the next event. A code that is revoked or has expired has been
    /// replaced by then.
    ///
    /// # Errors
    /// If a code must be drawn, and the system's random source fails.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> io::Result<OfferEvent> {
        loop {
            if let Some(event) = self.overdue()? {
                return Ok(event);
            }
            let until = self.offer.0.book().until();
            let expired = async {
                match until {
                    Some(until) => sleep_until(Clock::from_std(until)).await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                Some(told) = self.events.recv() => told,
                () = self.offer.0.changed.notified() => continue,
                () = expired => continue,
            };
            if let Some(event) = self.heard(&told) {
                return Ok(event);
            }
        }
    }

    /// Replaces a code that is no longer valid.
    fn overdue(&self) -> io::Result<Option<OfferEvent>> {
        let (burnt, until) = {
            let book = self.offer.0.book();
            (book.burnt().map(<[_]>::to_vec), book.until())
        };
        if let Some(from) = burnt {
            let next = self.replace()?;
            return Ok(Some(OfferEvent::Burnt { from, next }));
        }
        if until.is_some_and(|until| now() >= until) {
            let next = self.replace()?;
            return Ok(Some(OfferEvent::Expired { next }));
        }
        Ok(None)
    }

    fn heard(&self, told: &Told) -> Option<OfferEvent> {
        match told.end {
            End::Paired => Some(OfferEvent::Paired),
            // With a code that is no longer shown it is of no interest.
            End::Wrong if self.offer.0.book().is_current(&told.token) => {
                Some(OfferEvent::Wrong { from: told.from })
            }
            _ => None,
        }
    }

    fn replace(&self) -> io::Result<Option<Code>> {
        match self.offer.0.fixed {
            true => {
                self.offer.0.book().hide();
                Ok(None)
            }
            false => self.offer.draw().map(Some),
        }
    }
}

/// The runtime's clock, so that tests can pause it.
fn now() -> Instant {
    Clock::now().into_std()
}

/// Further events in a row carry no information.
const MAX_TOLD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, u8::try_from(number).unwrap()])
    }

    fn guess_wrong(offer: &Offer, from: usize) {
        drop(offer.begin(0, host(from)).unwrap());
    }

    /// A hundred guesses, of which the queue holds no more than 64, while
    /// the program does something else.
    #[tokio::test(start_paused = true)]
    async fn a_burnt_code_is_replaced_however_many_events_were_missed() {
        let (offer, mut news) = Offer::new(Uses::Many).unwrap();
        let first = offer.code();
        for from in 0..100 {
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            guess_wrong(&offer, from);
        }
        assert_eq!(offer.code(), None);
        let OfferEvent::Burnt { from, next } = news.next().await.unwrap() else {
            panic!("it is burnt");
        };
        assert_eq!(from, (0..100).map(host).collect::<Vec<_>>());
        assert!(next.is_some() && next == offer.code() && next != first);
        // None of the old events is about the new code.
        let left = tokio::time::timeout(std::time::Duration::from_secs(1), news.next());
        assert!(left.await.is_err());
        assert_eq!(offer.code(), next);
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_drawn_by_hand_is_not_revoked_by_the_end_of_the_last_one() {
        let (offer, mut news) = Offer::new(Uses::Once).unwrap();
        let first = offer.code().unwrap().wire_number();
        for from in 0..3 {
            drop(offer.begin(first, host(from)).unwrap());
        }
        let second = offer.draw().unwrap();
        let began = Clock::now();
        let OfferEvent::Expired { .. } = news.next().await.unwrap() else {
            panic!("nothing else happened to the second");
        };
        assert!(began.elapsed() >= std::time::Duration::from_secs(600));
        assert_ne!(offer.code(), Some(second));
    }

    #[test]
    fn many_may_not_use_a_code_of_two_words() {
        let code = |text: &str| text.parse::<Code>().unwrap();
        let refused = Offer::of(code("7-coral-lamp"), Uses::Many);
        assert_eq!(refused.unwrap_err(), ShortCode);
        for (text, uses) in [
            ("7-coral-lamp", Uses::Once),
            ("coral-lamp-orbit", Uses::Once),
            ("coral-lamp-orbit", Uses::Many),
        ] {
            assert!(Offer::of(code(text), uses).is_ok(), "{text}");
        }
    }
}
