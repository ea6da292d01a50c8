//! `getsockopt` and `setsockopt` for options that socket2 does not know on Windows.
//!
//! # Source
//! Microsoft's "SOL_SOCKET Socket Options" and "IPPROTO_TCP socket options".

#![expect(unsafe_code, reason = "socket2 does not wrap these options")]

use std::{
    io,
    os::windows::io::{AsRawSocket, AsSocket},
    ptr,
    time::Duration,
};

use windows_sys::Win32::Networking::WinSock::{
    IPPROTO_TCP, SO_PROTOCOL_INFOW, SOCKET, SOL_SOCKET, TCP_KEEPIDLE, TCP_KEEPINTVL,
    WSAPROTOCOL_INFOW, getsockopt, setsockopt,
};

/// The address family of a socket, bound or not.
///
/// # Errors
/// The error of `getsockopt`.
pub(crate) fn family(socket: impl AsSocket) -> io::Result<i32> {
    let protocol: WSAPROTOCOL_INFOW = get(socket, SOL_SOCKET, SO_PROTOCOL_INFOW)?;
    Ok(protocol.iAddressFamily)
}

/// Idle time before the first keep-alive probe.
///
/// # Errors
/// The error of `getsockopt`.
pub(crate) fn keepalive_time(socket: &socket2::Socket) -> io::Result<Duration> {
    get(socket, IPPROTO_TCP, TCP_KEEPIDLE).map(seconds)
}

/// Interval between keep-alive probes.
///
/// # Errors
/// The error of `getsockopt`.
pub(crate) fn keepalive_interval(socket: &socket2::Socket) -> io::Result<Duration> {
    get(socket, IPPROTO_TCP, TCP_KEEPINTVL).map(seconds)
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// Reads one option.
///
/// # Errors
/// The error of `getsockopt`.
pub(super) fn get<T: Plain>(socket: impl AsSocket, level: i32, name: i32) -> io::Result<T> {
    let handle = SOCKET::try_from(socket.as_socket().as_raw_socket()).map_err(io::Error::other)?;
    let mut value = T::default();
    let size = i32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let mut length = size;
    // SAFETY: `value` is a live place of `length` bytes, and any bytes that the
    // system writes there make a valid `Plain`.
    let status = unsafe {
        getsockopt(
            handle,
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(value)
}

/// Sets one option.
///
/// # Errors
/// The error of `setsockopt`.
pub(super) fn set<T>(socket: impl AsSocket, level: i32, name: i32, value: &T) -> io::Result<()> {
    let handle = SOCKET::try_from(socket.as_socket().as_raw_socket()).map_err(io::Error::other)?;
    let length = i32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the system reads `length` bytes from a reference to that many.
    let status = unsafe { setsockopt(handle, level, name, ptr::from_ref(value).cast(), length) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Integers, or a structure of them: every bit pattern is a value.
///
/// # Safety
/// Implement it for such types only.
pub(super) unsafe trait Plain: Copy + Default {}

// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: a structure of integers and arrays of integers.
unsafe impl Plain for WSAPROTOCOL_INFOW {}
