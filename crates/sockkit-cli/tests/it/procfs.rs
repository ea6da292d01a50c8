//! What Linux tells of processes and sockets.

use std::{fs, net::SocketAddr};

/// Memory that the process has now, in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most it ever had.
pub(crate) fn highest_kib(process: u32) -> u64 {
    status(process, "VmHWM:")
}

fn status(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = value.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

/// CPU time of the process so far, in steps of the kernel's 10 ms.
pub(crate) fn cpu_ms(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program may have spaces in it.
    let (_, fields) = text.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    (ticks(11) + ticks(12)) * 10
}

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
