//! Sockets set up right: typed options, TCP, UDP, broadcast, multicast,
//! interfaces and handler-style servers, on tokio and socket2.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod broadcast;
pub mod interfaces;
pub mod multicast;
pub mod options;
pub mod server;
pub mod tcp;
#[cfg(feature = "testing")]
pub mod testing;
pub mod udp;

mod sys;
