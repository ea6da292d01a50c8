//! How two machines reach each other: addresses, and connections over TLS and
//! QUIC.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod address;
mod connection;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(feature = "tls")]
pub mod tls;

pub use self::{
    address::{Address, AddressDefaults, AddressError, Host, ResolveError, Scheme},
    connection::{Connection, Handle, NotEncrypted},
};
