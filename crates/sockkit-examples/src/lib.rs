//! Code shared by the course's programs.

#[macro_use]
mod output;

pub mod language;
pub mod my_tcp_server;
pub mod terminal;

use std::{
    future::Future,
    io,
    net::{SocketAddr, SocketAddrV4, ToSocketAddrs},
};

use sockkit::sink::window::Window;

pub use self::output::{print_error, print_line};

/// What `--help` of each program that uses a network ends with.
pub const IN_THE_CLEAR: &str = "As in the course, nothing is encrypted: every host on the network \
    can read and replace it. The command `sockkit` encrypts.";

/// `HOST:PORT`, for clap. As in Python, HOST may be a name, `<broadcast>`, or nothing,
/// which is every address of this machine. Of several addresses IPv4 is taken first.
///
/// # Errors
/// If the name is not known, or there is no port.
pub fn address(text: &str) -> io::Result<SocketAddr> {
    let text = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.replace("<broadcast>", "255.255.255.255"),
    };
    let mut addresses: Vec<_> = text.to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let first = addresses.first().copied();
    first.ok_or_else(|| io::Error::other("the name has no address"))
}

/// The same where only IPv4 has what is done: broadcast.
///
/// # Errors
/// As [`address`], and if it has no IPv4 address.
pub fn address_v4(text: &str) -> io::Result<SocketAddrV4> {
    match address(text)? {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(_) => Err(io::Error::other("broadcast is IPv4's alone")),
    }
}

/// Runs a program until it ends or Ctrl-C is pressed.
///
/// # Errors
/// The program's error, or the operating system's if Ctrl-C cannot be caught.
pub async fn until_ctrl_c(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::select! {
        // The handler is installed before the program reports that it is ready.
        biased;
        pressed = ctrl_c => Ok(pressed?),
        outcome = program => outcome,
    }
}

/// Waits until the user closes the window; pending if there is none.
///
/// # Errors
/// If the display connection was lost.
pub async fn closed(window: &mut Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) => Ok(window.closed().await?),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_where_addresses_do() {
        for (text, expected) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("localhost:5000", "127.0.0.1:5000"),
            ("<broadcast>:5007", "255.255.255.255:5007"),
            (":5001", "0.0.0.0:5001"),
            ("[::1]:5002", "[::1]:5002"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        for bad in ["127.0.0.1", "127.0.0.1:x", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address_v4("[::1]:1").is_err());
    }
}
