//! Kernel calls for a lab.

use std::{
    fs::{self, File},
    io,
    num::NonZeroU64,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketType, netdevice::name_to_index, socket},
    thread::{LinkNameSpaceType, move_into_link_name_space, set_current_timer_slack},
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

/// An Ethernet interface of the calling thread's namespace, whose cable is the file.
pub(super) fn open_tap(name: &str) -> io::Result<File> {
    sockkit_core::open_tap(name)
}

/// Lets the calling thread's waits end when they are due, not some microseconds later.
pub(super) fn wait_precisely() {
    // A kernel that refuses it wakes us 50 µs late.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// Waits until one of the files can be read, or for so long.
pub(super) fn wait(files: [&File; 2], at_most: Duration) -> io::Result<()> {
    let mut files = files.map(|file| PollFd::new(file, PollFlags::IN));
    let at_most = Timespec::try_from(at_most).map_err(io::Error::other)?;
    match poll(&mut files, Some(&at_most)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
