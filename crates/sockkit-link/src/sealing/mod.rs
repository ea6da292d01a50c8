//! Sealed datagrams: only those who have the key read them, or write any.
//!
//! A [`Channel`](crate::channel::Channel) seals when its
//! [config](crate::channel::DatagramConfig::sealed) has a [`Key`]. The two halves
//! that it drives, [`Sealer`] and [`Opener`], wait for nothing and read no clock; they
//! are here for simulations and tests.
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
//! // What is sent in the clear, or under another key, is refused.
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
//! - Reading, altering, forging, repeating, turning back: without the key, none of
//!   it. What a datagram's header says (which stream and message, how long it is) can be
//!   read, and so can when it was sent.
//! - **All who have a key are alike.** Each member of a group can send as the
//!   sender does.
//! - A recording, shown to a receiver that has not heard the stream before: with a
//!   key alone it cannot tell that from the sender. One that was
//!   [told](Opener::told) where the stream stands can.
//! - Loss, and denial by a host that can drop or flood: no.
//!
//! # Source
//! The layout and the keys are described in `docs/wire/seal.md`.

mod key;
mod open;
mod seal;

pub use self::{
    key::{Direction, Key, random_secret},
    open::{Opened, Opener},
    seal::Sealer,
};

#[cfg(test)]
mod hostile;
