//! Group membership as far as socket2 supports it, for systems other than
//! Linux and Windows.
//!
//! Not verified on those systems.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use socket2::{InterfaceIndexOrAddress, SockRef};
use tokio::net::UdpSocket;

use super::Change;

/// Changes the membership of `socket` in `group` on one interface.
pub(crate) fn change(
    socket: &UdpSocket,
    group: IpAddr,
    interface_index: u32,
    change: Change,
) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let interface = InterfaceIndexOrAddress::Index(interface_index);
    match (group, change) {
        (IpAddr::V4(group), Change::Join) => socket.join_multicast_v4_n(&group, &interface),
        (IpAddr::V4(group), Change::Leave) => socket.leave_multicast_v4_n(&group, &interface),
        (IpAddr::V6(group), Change::Join) => socket.join_multicast_v6(&group, interface_index),
        (IpAddr::V6(group), Change::Leave) => socket.leave_multicast_v6(&group, interface_index),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Sets the outgoing interface for IPv4 multicast.
pub(crate) fn set_outgoing_ipv4(socket: &UdpSocket, interface_index: u32) -> io::Result<()> {
    let interface = crate::interfaces::InterfaceSelector::Index(interface_index)
        .find()
        .map_err(io::Error::other)?;
    let address = interface.ipv4().next().unwrap_or(Ipv4Addr::UNSPECIFIED);
    SockRef::from(socket).set_multicast_if_v4(&address)
}
