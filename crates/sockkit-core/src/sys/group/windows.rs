//! Group membership: IPv4 by an address of the interface, IPv6 by its index.
//!
//! # Source
//! Microsoft's "IPPROTO_IP socket options" and "IPPROTO_IPV6 socket options"; RFC 3678.

#![expect(
    unsafe_code,
    reason = "no crate wraps sources of IPv6, or blocked ones"
)]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::windows::io::AsSocket,
};

use socket2::{SockAddr, SockRef};
use tokio::net::UdpSocket;
use windows_sys::Win32::Networking::WinSock::{
    GROUP_SOURCE_REQ, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_SOURCE_MEMBERSHIP,
    IP_UNBLOCK_SOURCE, IPPROTO_IP, IPPROTO_IPV6, MCAST_BLOCK_SOURCE, MCAST_JOIN_SOURCE_GROUP,
    MCAST_LEAVE_SOURCE_GROUP, MCAST_UNBLOCK_SOURCE, SOCKADDR_STORAGE,
};

use super::Change;
use crate::{interfaces::InterfaceSelector, sys::winsock};

/// Changes the membership of `socket` in `group` on one interface.
pub(crate) fn change(
    socket: &UdpSocket,
    group: IpAddr,
    interface_index: u32,
    change: Change,
) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => change_v4(socket, group, address_of(interface_index)?, change),
        IpAddr::V6(group) => change_v6(socket, group, interface_index, change),
    }
}

/// Sets the outgoing interface for IPv4 multicast.
pub(crate) fn set_outgoing_ipv4(socket: &UdpSocket, interface_index: u32) -> io::Result<()> {
    SockRef::from(socket).set_multicast_if_v4(&address_of(interface_index)?)
}

/// The system takes an index in place of an address, too, but Wine does not.
fn address_of(interface_index: u32) -> io::Result<Ipv4Addr> {
    let interface = InterfaceSelector::Index(interface_index)
        .find()
        .map_err(io::Error::other)?;
    let address = interface.ipv4().next();
    // An index is written as an address of the network 0.
    Ok(address.unwrap_or_else(|| Ipv4Addr::from(interface_index & 0x00ff_ffff)))
}

fn change_v4(
    socket: &UdpSocket,
    group: Ipv4Addr,
    interface: Ipv4Addr,
    change: Change,
) -> io::Result<()> {
    let (name, source) = match change {
        Change::Join => return SockRef::from(socket).join_multicast_v4(&group, &interface),
        Change::Leave => return SockRef::from(socket).leave_multicast_v4(&group, &interface),
        Change::JoinSource(source) => (IP_ADD_SOURCE_MEMBERSHIP, source),
        Change::LeaveSource(source) => (IP_DROP_SOURCE_MEMBERSHIP, source),
        Change::Block(source) => (IP_BLOCK_SOURCE, source),
        Change::Unblock(source) => (IP_UNBLOCK_SOURCE, source),
    };
    let IpAddr::V4(source) = source else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // The order of `IP_MREQ_SOURCE`, which is not Linux's.
    let request = [group, source, interface].map(|address| address.octets());
    winsock::set(socket.as_socket(), IPPROTO_IP, name, &request)
}

fn change_v6(
    socket: &UdpSocket,
    group: Ipv6Addr,
    interface_index: u32,
    change: Change,
) -> io::Result<()> {
    let (name, source) = match change {
        Change::Join => return SockRef::from(socket).join_multicast_v6(&group, interface_index),
        Change::Leave => return SockRef::from(socket).leave_multicast_v6(&group, interface_index),
        Change::JoinSource(source) => (MCAST_JOIN_SOURCE_GROUP, source),
        Change::LeaveSource(source) => (MCAST_LEAVE_SOURCE_GROUP, source),
        Change::Block(source) => (MCAST_BLOCK_SOURCE, source),
        Change::Unblock(source) => (MCAST_UNBLOCK_SOURCE, source),
    };
    let request = GROUP_SOURCE_REQ {
        gsr_interface: interface_index,
        gsr_group: storage(group.into()),
        gsr_source: storage(source),
    };
    winsock::set(
        socket.as_socket(),
        IPPROTO_IPV6,
        name.cast_signed(),
        &request,
    )
}

fn storage(address: IpAddr) -> SOCKADDR_STORAGE {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    // SAFETY: socket2 keeps every address in a whole structure of that type.
    unsafe { *address.as_ptr().cast::<SOCKADDR_STORAGE>() }
}
