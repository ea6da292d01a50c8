//! `sendmmsg`, `recvmmsg` and the error queue, with their control messages.
//!
//! # Source
//! udp(7), ip(7), ipv6(7), cmsg(3), sendmmsg(2), recvmmsg(2).

#![expect(unsafe_code, reason = "no crate wraps these calls with control data")]

use std::{
    io,
    mem::{self, MaybeUninit},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::AsRawFd,
    ptr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libc::{c_int, c_uint, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_in6, socklen_t};
use socket2::SockAddr;
use tokio::net::UdpSocket;

use super::{ErrorOrigin, Message, QueuedError, Received};
use crate::sys::option;

/// Maximum number of messages that one call sends or receives.
pub(crate) const MAX_MESSAGES: usize = 64;

/// Enables everything that [`QueuedError`] reports. It costs nothing until
/// there is an error.
pub(crate) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    // A dual-stack socket carries IPv4 too and needs both.
    option::set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, ON)?;
    if socket.local_addr()?.is_ipv6() {
        option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, ON)?;
    }
    Ok(())
}

/// Enables reporting of the address and interface at which each datagram
/// arrives.
pub(crate) fn ask_packet_info(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        option::set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, ON)
    } else {
        option::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, ON)
    }
}

/// Whether any option that adds control data to datagrams is on.
pub(crate) fn has_control_data(socket: &UdpSocket) -> bool {
    // IPv6 options are absent on an IPv4 socket.
    CONTROL_OPTIONS
        .iter()
        .any(|&(level, name)| option::get::<c_int>(socket, level, name).is_ok_and(|on| on != 0))
}

/// Allows the kernel to merge datagrams of one sender (GRO). From then on every
/// receive needs room for a whole run.
pub(crate) fn enable_coalescing(socket: &UdpSocket) -> io::Result<()> {
    option::set(socket, libc::SOL_UDP, libc::UDP_GRO, ON)
}

/// Sends the first messages, at most [`MAX_MESSAGES`]. Returns how many the
/// kernel accepted.
///
/// # Errors
/// The kernel's error for the first message, in which case none was sent.
pub(crate) fn send_messages(socket: &UdpSocket, messages: &[Message<'_>]) -> io::Result<usize> {
    let messages = &messages[..messages.len().min(MAX_MESSAGES)];
    let names: Vec<Option<SockAddr>> = messages
        .iter()
        .map(|message| message.to.map(SockAddr::from))
        .collect();
    let mut controls = vec![ControlBuffer::<SEND_CONTROL_BYTES>::zeroed(); messages.len()];
    let mut headers: Vec<mmsghdr> = messages
        .iter()
        .zip(&names)
        .zip(&mut controls)
        .map(|((message, name), control)| mmsghdr {
            msg_hdr: outgoing(message, name.as_ref(), control),
            msg_len: 0,
        })
        .collect();
    retry_interrupted(|| {
        // SAFETY: every header points at a name, parts and control data that
        // live in `names`, `messages` and `controls` until the call returns.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                message_count(headers.len()),
                0,
            )
        };
        sent as isize
    })
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
    let mut name = empty_name();
    let mut name_bytes = length_of::<sockaddr_in6>();
    let wire_bytes = retry_interrupted(|| {
        // SAFETY: buffer and name live until the call returns, and the kernel
        // writes no more into each than its length, given beside it.
        unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                // Report the length of a datagram that did not fit.
                libc::MSG_TRUNC,
                (&raw mut name).cast(),
                &raw mut name_bytes,
            )
        }
    })?;
    received.from = socket_address(&name).ok_or(io::ErrorKind::InvalidData)?;
    received.wire_bytes = wire_bytes;
    Ok(())
}

