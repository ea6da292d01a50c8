//! Code shared by the course's programs.

#[macro_use]
mod output;

pub mod failure;
pub mod language;
pub mod my_tcp_server;
pub mod terminal;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV4, ToSocketAddrs},
};

use sockkit::sink::window::Window;

use self::failure::Failure;
pub use self::output::{print_error, print_line};

/// What `--help` of each program that uses a network ends with.
pub const IN_THE_CLEAR: &str = "As in the course, nothing is encrypted: every host on the network \
    can read and replace it. The command `sockkit` encrypts.";

/// `HOST[:PORT]`, for clap; without a port it is the program's. As in Python, HOST may be a
/// name, `<broadcast>`, or nothing, which is every address of this machine. Of several
/// addresses IPv4 is taken first. A link-local address has its interface: `fe80::1%eth0`.
///
/// # Errors
/// If the name is not known, or the port is no number.
pub fn address<const PORT: u16>(text: &str) -> io::Result<SocketAddr> {
    let text = with_port(text, PORT).replace("<broadcast>", "255.255.255.255");
    let text = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text,
    };
    let addresses = resolve(&text).map_err(|error| unknown(&text, error))?;
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let first = addresses.first().copied();
    first.ok_or_else(|| io::Error::other("the name has no address"))
}

/// The same where only IPv4 has what is done: broadcast.
///
/// # Errors
/// As [`address`], and if it has no IPv4 address.
pub fn address_v4<const PORT: u16>(text: &str) -> io::Result<SocketAddrV4> {
    match address::<PORT>(text)? {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(_) => Err(io::Error::other("broadcast is IPv4's alone")),
    }
}

/// `HOST[:PORT]` as it is typed, for clap; the name is resolved when it is connected to.
///
/// # Errors
/// None.
pub fn server<const PORT: u16>(text: &str) -> Result<String, Infallible> {
    Ok(with_port(text, PORT))
}

/// `HOST:PORT` of a text that may lack the port.
fn with_port(text: &str, port: u16) -> String {
    let without_zone = text.split_once('%').map_or(text, |(ip, _)| ip);
    if without_zone.parse::<Ipv6Addr>().is_ok() {
        return format!("[{text}]:{port}");
    }
    match !text.is_empty() && (!text.contains(':') || text.ends_with(']')) {
        true => format!("{text}:{port}"),
        false => text.to_owned(),
    }
}

/// The system takes an interface only where no brackets are.
fn resolve(text: &str) -> io::Result<impl Iterator<Item = SocketAddr>> {
    let in_brackets = text
        .strip_prefix('[')
        .and_then(|rest| rest.rsplit_once("]:"));
    let Some((host, port)) = in_brackets else {
        return text.to_socket_addrs();
    };
    let port: u16 = port
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "invalid port value"))?;
    (host, port).to_socket_addrs()
}

/// In the user's language: what the system says of a name is in its own.
fn unknown(text: &str, error: io::Error) -> io::Error {
    match language::is_korean() {
        true => io::Error::new(error.kind(), failure::unknown_name(text)),
        false => error,
    }
}

/// Runs a program until it ends or Ctrl-C is pressed.
///
/// # Errors
/// The program's error, or the operating system's if Ctrl-C cannot be caught.
pub async fn until_ctrl_c(
    program: impl Future<Output = anyhow::Result<()>>,
) -> Result<(), Failure> {
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::select! {
        // The handler is installed before the program reports that it is ready.
        biased;
        pressed = ctrl_c => Ok(pressed?),
        outcome = program => Ok(outcome?),
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
            ("127.0.0.1", "127.0.0.1:5009"),
            ("localhost", "127.0.0.1:5009"),
            ("<broadcast>", "255.255.255.255:5009"),
            ("::1", "[::1]:5009"),
            ("[::1]", "[::1]:5009"),
            ("fe80::1%1", "[fe80::1%1]:5009"),
            ("[fe80::1%1]", "[fe80::1%1]:5009"),
            ("[fe80::1%1]:5000", "[fe80::1%1]:5000"),
        ] {
            assert_eq!(address::<5009>(text).unwrap().to_string(), expected);
        }
        for bad in [
            "127.0.0.1:",
            "127.0.0.1:x",
            "[::1]:x",
            "fe80::1%no-such",
            "",
        ] {
            assert!(address::<5009>(bad).is_err(), "{bad}");
        }
        assert!(address_v4::<5009>("[::1]:1").is_err());
    }
}
