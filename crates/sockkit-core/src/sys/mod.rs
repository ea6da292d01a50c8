//! The calls that no crate wraps. All `unsafe` of the workspace is here.

pub(crate) mod datagram;
#[cfg(all(feature = "testing", target_os = "linux"))]
pub(crate) mod namespace;
#[cfg(unix)]
pub(crate) mod option;
