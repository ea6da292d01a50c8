//! `WSARecvMsg` and `WSASendMsg`, one datagram per call, with their control
//! messages.
//!
//! Segments, drops and times of arrival are not available.
//!
//! # Source
//! Microsoft's "WSARecvMsg", "WSASendMsg", "IPPROTO_IP socket options".

#![expect(unsafe_code, reason = "no crate wraps these calls with control data")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::windows::io::{AsRawSocket, AsSocket},
    ptr,
    sync::OnceLock,
};

use socket2::SockAddr;
use tokio::net::UdpSocket;
use windows_sys::Win32::Networking::WinSock::{
    CMSGHDR, IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO, LPFN_WSARECVMSG,
    SIO_GET_EXTENSION_FUNCTION_POINTER, SOCKET, WSABUF, WSAEMSGSIZE, WSAENETRESET,
    WSAID_WSARECVMSG, WSAIoctl, WSAMSG, WSASendMsg,
};

use super::{Message, QueuedError, Received};
use crate::sys::winsock;

/// Maximum number of messages that one call sends or receives.
pub(crate) const MAX_MESSAGES: usize = 1;

pub(crate) fn prepare(_socket: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn enable_coalescing(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Enables reporting of the address and interface at which each datagram
/// arrives.
pub(crate) fn ask_packet_info(socket: &UdpSocket) -> io::Result<()> {
    let ipv4 = winsock::set(socket.as_socket(), IPPROTO_IP, IP_PKTINFO, &ON);
    if socket.local_addr()?.is_ipv4() {
        return ipv4;
    }
    // Without the other, a dual-stack socket reports nothing of IPv4.
    winsock::set(socket.as_socket(), IPPROTO_IPV6, IPV6_PKTINFO, &ON)
}

/// Whether the system reports more about a datagram than its sender.
pub(crate) fn has_control_data(socket: &UdpSocket) -> bool {
    let is_on =
        |level, name| winsock::get::<u32>(socket.as_socket(), level, name).is_ok_and(|on| on != 0);
    is_on(IPPROTO_IP, IP_PKTINFO) || is_on(IPPROTO_IPV6, IPV6_PKTINFO)
}

/// Sends the first message.
///
/// # Errors
/// The system's error, or `Unsupported` for a run of datagrams.
pub(crate) fn send_messages(socket: &UdpSocket, messages: &[Message<'_>]) -> io::Result<usize> {
    let Some(message) = messages.first() else {
        return Ok(0);
    };
    if message.segment_bytes.is_some() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let name = message.to.map(SockAddr::from);
    let mut control = packet_info(message);
    let count = u32::try_from(message.parts.len()).map_err(io::Error::other)?;
    let header = WSAMSG {
        name: name
            .as_ref()
            .map_or(ptr::null_mut(), |name| name.as_ptr().cast_mut().cast()),
        namelen: name.as_ref().map_or(0, SockAddr::len),
        // `IoSlice` is documented to have the layout of `WSABUF`, and sending does
        // not write through it.
        lpBuffers: message.parts.as_ptr().cast::<WSABUF>().cast_mut(),
        dwBufferCount: count,
        Control: buffer_of(&mut control),
        dwFlags: 0,
    };
    let mut sent = 0;
    // SAFETY: the header points at a name, parts and control data that live until
    // the call returns. Without an overlapped structure it keeps no pointer.
    let status = unsafe {
        WSASendMsg(
            handle(socket)?,
            &raw const header,
            0,
            &raw mut sent,
            ptr::null_mut(),
            None,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(1)
}

/// Receives into the first buffer.
///
/// # Errors
/// `WouldBlock` if nothing has arrived.
pub(crate) fn receive_messages<'a>(
    socket: &UdpSocket,
    mut buffers: impl Iterator<Item = &'a mut [u8]>,
    received: &mut [Received],
) -> io::Result<usize> {
    let (Some(buffer), Some(received)) = (buffers.next(), received.first_mut()) else {
        return Ok(0);
    };
    *received = receive(socket, buffer)?;
    Ok(1)
}

/// Receives one datagram and its sender's address; leaves the rest of
/// `received`.
///
/// # Errors
/// `WouldBlock` if nothing has arrived.
pub(crate) fn receive_plain(
    socket: &UdpSocket,
    buffer: &mut [u8],
    received: &mut Received,
) -> io::Result<()> {
    let found = receive(socket, buffer)?;
    (received.wire_bytes, received.from) = (found.wire_bytes, found.from);
    Ok(())
}

/// The system has no such queue: it reports one error of an earlier datagram as that
/// of the next receive.
pub(crate) fn next_error(_socket: &UdpSocket) -> io::Result<Option<QueuedError>> {
    Ok(None)
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let receive = extension(socket)?;
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part = WSABUF {
        // A datagram is shorter than any buffer of that length.
        len: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
        buf: buffer.as_mut_ptr(),
    };
    let handle = handle(socket)?;
    let mut bytes = 0;
    let mut header = WSAMSG {
        name: ptr::null_mut(),
        namelen: 0,
        lpBuffers: &raw mut part,
        dwBufferCount: 1,
        Control: buffer_of(&mut control),
        dwFlags: 0,
    };
    // SAFETY: the name is given its length, and the call reports how much it wrote.
    let ((), name) = unsafe {
        SockAddr::try_init(|name, length| {
            header.name = name.cast();
            header.namelen = *length;
            // SAFETY: name, buffer and control space live until the call returns,
            // with their lengths beside them. Without an overlapped structure it
            // keeps no pointer.
            let status = receive(
                handle,
                &raw mut header,
                &raw mut bytes,
                ptr::null_mut(),
                None,
            );
            *length = header.namelen;
            match status {
                0 => Ok(()),
                _ => fail_unless_cut(&mut bytes, part.len),
            }
        })?
    };
    let from = name.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    let used = usize::try_from(header.Control.len).unwrap_or(0);
    let mut control_bytes = [0; 8 * CONTROL_WORDS];
    for (bytes, word) in control_bytes.chunks_exact_mut(8).zip(control) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    let (to, interface_index) = arrival(control_bytes.get(..used).unwrap_or_default());
    Ok(Received {
        from,
        wire_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        to,
        interface_index,
        ..Received::EMPTY
    })
}

/// Of a datagram that does not fit, the system keeps what fits and does not say how
/// long it was: here, one byte longer.
fn fail_unless_cut(bytes: &mut u32, room: u32) -> io::Result<()> {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(WSAEMSGSIZE) => {
            *bytes = room.saturating_add(1);
            Ok(())
        }
        // An earlier datagram ran out of hops.
        Some(WSAENETRESET) => Err(io::ErrorKind::ConnectionReset.into()),
        _ => Err(error),
    }
}

/// `WSARecvMsg`, which the system hands out by socket; it is one for all.
fn extension(socket: &UdpSocket) -> io::Result<Receive> {
    static FOUND: OnceLock<Receive> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(*found);
    }
    let id = WSAID_WSARECVMSG;
    let mut found: LPFN_WSARECVMSG = None;
    let mut bytes = 0;
    let [id_bytes, found_bytes] =
        [size_of_val(&id), size_of_val(&found)].map(|size| u32::try_from(size).unwrap_or(0));
    // SAFETY: both places live until the call returns, with their lengths beside
    // them, and for this identifier the system writes a pointer to that function.
    let status = unsafe {
        WSAIoctl(
            handle(socket)?,
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            (&raw const id).cast(),
            id_bytes,
            (&raw mut found).cast(),
            found_bytes,
            &raw mut bytes,
            ptr::null_mut(),
            None,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    let found = found.ok_or(io::ErrorKind::Unsupported)?;
    Ok(*FOUND.get_or_init(|| found))
}

type Receive = unsafe extern "system" fn(
    SOCKET,
    *mut WSAMSG,
    *mut u32,
    *mut windows_sys::Win32::System::IO::OVERLAPPED,
    windows_sys::Win32::Networking::WinSock::LPWSAOVERLAPPED_COMPLETION_ROUTINE,
) -> i32;

/// The control message for a source and an outgoing interface; empty for neither.
fn packet_info(message: &Message<'_>) -> Vec<u64> {
    if message.source.is_none() && message.interface_index.is_none() {
        return Vec::new();
    }
    // A dual-stack socket sends to IPv4 as an IPv4 socket does.
    let unspecified = match message.to.map(|to| to.ip().to_canonical()) {
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let source = message.source.unwrap_or(unspecified).to_canonical();
    let (level, name, mut data) = match source {
        IpAddr::V4(source) => (IPPROTO_IP, IP_PKTINFO, source.octets().to_vec()),
        IpAddr::V6(source) => (IPPROTO_IPV6, IPV6_PKTINFO, source.octets().to_vec()),
    };
    data.extend(message.interface_index.unwrap_or(0).to_ne_bytes());
    let mut bytes = (HEAD_BYTES + data.len()).to_ne_bytes().to_vec();
    bytes.extend(level.to_ne_bytes());
    bytes.extend(name.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(size_of::<u64>()), 0);
    let words = bytes.as_chunks::<8>().0;
    words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

/// The address, in its canonical form, and the interface at which a datagram arrived,
/// from its control messages.
fn arrival(mut control: &[u8]) -> (Option<IpAddr>, Option<u32>) {
    while let Some((head, rest)) = control.split_first_chunk::<HEAD_BYTES>() {
        let (length, level, name) = parse_head(head);
        let Some(data) = length
            .checked_sub(HEAD_BYTES)
            .and_then(|length| rest.get(..length))
        else {
            break;
        };
        if (level, name) == (IPPROTO_IP, IP_PKTINFO)
            && let Some((address, index)) = data.split_first_chunk::<4>()
        {
            return (Some(Ipv4Addr::from(*address).into()), number(index));
        }
        if (level, name) == (IPPROTO_IPV6, IPV6_PKTINFO)
            && let Some((address, index)) = data.split_first_chunk::<16>()
        {
            return (Some(Ipv6Addr::from(*address).to_canonical()), number(index));
        }
        let next = length.next_multiple_of(size_of::<usize>());
        control = control.get(next..).unwrap_or_default();
    }
    (None, None)
}

/// Length, level and type.
fn parse_head(head: &[u8; HEAD_BYTES]) -> (usize, i32, i32) {
    let [.., a, b, c, d, e, f, g, h] = *head;
    let length = head
        .first_chunk()
        .map_or(0, |length| usize::from_ne_bytes(*length));
    let level = i32::from_ne_bytes([a, b, c, d]);
    (length, level, i32::from_ne_bytes([e, f, g, h]))
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes
        .first_chunk::<4>()
        .map(|word| u32::from_ne_bytes(*word))
}

fn buffer_of(words: &mut [u64]) -> WSABUF {
    WSABUF {
        len: u32::try_from(size_of_val(words)).unwrap_or(0),
        buf: words.as_mut_ptr().cast(),
    }
}

fn handle(socket: &UdpSocket) -> io::Result<SOCKET> {
    SOCKET::try_from(socket.as_raw_socket()).map_err(io::Error::other)
}

/// `WSACMSGHDR`: its own length with the data's, level, type.
const HEAD_BYTES: usize = size_of::<CMSGHDR>();
/// Room for a packet information of each IP version.
const CONTROL_WORDS: usize = 16;
const ON: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(source: Option<IpAddr>, interface_index: Option<u32>) -> Message<'static> {
        Message {
            to: None,
            parts: &[],
            segment_bytes: None,
            source,
            interface_index,
        }
    }

    #[test]
    fn packet_information_is_read_as_it_is_written() {
        for (source, to) in [
            ("192.0.2.1", "192.0.2.1"),
            // What a dual-stack socket is told of IPv4 is an IPv4 address.
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let source = source.parse().unwrap();
            let words = packet_info(&message(Some(source), Some(7)));
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let expected = (Some(to.parse().unwrap()), Some(7));
            assert_eq!(arrival(&bytes), expected);
            for cut in 0..HEAD_BYTES + 8 {
                assert_eq!(arrival(&bytes[..cut]), (None, None));
            }
        }
        assert!(packet_info(&message(None, None)).is_empty());
    }

    #[test]
    fn an_interface_alone_goes_with_the_destination() {
        for (to, level) in [
            ("192.0.2.9:1", IPPROTO_IP),
            ("[::ffff:192.0.2.9]:1", IPPROTO_IP),
            ("[2001:db8::9]:1", IPPROTO_IPV6),
        ] {
            let to = Message {
                to: Some(to.parse().unwrap()),
                ..message(None, Some(7))
            };
            let words = packet_info(&to);
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!(parse_head(bytes.first_chunk().unwrap()).1, level);
        }
    }

    #[test]
    fn nonsense_has_an_end() {
        for length in [0_u64, 1, 15, 16, 17, u64::MAX] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.resize(64, 0);
            assert_eq!(arrival(&bytes), (None, None));
        }
    }
}
