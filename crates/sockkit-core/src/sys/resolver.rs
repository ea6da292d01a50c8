//! The settings of the name resolver, on Windows.
//!
//! # Source
//! Microsoft's "GetAdaptersAddresses".

#![expect(unsafe_code, reason = "no crate in use wraps this call")]

use std::{io, net::IpAddr, ptr, slice};

use socket2::SockAddr;
use windows_sys::Win32::{
    Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, ERROR_SUCCESS},
    NetworkManagement::{
        IpHelper::{
            GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_MULTICAST, GAA_FLAG_SKIP_UNICAST,
            GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH, IP_ADAPTER_DNS_SERVER_ADDRESS_XP,
        },
        Ndis::IfOperStatusUp,
    },
    Networking::WinSock::{AF_UNSPEC, SOCKET_ADDRESS},
};

/// Name servers and suffixes of the interfaces that are up, each once.
///
/// # Errors
/// The error of `GetAdaptersAddresses`.
pub(crate) fn settings() -> io::Result<(Vec<IpAddr>, Vec<String>)> {
    let Some(list) = adapters()? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut servers, mut suffixes) = (Vec::new(), Vec::new());
    let mut next: *const IP_ADAPTER_ADDRESSES_LH = list.as_ptr().cast();
    // SAFETY: the system has made a list of such structures in the buffer, which ends
    // with a null pointer, and every pointer in it is null or leads into the buffer.
    while let Some(adapter) = unsafe { next.as_ref() } {
        if adapter.OperStatus == IfOperStatusUp {
            // SAFETY: as above.
            let (found, suffix) = unsafe { (servers_of(adapter), text(adapter.DnsSuffix)) };
            servers.extend(found);
            suffixes.extend(suffix);
        }
        next = adapter.Next;
    }
    Ok((each_once(servers), each_once(suffixes)))
}

/// The system's list; `None` without any interface.
fn adapters() -> io::Result<Option<Vec<u64>>> {
    let flags = GAA_FLAG_SKIP_UNICAST | GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST;
    let mut bytes = FIRST_BYTES;
    // It may grow between two calls.
    for _ in 0..ATTEMPTS {
        let words = usize::try_from(bytes)
            .map_err(io::Error::other)?
            .div_ceil(8);
        let mut buffer = vec![0_u64; words];
        let family = AF_UNSPEC.into();
        let list = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer is aligned and at least `bytes` long.
        let status =
            unsafe { GetAdaptersAddresses(family, flags, ptr::null(), list, &raw mut bytes) };
        match status {
            ERROR_SUCCESS => return Ok(Some(buffer)),
            ERROR_NO_DATA => return Ok(None),
            ERROR_BUFFER_OVERFLOW => {}
            status => return Err(io::Error::from_raw_os_error(status.cast_signed())),
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// # Safety
/// The adapter is one of a list that is alive.
unsafe fn servers_of(adapter: &IP_ADAPTER_ADDRESSES_LH) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    let mut next: *const IP_ADAPTER_DNS_SERVER_ADDRESS_XP = adapter.FirstDnsServerAddress;
    // SAFETY: the caller's promise.
    while let Some(server) = unsafe { next.as_ref() } {
        // SAFETY: the caller's promise.
        servers.extend(unsafe { address(&server.Address) });
        next = server.Next;
    }
    servers
}

/// # Safety
/// It points at as many bytes as it says.
unsafe fn address(found: &SOCKET_ADDRESS) -> Option<IpAddr> {
    let bytes = usize::try_from(found.iSockaddrLength).ok()?;
    if found.lpSockaddr.is_null() {
        return None;
    }
    // SAFETY: at most as many bytes are copied as either has, which do not overlap.
    let ((), name) = unsafe {
        SockAddr::try_init(|name, length| {
            let bytes = bytes.min(usize::try_from(*length).unwrap_or(0));
            ptr::copy_nonoverlapping(found.lpSockaddr.cast::<u8>(), name.cast::<u8>(), bytes);
            *length = found.iSockaddrLength.min(*length);
            Ok(())
        })
        .ok()?
    };
    Some(name.as_socket()?.ip())
}

/// A string that is not empty.
///
/// # Safety
/// It is null, or ends with a zero.
unsafe fn text(string: *const u16) -> Option<String> {
    if string.is_null() {
        return None;
    }
    let mut length = 0;
    // SAFETY: the caller's promise; a name is no longer than that.
    while length < MAX_UNITS && unsafe { *string.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: so many have been read.
    let units = unsafe { slice::from_raw_parts(string, length) };
    String::from_utf16(units)
        .ok()
        .filter(|text| !text.is_empty())
}

fn each_once<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(all.len());
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// What Microsoft recommends.
const FIRST_BYTES: u32 = 15_000;
const ATTEMPTS: u32 = 4;
const MAX_UNITS: usize = 256;
