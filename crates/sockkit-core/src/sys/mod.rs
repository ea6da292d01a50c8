//! System calls that no crate wraps. All `unsafe` code of the workspace is
//! here.

#[cfg(target_os = "linux")]
pub(crate) mod async_fd;
#[cfg(windows)]
pub mod console;
pub(crate) mod datagram;
#[cfg(windows)]
pub mod directory;
pub(crate) mod group;
#[cfg(unix)]
pub(crate) mod inherited;
#[cfg(windows)]
pub(crate) mod interface_changes;
#[cfg(all(feature = "testing", target_os = "linux"))]
pub(crate) mod namespace;
#[cfg(unix)]
pub(crate) mod option;
#[cfg(windows)]
pub(crate) mod resolver;
#[cfg(all(feature = "testing", target_os = "linux"))]
pub(crate) mod tap;
#[cfg(windows)]
pub(crate) mod winsock;
