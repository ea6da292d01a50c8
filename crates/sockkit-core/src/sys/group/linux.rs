//! Group membership by interface index, for both IP versions.
//!
//! # Source
//! RFC 3678 §5 (protocol-independent multicast filters), ip(7), ipv6(7).

#![expect(
    unsafe_code,
    reason = "no crate wraps source-specific IPv6 or blocked sources"
)]

use std::{
    io, mem,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    ptr,
};

use libc::{c_int, c_void, group_req, group_source_req, sockaddr_storage, socklen_t};
use socket2::SockAddr;
use tokio::net::UdpSocket;

use super::Change;

/// Changes the membership of `socket` in `group` on one interface.
pub(crate) fn change(
    socket: &UdpSocket,
    group: IpAddr,
    interface_index: u32,
    change: Change,
) -> io::Result<()> {
    let (name, source) = match change {
        Change::Join => (libc::MCAST_JOIN_GROUP, None),
        Change::Leave => (libc::MCAST_LEAVE_GROUP, None),
        Change::JoinSource(source) => (libc::MCAST_JOIN_SOURCE_GROUP, Some(source)),
        Change::LeaveSource(source) => (libc::MCAST_LEAVE_SOURCE_GROUP, Some(source)),
        Change::Block(source) => (libc::MCAST_BLOCK_SOURCE, Some(source)),
        Change::Unblock(source) => (libc::MCAST_UNBLOCK_SOURCE, Some(source)),
    };
    match source {
        None => {
            let request = group_req {
                gr_interface: interface_index,
                gr_group: storage(group),
            };
            set(socket, group, name, &request)
        }
        Some(source) => {
            let request = group_source_req {
                gsr_interface: interface_index,
                gsr_group: storage(group),
                gsr_source: storage(source),
            };
            set(socket, group, name, &request)
        }
    }
}

/// Sets the outgoing interface for IPv4 multicast (`IP_MULTICAST_IF`).
pub(crate) fn set_outgoing_ipv4(socket: &UdpSocket, interface_index: u32) -> io::Result<()> {
    let any = libc::in_addr { s_addr: 0 };
    let request = libc::ip_mreqn {
        imr_multiaddr: any,
        imr_address: any,
        imr_ifindex: interface_index.cast_signed(),
    };
    set_option(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

fn set<T>(socket: &UdpSocket, group: IpAddr, name: c_int, request: &T) -> io::Result<()> {
    let level = match group {
        IpAddr::V4(_) => libc::IPPROTO_IP,
        IpAddr::V6(_) => libc::IPPROTO_IPV6,
    };
    set_option(socket, level, name, request)
}

fn set_option<T>(socket: &UdpSocket, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = socklen_t::try_from(size_of::<T>()).expect("kernel structures are small");
    // SAFETY: the kernel reads `length` bytes from a reference to that many.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast::<c_void>(),
            length,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn storage(address: IpAddr) -> sockaddr_storage {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    // SAFETY: integers only; zero is a value of each.
    let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
    let bytes = usize::try_from(address.len())
        .expect("addresses are small")
        .min(size_of::<sockaddr_storage>());
    // SAFETY: both are at least `bytes` long and do not overlap.
    unsafe {
        ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            (&raw mut storage).cast::<u8>(),
            bytes,
        );
    }
    storage
}
