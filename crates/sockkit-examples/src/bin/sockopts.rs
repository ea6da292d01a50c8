//! The course's `setsockopt` table as a program: sets each option, reads it
//! back, and explains it; then shows all other options.
//!
//! Unlike the course's program, it reads values back. `setsockopt` may succeed
//! although the kernel has doubled, capped or rounded the value.

use std::{net::Ipv4Addr, time::Duration};

use clap::Parser;
use sockkit::options::{ALL, AsSocket, Linger, Live, OptionError, Row, SocketOptions};
use sockkit_examples::{failure::Failure, println};
use tokio::net::{TcpSocket, UdpSocket};

/// The course's setsockopt table: sets and reads back each option, and explains all there are
#[derive(Parser)]
struct Args {
    /// Only the course's options
    #[arg(long)]
    course: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let tcp = || TcpSocket::new_v4();
    println!("TCP");
    show_all(&args, tcp)?;
    println!("\nUDP");
    show_all(&args, || {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    })?;
    Ok(())
}

/// Each of the course's options on its own socket, so that they do not affect
/// each other; then all other options.
fn show_all<S: AsSocket>(args: &Args, open: impl Fn() -> std::io::Result<S>) -> anyhow::Result<()> {
    let courses = the_courses();
    for options in &courses {
        show(options, &open()?)?;
    }
    if args.course {
        return Ok(());
    }
    let socket = open()?;
    let mut shown = Vec::new();
    for options in &courses {
        shown.extend(options.report(&socket)?.into_iter().map(|row| row.option));
    }
    let table = Live::of(&socket)?.table()?;
    table
        .iter()
        .filter(|row| !shown.contains(&row.spec.name))
        .for_each(show_unset);
    Ok(())
}

fn show(options: &SocketOptions, socket: &impl AsSocket) -> anyhow::Result<()> {
    match options.apply(socket) {
        Ok(()) => {}
        // TCP options on a UDP socket, or the other way round.
        Err(OptionError::WrongSocket { .. }) => return Ok(()),
        // A privilege or a platform is missing: continue with the next option.
        Err(error) => {
            println!("  {:#}", anyhow::Error::new(error));
            return Ok(());
        }
    }
    for taken in options.report(socket)? {
        println!("  {taken}");
        explain(taken.option);
    }
    Ok(())
}

fn show_unset(row: &Row) {
    match &row.value {
        Ok(value) => println!("  {}: is {value}", row.spec.name),
        Err(error) => println!("  {}: {error}", row.spec.name),
    }
    explain(row.spec.name);
}

fn explain(name: &str) {
    if let Some(spec) = ALL.iter().find(|spec| spec.name == name) {
        println!("      {}", spec.summary);
    }
}

/// The rows of the course's table, in order.
fn the_courses() -> Vec<SocketOptions> {
    let new = SocketOptions::new;
    vec![
        new().reuse_address(true),
        new().receive_buffer_bytes(65_536),
        new().send_buffer_bytes(65_536),
        new().read_timeout(Some(SECOND)),
        new().write_timeout(Some(SECOND)),
        new().keepalive_enabled(true),
        new().linger(Linger::Wait(SECOND)),
        // SO_DONTLINGER on Windows.
        new().linger(Linger::Background),
        new().dont_route(true),
        new().broadcast(true),
        new().multicast_ttl(2),
    ]
}

const SECOND: Duration = Duration::from_secs(1);
