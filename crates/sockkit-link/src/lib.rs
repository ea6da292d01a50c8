//! How two machines reach each other: addresses, a node that dials and listens
//! over TCP, TLS and QUIC, and channels that carry messages.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod acceptor;
mod address;
pub mod channel;
mod connection;
mod error;
mod node;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(feature = "sealing")]
pub mod sealing;
#[cfg(feature = "tls")]
pub mod tls;

pub use self::{
    acceptor::Acceptor,
    address::{Address, AddressDefaults, AddressError, Host, ResolveError, Scheme},
    connection::{Connection, Handle, NotEncrypted},
    error::{DialError, FailedBy, ListenError, SchemeError},
    node::Node,
};
