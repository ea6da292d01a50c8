//! The course's programs as processes, each against a Python twin written from
//! the notes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod course;
mod file;
mod help;
#[cfg(unix)]
mod hostile;
#[cfg(target_os = "linux")]
mod korean;
mod pack;
mod run;
mod sockopts;
mod tcp;
mod udp;
mod video;
