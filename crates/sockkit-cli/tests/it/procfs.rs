//! What Linux tells of sockets.

use std::{fs, net::SocketAddr};

/// Bytes that came for the socket at `own` and wait to be read.
pub(crate) fn unread_bytes(own: SocketAddr, peer: SocketAddr) -> u64 {
    queues(own, peer).1
}

/// Bytes that the socket at `own` was given and its peer has not acknowledged.
pub(crate) fn unacknowledged_bytes(own: SocketAddr, peer: SocketAddr) -> u64 {
    queues(own, peer).0
}

/// Columns 1, 2 and 4 of a table of IPv4 connections: addresses as the
/// processor stores them, in hexadecimal, and `sending:receiving`.
fn queues(own: SocketAddr, peer: SocketAddr) -> (u64, u64) {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => {
            let ip = u32::from_ne_bytes(v4.ip().octets());
            format!("{ip:08X}:{:04X}", v4.port())
        }
        SocketAddr::V6(_) => panic!("IPv4 alone"),
    };
    let (own, peer) = (hex(own), hex(peer));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().map(|line| line.split_ascii_whitespace());
    let mut rows = line.map(Iterator::collect::<Vec<_>>);
    let row = rows.find(|row| row[1] == own && row[2] == peer);
    let (sending, receiving) = row.expect("the connection")[4].split_once(':').unwrap();
    let bytes = |hex| u64::from_str_radix(hex, 16).unwrap();
    (bytes(sending), bytes(receiving))
}
