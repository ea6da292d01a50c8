//! Mutual authentication: two machines prove their keys to each other, and are
//! paired by a code that their users exchange.
//!
//! The wire format is `docs/wire/pair.md`: a few messages over an encrypted
//! connection, before anything else. A [`Node`](crate::Node) with an
//! [`Identity`](crate::identity::Identity) exchanges them itself; this module
//! has the code, which is shown on one side and typed on the other.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_link as link; }
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::link::{
//!     Node, identity::Identity,
//!     pairing::{Offer, TypedCode, Uses},
//!     trust::Trust,
//! };
//!
//! let (offer, _news) = Offer::new(Uses::Once)?;
//! let shown = offer.code().expect("it was just drawn").to_string(); // 7-coral-lamp
//! let desk = Node::default().authenticate(Identity::throw_away()?, Trust::none().offer(offer));
//! let mut acceptor = desk.listen(&"tcp://127.0.0.1:0".parse()?).await?;
//!
//! let typed = Trust::none().code(TypedCode::new(shown.parse()?));
//! let laptop = Node::default().authenticate(Identity::throw_away()?, typed);
//! let to = acceptor.address();
//! let (dialled, accepted) = tokio::join!(laptop.dial(&to), acceptor.accept());
//! let (dialled, accepted) = (dialled?, accepted?);
//! assert!(dialled.peer().is_some() && accepted.peer().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod book;
mod code;
mod dialler;
mod driver;
mod error;
mod exchange;
mod listener;
mod offer;
mod peer;
#[cfg(test)]
mod tests;
mod typed;
mod wire;

pub(crate) use self::driver::{Party, protocol};
pub use self::{
    book::Uses,
    code::{Code, CodeError},
    error::PairingError,
    offer::{News, Offer, OfferEvent, ShortCode},
    peer::{AuthenticatedPeer, ProvedBy},
    typed::TypedCode,
    wire::Refusal,
};