/// Receives into the buffers, at most [`MAX_MESSAGES`], without waiting for
/// more datagrams than have arrived. Returns how many entries of `received` it
/// filled, at least one.
///
/// # Errors
/// `WouldBlock` if nothing has arrived.
pub(crate) fn receive_messages<'a>(
    socket: &UdpSocket,
    buffers: impl Iterator<Item = &'a mut [u8]>,
    received: &mut [Received],
) -> io::Result<usize> {
    let mut names = [const { MaybeUninit::<sockaddr_in6>::uninit() }; MAX_MESSAGES];
    let mut controls =
        [const { MaybeUninit::<ControlBuffer<RECEIVE_CONTROL_BYTES>>::uninit() }; MAX_MESSAGES];
    let mut parts = [const { MaybeUninit::<iovec>::uninit() }; MAX_MESSAGES];
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_MESSAGES];

    let mut count = 0;
    for (index, buffer) in buffers.take(received.len().min(MAX_MESSAGES)).enumerate() {
        let part = parts[index].write(iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        });
        let mut header = empty_header();
        header.msg_name = ptr::from_mut(names[index].write(empty_name())).cast();
        header.msg_namelen = length_of::<sockaddr_in6>();
        header.msg_iov = part;
        header.msg_iovlen = 1;
        header.msg_control = controls[index].as_mut_ptr().cast();
        header.msg_controllen = RECEIVE_CONTROL_BYTES as _;
        headers[index].write(mmsghdr {
            msg_hdr: header,
            msg_len: 0,
        });
        count += 1;
    }
    let filled = retry_interrupted(|| {
        // SAFETY: the first `count` headers are written and point at a name, a
        // buffer and control space that live until the call returns. The
        // kernel writes no more into each than its length, given beside it.
        let filled = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                message_count(count),
                // Report the length of a datagram that did not fit.
                libc::MSG_TRUNC as _,
                ptr::null_mut(),
            )
        };
        filled as isize
    })?;
    for ((header, name), received) in headers[..filled].iter().zip(&names).zip(received) {
        // SAFETY: both are written above for every index below `count`, and
        // `filled` is at most that.
        let (header, name) = unsafe { (header.assume_init_ref(), name.assume_init_ref()) };
        // SAFETY: the kernel wrote the first `filled` headers, and their control
        // data is in `controls` until this function ends.
        *received = unsafe { incoming(header, name) }?;
    }
    Ok(filled)
}

/// Takes the oldest entry from the error queue.
pub(crate) fn next_error(socket: &UdpSocket) -> io::Result<Option<QueuedError>> {
    let mut name = empty_name();
    let mut control = ControlBuffer::<RECEIVE_CONTROL_BYTES>::zeroed();
    // The kernel returns the start of the failed datagram, which is not needed.
    let mut start = [0u8; 1];
    let mut part = iovec {
        iov_base: start.as_mut_ptr().cast(),
        iov_len: start.len(),
    };
    let mut header = empty_header();
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = length_of::<sockaddr_in6>();
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.as_mut_ptr().cast();
    header.msg_controllen = RECEIVE_CONTROL_BYTES as _;
    let outcome = retry_interrupted(|| {
        // SAFETY: name, part and control live until the call returns, and
        // their lengths are beside them.
        unsafe {
            libc::recvmsg(
                socket.as_raw_fd(),
                &raw mut header,
                libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
            )
        }
    });
    match outcome {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    }
    let to = socket_address(&name);
    let mut found = None;
    let visit = |level, kind, data: &[u8]| {
        if matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            found = queued_error(data, to);
        }
    };
    // SAFETY: the kernel has just filled the header, whose control data is in
    // `control`.
    unsafe { for_each_control(&header, visit) };
    Ok(found)
}

/// The kernel's view of a message to send, pointing into the arguments.
fn outgoing(
    message: &Message<'_>,
    name: Option<&SockAddr>,
    control: &mut ControlBuffer<SEND_CONTROL_BYTES>,
) -> msghdr {
    let mut header = empty_header();
    if let Some(name) = name {
        header.msg_name = name.as_ptr().cast::<c_void>().cast_mut();
        header.msg_namelen = name.len();
    }
    // `IoSlice` is documented to have the layout of `iovec`, and sending does
    // not write through it.
    header.msg_iov = message.parts.as_ptr().cast::<iovec>().cast_mut();
    header.msg_iovlen = message.parts.len() as _;

    let mut writer = ControlWriter {
        control,
        used_bytes: 0,
    };
    if let Some(segment_bytes) = message.segment_bytes {
        writer.push(libc::SOL_UDP, libc::UDP_SEGMENT, segment_bytes);
    }
    if message.source.is_some() || message.interface_index.is_some() {
        writer.push_packet_info(message);
    }
    let used_bytes = writer.used_bytes;
    if used_bytes > 0 {
        header.msg_control = control.bytes.as_mut_ptr().cast();
        header.msg_controllen = used_bytes as _;
    }
    header
}

