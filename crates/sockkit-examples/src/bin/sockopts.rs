//! The course's `setsockopt` table as a program: sets every option, reads it
//! back, and explains it.
//!
//! Unlike the course's program, it reads values back. `setsockopt` may succeed
//! although the kernel has doubled, capped or rounded the value.

use std::{net::Ipv4Addr, time::Duration};

use clap::Parser;
use sockkit::options::{
    ALL, AsSocket, Dscp, Linger, Live, OptionError, PathMtuDiscovery, SocketOptions,
};
use tokio::net::{TcpSocket, UdpSocket};

/// The course's setsockopt table: sets, reads back and explains every option
#[derive(Parser)]
struct Args {
    /// Only the course's options
    #[arg(long)]
    course: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tcp = || TcpSocket::new_v4();
    println!("TCP");
    show_all(&args, tcp)?;
    println!("\nUDP");
    show_all(&args, || {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    })
}

/// Each option on its own socket, so that they do not affect each other.
fn show_all<S: AsSocket>(args: &Args, open: impl Fn() -> std::io::Result<S>) -> anyhow::Result<()> {
    let rest = if args.course { Vec::new() } else { the_rest() };
    for options in the_courses().into_iter().chain(rest) {
        show(&options, &open()?)?;
    }
    if !args.course {
        show_read_only(&open()?)?;
    }
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

fn show_read_only(socket: &impl AsSocket) -> anyhow::Result<()> {
    let table = Live::of(socket)?.table()?;
    let rows = table.iter().filter(|row| is_read_only(row.spec.name));
    for row in rows {
        match &row.value {
            Ok(value) => println!("  {}: is {value}, for reading only", row.spec.name),
            Err(error) => println!("  {}: for reading only, {error}", row.spec.name),
        }
        explain(row.spec.name);
    }
    Ok(())
}

fn is_read_only(name: &str) -> bool {
    ALL.iter()
        .any(|spec| spec.name == name && spec.access == sockkit::options::Access::ReadOnly)
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
    ]
}

/// Further options that real programs use.
fn the_rest() -> Vec<SocketOptions> {
    let new = SocketOptions::new;
    vec![
        new().keepalive_idle(60 * SECOND),
        new().keepalive_interval(10 * SECOND),
        new().keepalive_retries(5),
        new().reuse_port(true),
        new().receive_buffer_forced_bytes(1 << 20),
        new().send_buffer_forced_bytes(1 << 20),
        new().out_of_band_inline(true),
        new().device("lo"),
        new().device_index(1),
        new().priority(6),
        new().mark(7),
        new().busy_poll_us(50),
        new().prefer_busy_poll(true),
        new().receive_low_water_bytes(2),
        new().incoming_cpu(0),
        new().receive_drop_count(true),
        new().receive_timestamp(true),
        new().max_pacing_bytes_per_second(1_000_000),
        new().zero_copy(true),
        new().transmit_rehash(true),
        new().ttl(64),
        new().traffic_class_v4(Dscp::EXPEDITED.into()),
        new().path_mtu_discovery_v4(PathMtuDiscovery::Forbid),
        new().packet_info_v4(true),
        new().receive_ttl(true),
        new().receive_traffic_class_v4(true),
        new().receive_errors_v4(true),
        new().free_bind_v4(true),
        new().transparent_v4(true),
        new().bind_address_no_port(true),
        new().min_ttl(3),
        new().multicast_ttl(2),
        new().multicast_loop_v4(false),
        new().multicast_interface_v4(Ipv4Addr::LOCALHOST),
        new().multicast_all_v4(false),
        new().no_delay(true),
        new().quick_ack(false),
        new().cork(true),
        new().max_segment_bytes(1_000),
        new().congestion("reno"),
        new().user_timeout(Some(10 * SECOND)),
        new().not_sent_low_water_bytes(131_072),
        new().fast_open_queue(5),
        new().fast_open_connect(true),
        new().defer_accept_s(3),
        new().syn_retries(2),
        new().fin_wait_s(7),
        new().window_clamp_bytes(65_536),
        new().thin_linear_timeouts(true),
        new().receive_queue_length(true),
        new().segment_bytes(1_200),
        new().receive_offload(true),
        new().datagram_cork(true),
    ]
}

const SECOND: Duration = Duration::from_secs(1);
