//! Kernel calls for a lab.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd},
};

use rustix::{
    net::{AddressFamily, SocketType, netdevice::name_to_index, socket},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// Moves the calling thread into a new, empty network namespace.
pub(super) fn enter_new_namespace() -> File {
    sockkit_core::enter_new_network_namespace().expect("root may make namespaces");
    // Makes addresses usable at once, by skipping duplicate address detection.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    File::open("/proc/thread-self/ns/net").expect("a thread has a network namespace")
}

/// Moves the calling thread into the namespace.
pub(super) fn enter(namespace: &File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may enter namespaces");
}

/// The path by which other programs find an open file of this process.
pub(super) fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Index of an interface in the calling thread's namespace.
pub(super) fn index_of(interface: &str) -> io::Result<u32> {
    // The call needs any socket of the namespace.
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(name_to_index(any, interface)?)
}
