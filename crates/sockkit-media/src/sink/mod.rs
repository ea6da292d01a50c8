//! Where pictures go: files, browsers, windows.

#[cfg(feature = "web")]
pub mod web;
