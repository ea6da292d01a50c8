//! Sealed datagrams: only holders of the key can read or write them.
//!
//! A [`Channel`](crate::channel::Channel) seals datagrams if its
//! [config](crate::channel::DatagramConfig::sealed) has a [`Key`]. Its two
//! halves, [`Sealer`] and [`Opener`], are sans-I/O and public for simulations
//! and tests.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_codec::*; pub use ::sockkit_link as link; }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sockkit::{
//!     link::{channel::{Channel, DatagramConfig, Limits}, sealing::Key},
//!     shard::{MessageKind, Parity},
//! };
//!
//! let (key, limits) = (Key::new(&[7; 32]), Limits::default());
//! let at = DatagramConfig::at("127.0.0.1:0".parse()?).sealed(key.clone());
//! let mut there = Channel::datagrams(at, &limits)?;
//! let to = [there.local_addr().expect("it is bound")];
//!
//! // // Unsealed datagrams, and those sealed with another key, are rejected.
//! for other in [DatagramConfig::to(to), DatagramConfig::to(to).sealed(Key::new(&[8; 32]))] {
//!     let here = Channel::datagrams(other, &limits)?;
//!     here.send(MessageKind(1), &["for all to read".into()], Parity::NONE).await?;
//!     there.recv().await.expect_err("it is not sealed with this key");
//! }
//! let here = Channel::datagrams(DatagramConfig::to(to).sealed(key), &limits)?;
//! here.send(MessageKind(1), &["for you alone".into()], Parity::NONE).await?;
//! assert_eq!(there.recv().await?.bytes, "for you alone");
//! # Ok(())
//! # }
//! ```
//!
//! # What it protects from, and what not
//!
//! - Protected without the key: reading, altering, forging, replaying and
//!   reflecting. The header (stream, message, length) and the timing of a
//!   datagram remain visible.
//! - **Holders of a key are indistinguishable.** Each member of a group can
//!   send as the sender does, unless that is a `channel::Group`, whose
//!   messages are signed.
//! - A recording replayed to a receiver that does not know the stream yet: with
//!   only a key it cannot distinguish it from the sender. A receiver that was
//!   [told](ToldStream) the stream's position can.
//! - Not protected: loss, and denial of service by a host that can drop or
//!   flood.
//!
//! # Source
//! The layout and the keys are described in `docs/wire/seal.md`.

#[cfg(feature = "pairing")]
pub(crate) mod epochs;
mod key;
mod open;
mod seal;
#[cfg(feature = "pairing")]
pub(crate) mod sign;
#[cfg(feature = "pairing")]
pub(crate) mod subscription;

pub use self::{
    key::{Direction, Key, random_secret},
    open::{Opened, Opener, ToldStream},
    seal::Sealer,
};

#[cfg(test)]
mod hostile;
