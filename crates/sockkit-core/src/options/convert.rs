//! Getters and setters whose Rust type differs from that of the wrapped call,
//! and the pitfalls of the conversion.

use std::{io, time::Duration};

use socket2::Socket;

use super::Linger;

/// The kernel reads a negative size as a huge one, and would truncate a size
/// beyond `int`.
fn buffer_size(bytes: usize) -> io::Result<usize> {
    match i32::try_from(bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

pub(super) fn set_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    socket.set_recv_buffer_size(buffer_size(bytes)?)
}

pub(super) fn set_send_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    socket.set_send_buffer_size(buffer_size(bytes)?)
}

/// A zero `timeval` would mean no timeout; the caller meant no waiting.
fn at_least_a_microsecond(timeout: Option<Duration>) -> Option<Duration> {
    timeout.map(|timeout| timeout.max(Duration::from_micros(1)))
}

pub(super) fn set_read_timeout(socket: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    socket.set_read_timeout(at_least_a_microsecond(timeout))
}

pub(super) fn set_write_timeout(socket: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    socket.set_write_timeout(at_least_a_microsecond(timeout))
}

/// The kernel counts seconds. Truncation would turn half a second into zero,
/// which means "abort" for linger and is rejected by keep-alive.
pub(super) fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

#[cfg(not(windows))]
pub(super) fn keepalive_time(socket: &Socket) -> io::Result<Duration> {
    socket.tcp_keepalive_time()
}

#[cfg(not(windows))]
pub(super) fn keepalive_interval(socket: &Socket) -> io::Result<Duration> {
    socket.tcp_keepalive_interval()
}

#[cfg(windows)]
pub(super) use crate::sys::winsock::{keepalive_interval, keepalive_time};

pub(super) fn linger(socket: &Socket) -> io::Result<Linger> {
    Ok(match socket.linger()? {
        None => Linger::Background,
        Some(Duration::ZERO) => Linger::Abort,
        Some(time) => Linger::Wait(time),
    })
}

pub(super) fn set_linger(socket: &Socket, linger: Linger) -> io::Result<()> {
    socket.set_linger(match linger {
        Linger::Background => None,
        Linger::Wait(time) => Some(whole_seconds(time)),
        Linger::Abort => Some(Duration::ZERO),
    })
}

fn byte(value: u32) -> io::Result<u8> {
    u8::try_from(value).map_err(|_| io::ErrorKind::InvalidData.into())
}

pub(super) fn ttl(socket: &Socket) -> io::Result<u8> {
    socket.ttl_v4().and_then(byte)
}

pub(super) fn hop_limit(socket: &Socket) -> io::Result<u8> {
    socket.unicast_hops_v6().and_then(byte)
}

pub(super) fn multicast_ttl(socket: &Socket) -> io::Result<u8> {
    socket.multicast_ttl_v4().and_then(byte)
}

pub(super) fn multicast_hop_limit(socket: &Socket) -> io::Result<u8> {
    socket.multicast_hops_v6().and_then(byte)
}

#[cfg(target_os = "linux")]
pub(super) use linux::*;

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, time::Duration};

    use rustix::net::sockopt;
    use socket2::Socket;

    use super::buffer_size;
    use crate::sys::option;

    pub(in crate::options) fn force_receive_buffer(
        socket: &Socket,
        bytes: usize,
    ) -> io::Result<()> {
        Ok(sockopt::set_socket_recv_buffer_size_force(
            socket,
            buffer_size(bytes)?,
        )?)
    }

    pub(in crate::options) fn force_send_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
        Ok(sockopt::set_socket_send_buffer_size_force(
            socket,
            buffer_size(bytes)?,
        )?)
    }

    /// Empty if the socket is not bound to an interface.
    pub(in crate::options) fn device(socket: &Socket) -> io::Result<String> {
        Ok(text(socket.device()?.unwrap_or_default()))
    }

    /// The empty name unbinds it.
    pub(in crate::options) fn set_device(socket: &Socket, name: String) -> io::Result<()> {
        socket.bind_device(Some(name.as_bytes()).filter(|name| !name.is_empty()))
    }

    pub(in crate::options) fn congestion(socket: &Socket) -> io::Result<String> {
        socket.tcp_congestion().map(text)
    }

    pub(in crate::options) fn set_congestion(socket: &Socket, name: String) -> io::Result<()> {
        socket.set_tcp_congestion(name.as_bytes())
    }

    fn text(bytes: Vec<u8>) -> String {
        let text = String::from_utf8_lossy(&bytes);
        text.trim_end_matches('\0').to_owned()
    }

    /// The kernel counts milliseconds, and 0 selects its default.
    pub(in crate::options) fn set_user_timeout(
        socket: &Socket,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        socket.set_tcp_user_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))
    }

    pub(in crate::options) fn pacing(socket: &Socket) -> io::Result<u64> {
        option::get(socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE)
    }

    pub(in crate::options) fn set_pacing(socket: &Socket, rate: u64) -> io::Result<()> {
        option::set(socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, rate)
    }
}
