//! Connections between machines: addresses, a node that dials and listens over
//! TCP, TLS and QUIC, mutual authentication, and channels that carry messages,
//! also as sealed datagrams.

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod acceptor;
mod address;
#[cfg(feature = "quic")]
mod certificate;
pub mod channel;
mod connection;
#[cfg(feature = "discovery")]
pub mod discovery;
mod error;
#[cfg(feature = "quic")]
mod fingerprint;
#[cfg(feature = "pairing")]
pub mod identity;
mod node;
#[cfg(feature = "pairing")]
pub mod pairing;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(feature = "sealing")]
pub mod sealing;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "pairing")]
pub mod trust;
#[cfg(feature = "zenoh")]
pub mod zenoh;

#[cfg(feature = "quic")]
pub use self::fingerprint::{Fingerprint, FingerprintError};
pub use self::{
    acceptor::Acceptor,
    address::{
        Address, AddressDefaults, AddressError, AddressPath, Host, PathError, ResolveError, Scheme,
    },
    connection::{Connection, Handle, NotEncrypted},
    error::{DialError, FailedBy, ListenError, SchemeError},
    node::Node,
};