/// Room for control messages, aligned for their headers.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ControlBuffer<const BYTES: usize> {
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> ControlBuffer<BYTES> {
    fn zeroed() -> Self {
        Self { bytes: [0; BYTES] }
    }
}

/// Appends control messages to a buffer.
struct ControlWriter<'a> {
    control: &'a mut ControlBuffer<SEND_CONTROL_BYTES>,
    used_bytes: usize,
}

impl ControlWriter<'_> {
    fn push_packet_info(&mut self, message: &Message<'_>) {
        let index = message.interface_index.unwrap_or(0);
        let is_ipv6 = match (message.source, message.to) {
            (Some(source), _) => source.is_ipv6(),
            (None, Some(to)) => to.is_ipv6(),
            (None, None) => false,
        };
        if is_ipv6 {
            let source = match message.source {
                Some(IpAddr::V6(source)) => source,
                _ => Ipv6Addr::UNSPECIFIED,
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: source.octets(),
                },
                ipi6_ifindex: index as _,
            };
            self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        } else {
            let source = match message.source {
                Some(IpAddr::V4(source)) => source,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let info = libc::in_pktinfo {
                ipi_ifindex: index.cast_signed(),
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(source.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
    }

    /// Appends one message.
    ///
    /// # Panics
    /// If it does not fit, which [`SEND_CONTROL_BYTES`] rules out.
    fn push<T: Copy>(&mut self, level: c_int, kind: c_int, value: T) {
        let data_bytes = length_of::<T>();
        // SAFETY: arithmetic on the length alone.
        let (space, length) = unsafe { (libc::CMSG_SPACE(data_bytes), libc::CMSG_LEN(data_bytes)) };
        let end = self.used_bytes + space as usize;
        assert!(
            end <= SEND_CONTROL_BYTES,
            "control messages exceed their room"
        );
        // SAFETY: `used_bytes` is a sum of `CMSG_SPACE`s, hence aligned for a
        // header, and header and value end before `end`, which is inside.
        unsafe {
            let header = self
                .control
                .bytes
                .as_mut_ptr()
                .add(self.used_bytes)
                .cast::<cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = length as _;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.used_bytes = end;
    }
}

/// Reads the kernel's report on one buffer.
///
/// # Safety
/// As [`for_each_control`], of the header in it.
unsafe fn incoming(header: &mmsghdr, name: &sockaddr_in6) -> io::Result<Received> {
    let from = socket_address(name).ok_or(io::ErrorKind::InvalidData)?;
    let mut received = Received {
        from,
        wire_bytes: header.msg_len as usize,
        ..Received::EMPTY
    };
    let visit = |level, kind, data: &[u8]| match (level, kind) {
        (libc::SOL_UDP, libc::UDP_GRO) => {
            received.segment_bytes =
                read::<c_int>(data).and_then(|bytes| usize::try_from(bytes).ok());
        }
        (libc::IPPROTO_IP, libc::IP_TOS) => {
            received.traffic_class = read(data);
        }
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
            received.traffic_class = small_number(data);
        }
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            if let Some(info) = read::<libc::in_pktinfo>(data) {
                received.to = Some(ipv4(info.ipi_addr).into());
                received.interface_index = Some(info.ipi_ifindex.cast_unsigned());
            }
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            if let Some(info) = read::<libc::in6_pktinfo>(data) {
                received.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).to_canonical());
                received.interface_index = Some(info.ipi6_ifindex);
            }
        }
        (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
            received.hops = small_number(data);
        }
        (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
            received.received = read(data).and_then(system_time);
        }
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
            received.drops = read::<u32>(data).unwrap_or(0);
        }
        _ => {}
    };
    // SAFETY: the caller answers for the header.
    unsafe { for_each_control(&header.msg_hdr, visit) };
    Ok(received)
}

