//! A code that is shown to a person on this side.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    sync::mpsc,
    time::{Instant as Clock, sleep_until},
};

use super::{
    Code, Refusal, Uses,
    book::{Book, End},
    code::RANDOM_BYTES,
};

/// Lets peers in that know the code which is shown; for a
/// [`Trust`](crate::trust::Trust). Clones are the same offer.
///
/// A code is good for what its [`Uses`] say. When it is burnt or has expired,
/// nobody is let in until [`News::next`] has drawn the next one: a code that no
/// one is shown is of no use.
#[derive(Clone, Debug)]
pub struct Offer(Arc<Shared>);

/// What becomes of an [`Offer`], for whoever shows the code.
#[derive(Debug)]
pub struct News {
    offer: Offer,
    events: mpsc::Receiver<Told>,
    /// Hosts that tried the present code in vain, each once.
    tried: Vec<IpAddr>,
}

/// Something that the user should see.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OfferEvent {
    /// A peer was let in; a code of [`Uses::Once`] is gone with that.
    Paired,
    /// A host tried another code, or broke off.
    Wrong {
        /// Which.
        from: IpAddr,
    },
    /// Too many wrong guesses: the code is burnt.
    Burnt {
        /// The hosts that they came from.
        from: Vec<IpAddr>,
        /// To be shown now; `None` if the code was the user's own.
        next: Option<Code>,
    },
    /// Nobody used the code in time.
    Expired {
        /// To be shown now; `None` if the code was the user's own.
        next: Option<Code>,
    },
}

#[derive(Debug)]
struct Shared {
    uses: Uses,
    /// Chosen by the user, and so not replaced.
    fixed: bool,
    book: Mutex<Book>,
    tell: mpsc::Sender<Told>,
}

/// How one exchange ended.
#[derive(Debug)]
struct Told {
    end: End,
    from: IpAddr,
}

/// One exchange, counted as wrong until it was right.
#[derive(Debug)]
pub(super) struct Guess {
    shared: Arc<Shared>,
    generation: u64,
    from: IpAddr,
    ended: bool,
}

impl Offer {
    /// Draws a code from the system's randomness.
    ///
    /// # Errors
    /// If the system has none.
    pub fn new(uses: Uses) -> io::Result<(Self, News)> {
        let (offer, news) = Self::empty(uses, false);
        offer.draw()?;
        Ok((offer, news))
    }

    /// With a code of the user's own, which is not replaced when it is burnt or
    /// has expired.
    pub fn of(code: Code, uses: Uses) -> (Self, News) {
        let (offer, news) = Self::empty(uses, true);
        offer.show(code);
        (offer, news)
    }

    fn empty(uses: Uses, fixed: bool) -> (Self, News) {
        let (tell, events) = mpsc::channel(MAX_TOLD);
        let offer = Self(Arc::new(Shared {
            uses,
            fixed,
            book: Mutex::new(Book::new(uses)),
            tell,
        }));
        let news = News {
            offer: offer.clone(),
            events,
            tried: Vec::new(),
        };
        (offer, news)
    }

    /// The code that is good now.
    pub fn code(&self) -> Option<Code> {
        self.0.book().code().cloned()
    }

    /// Draws the next code, as after one that was used, and shows it from now on.
    ///
    /// # Errors
    /// If the system has no randomness.
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
    }

    /// Takes a guess before anything is answered.
    pub(super) fn begin(&self, number: u16, from: IpAddr) -> Result<(Code, Guess), Refusal> {
        let (code, generation) = self.0.book().begin(number, now())?;
        let guess = Guess {
            shared: Arc::clone(&self.0),
            generation,
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
    /// The peer knows the code; whether that is still good.
    pub(super) fn was_right(mut self) -> bool {
        self.end(true) == End::Paired
    }

    fn end(&mut self, right: bool) -> End {
        self.ended = true;
        let end = self.shared.book().end(self.generation, right);
        let from = self.from;
        // The owner has enough to tell already.
        let _ = self.shared.tell.try_send(Told { end, from });
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
    /// Waits for the next event. A code that is burnt or has expired is replaced
    /// by then.
    ///
    /// # Errors
    /// If a code has to be drawn, and the system has no randomness.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> io::Result<OfferEvent> {
        loop {
            let until = self.offer.0.book().until();
            let expired = async {
                match until {
                    Some(until) => sleep_until(Clock::from_std(until)).await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                biased;
                Some(told) = self.events.recv() => told,
                () = expired => return Ok(OfferEvent::Expired { next: self.replace()? }),
            };
            if let Some(event) = self.heard(told)? {
                return Ok(event);
            }
        }
    }

    fn heard(&mut self, Told { end, from }: Told) -> io::Result<Option<OfferEvent>> {
        if !matches!(end, End::Paired) && self.tried.len() < MAX_TOLD && !self.tried.contains(&from)
        {
            self.tried.push(from);
        }
        Ok(match end {
            End::Paired => {
                self.tried.clear();
                Some(OfferEvent::Paired)
            }
            End::Wrong => Some(OfferEvent::Wrong { from }),
            End::Burnt => Some(OfferEvent::Burnt {
                from: std::mem::take(&mut self.tried),
                next: self.replace()?,
            }),
            End::TooLate => None,
        })
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

/// The runtime's clock, so that a paused test clock is obeyed.
fn now() -> Instant {
    Clock::now().into_std()
}

/// More in a row tell no more.
const MAX_TOLD: usize = 64;
