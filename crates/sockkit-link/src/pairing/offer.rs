//! A code shown to the user of this side.

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

/// Accepts peers that know the shown code; for a
/// [`Trust`](crate::trust::Trust). Clones are the same offer.
///
/// [`Uses`] limits a code. When it is revoked or has expired, no peer is
/// accepted until [`News::next`] has drawn the next one, since only then can it
/// be shown.
#[derive(Clone, Debug)]
pub struct Offer(Arc<Shared>);

/// The events of an [`Offer`], for the program that shows the code.
#[derive(Debug)]
pub struct News {
    offer: Offer,
    events: mpsc::Receiver<Told>,
    /// Hosts that failed with the current code, each once.
    tried: Vec<IpAddr>,
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
    tell: mpsc::Sender<Told>,
}

/// How an exchange ended.
#[derive(Debug)]
struct Told {
    end: End,
    from: IpAddr,
}

/// An exchange, counted as wrong unless it is completed.
#[derive(Debug)]
pub(super) struct Guess {
    shared: Arc<Shared>,
    generation: u64,
    from: IpAddr,
    ended: bool,
}

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
    }

    /// Counts a guess before anything is sent.
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
    /// The peer knows the code; returns whether the code is still valid.
    pub(super) fn was_right(mut self) -> bool {
        self.end(true) == End::Paired
    }

    fn end(&mut self, right: bool) -> End {
        self.ended = true;
        let end = self.shared.book().end(self.generation, right);
        let from = self.from;
        // If the queue is full, the owner has enough events.
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

/// The runtime's clock, so that tests can pause it.
fn now() -> Instant {
    Clock::now().into_std()
}

/// Further events in a row carry no information.
const MAX_TOLD: usize = 64;