/// Reads a `sock_extended_err` and the address that follows it.
fn queued_error(data: &[u8], to: Option<SocketAddr>) -> Option<QueuedError> {
    let error = read::<libc::sock_extended_err>(data)?;
    let origin = match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => ErrorOrigin::Icmp,
        libc::SO_EE_ORIGIN_ICMP6 => ErrorOrigin::Icmpv6,
        _ => ErrorOrigin::Local,
    };
    let reporter = data.get(size_of::<libc::sock_extended_err>()..);
    Some(QueuedError {
        origin,
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
        to,
        reporter: reporter.and_then(|address| match origin {
            ErrorOrigin::Icmp => {
                read::<libc::sockaddr_in>(address).map(|address| ipv4(address.sin_addr).into())
            }
            ErrorOrigin::Icmpv6 => read::<sockaddr_in6>(address)
                .map(|address| Ipv6Addr::from(address.sin6_addr.s6_addr).to_canonical()),
            ErrorOrigin::Local => None,
        }),
    })
}

/// Calls `visit` with level, type and data of each control message.
///
/// # Safety
/// `msg_control` must be null, or point to `msg_controllen` readable bytes that
/// the kernel wrote and that are not modified during the call.
unsafe fn for_each_control(header: &msghdr, mut visit: impl FnMut(c_int, c_int, &[u8])) {
    // SAFETY: the macros walk inside what the caller vouches for and end with
    // null, and each header says how long its data is. `CMSG_LEN(0)` is
    // arithmetic.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while !next.is_null() {
            let message = &*next;
            let data_bytes = (message.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(next), data_bytes);
            visit(message.cmsg_level, message.cmsg_type, data);
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
}

/// Types that the kernel returns as plain bytes.
///
/// # Safety
/// Every bit pattern must be a value of the type.
unsafe trait Plain: Copy {}

// SAFETY: integers, and C structures of integers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for c_int {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for libc::timespec {}
// SAFETY: as above.
unsafe impl Plain for libc::in_pktinfo {}
// SAFETY: as above.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: as above.
unsafe impl Plain for libc::sock_extended_err {}
// SAFETY: as above.
unsafe impl Plain for libc::sockaddr_in {}
// SAFETY: as above.
unsafe impl Plain for sockaddr_in6 {}

/// Reads a value from the start of `data`, if it is long enough.
fn read<T: Plain>(data: &[u8]) -> Option<T> {
    if data.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: long enough, alignment is not needed, every pattern is a value.
    Some(unsafe { data.as_ptr().cast::<T>().read_unaligned() })
}

/// A one-byte number that the kernel writes as an `int`.
fn small_number(data: &[u8]) -> Option<u8> {
    read::<c_int>(data).and_then(|number| u8::try_from(number).ok())
}

fn system_time(time: libc::timespec) -> Option<SystemTime> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}

/// Reads a socket address of either family from the kernel's buffer.
fn socket_address(name: &sockaddr_in6) -> Option<SocketAddr> {
    match c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: a `sockaddr_in6` is larger than a `sockaddr_in`, aligned
            // as strictly, and both are integers throughout.
            let name = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            Some((ipv4(name.sin_addr), u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => Some(
            SocketAddrV6::new(
                Ipv6Addr::from(name.sin6_addr.s6_addr),
                u16::from_be(name.sin6_port),
                name.sin6_flowinfo,
                name.sin6_scope_id,
            )
            .into(),
        ),
        _ => None,
    }
}

fn ipv4(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

fn empty_header() -> msghdr {
    // SAFETY: integers and pointers only; zero is a value of each.
    unsafe { mem::zeroed() }
}

fn empty_name() -> sockaddr_in6 {
    // SAFETY: integers only; zero is a value of each.
    unsafe { mem::zeroed() }
}

fn message_count(count: usize) -> c_uint {
    c_uint::try_from(count).expect("at most MAX_MESSAGES")
}

fn length_of<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).expect("kernel structures are small")
}

/// Repeats a call while signals interrupt it. A negative result is an error.
fn retry_interrupted(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Turns an option on.
const ON: c_int = 1;

/// Options that make the kernel add control data to a datagram.
const CONTROL_OPTIONS: [(c_int, c_int); 9] = [
    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_RECVTTL),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
    // A merged run carries the length of its datagrams.
    (libc::SOL_UDP, libc::UDP_GRO),
];

/// `UDP_SEGMENT` (24) and the larger packet info (40).
const SEND_CONTROL_BYTES: usize = 64;

/// Packet info (40), of both IP versions on a dual-stack socket, time (32),
/// traffic class, hops, segment size and drops (24 each), and spare room.
const RECEIVE_CONTROL_BYTES: usize = 256;
