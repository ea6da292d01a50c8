//! Destinations of pictures: files, browsers, windows.

#[cfg(feature = "record")]
pub mod record;
#[cfg(feature = "rtp")]
pub mod rtp;
#[cfg(feature = "web")]
pub mod web;
#[cfg(feature = "window")]
pub mod window;
