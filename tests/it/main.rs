//! The behaviour of sockkit as its users see it: real sockets on loopback,
//! real namespaces where the test may make them, one binary because linking
//! dominates.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod book;
mod broadcast;
mod camera;
mod command;
mod discovery;
#[cfg(unix)]
mod examples;
mod file;
mod frame;
mod from_python;
#[cfg(target_os = "linux")]
mod gate;
mod guest;
mod inputs;
mod interfaces;
mod lab;
mod link;
mod links;
mod multicast;
mod options;
mod pack;
mod picture;
mod players;
#[cfg(unix)]
mod power;
mod quic;
mod reliability;
mod retired;
mod seal;
mod server;
mod shard;
mod source;
mod stream;
mod tcp;
mod tidy;
mod timeouts;
mod udp;
mod wait;
mod web;
