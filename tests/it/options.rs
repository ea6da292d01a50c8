//! Socket options against the kernel: set, read back, explain.

use std::{net::Ipv4Addr, time::Duration};

use socket2::{Domain, Socket, Type};
use sockkit::options::{
    ALL, Access, Dscp, Ecn, Linger, OptionError, OptionSpec, Outcome, PathMtuDiscovery,
    SocketOptions, TrafficClass,
};

/// One setting for each option that can be set, none of them the default.
#[expect(clippy::too_many_lines, reason = "a table, a row an option")]
fn one_of_each() -> Vec<SocketOptions> {
    let new = SocketOptions::new;
    let second = Duration::from_secs(1);
    vec![
        new().reuse_address(true),
        new().reuse_port(true),
        new().receive_buffer_bytes(65_536),
        new().send_buffer_bytes(65_536),
        new().receive_buffer_forced_bytes(70_000),
        new().send_buffer_forced_bytes(70_000),
        new().read_timeout(Some(second)),
        new().write_timeout(Some(second * 2)),
        new().keepalive_idle(second * 11),
        new().keepalive_interval(second * 3),
        new().keepalive_retries(4),
        new().keepalive_enabled(true),
        new().linger(Linger::Wait(second)),
        new().dont_route(true),
        new().broadcast(true),
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
        new().ttl(9),
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
        new().multicast_ttl(4),
        new().multicast_loop_v4(false),
        new().multicast_interface_v4(Ipv4Addr::LOCALHOST),
        new().multicast_all_v4(false),
        new().only_v6(true),
        new().hop_limit(9),
        new().traffic_class_v6(TrafficClass::new(Dscp::LOWER_EFFORT, Ecn::NotCapable)),
        new().path_mtu_discovery_v6(PathMtuDiscovery::Probe),
        new().dont_fragment_v6(true),
        new().packet_info_v6(true),
        new().receive_hop_limit(true),
        new().receive_traffic_class_v6(true),
        new().receive_errors_v6(true),
        new().free_bind_v6(true),
        new().transparent_v6(true),
        new().min_hop_limit(3),
        new().multicast_hop_limit(4),
        new().multicast_loop_v6(false),
        new().multicast_interface_v6(1),
        new().multicast_all_v6(false),
        new().no_delay(true),
        new().quick_ack(false),
        new().cork(true),
        new().max_segment_bytes(1_000),
        new().congestion("reno"),
        new().user_timeout(Some(second * 9)),
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

/// Sets every row on fresh sockets of one kind; gives the names that took.
fn set_and_read_back(domain: Domain, kind: Type) -> Vec<&'static str> {
    let (mut took, mut failures) = (Vec::new(), Vec::new());
    for options in one_of_each() {
        let socket = Socket::new(domain, kind, None).unwrap();
        match options.apply(&socket) {
            Ok(()) => {}
            Err(OptionError::WrongSocket { .. } | OptionError::Unsupported { .. }) => continue,
            // The rows that need a privilege.
            Err(OptionError::Set { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                continue;
            }
            Err(error) => failures.push(format!("{error:?}")),
        }
        for line in options.report(&socket).unwrap() {
            match (line.option, line.outcome()) {
                (_, Outcome::AsRequested) => {}
                ("SO_RCVBUF" | "SO_SNDBUF" | "SO_RCVBUFFORCE" | "SO_SNDBUFFORCE", outcome) => {
                    assert_eq!(outcome, Outcome::Doubled, "{line}");
                }
                (_, outcome) => failures.push(format!("{outcome:?}: {line}")),
            }
            took.push(line.option);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    took
}

#[cfg_attr(not(target_os = "linux"), ignore = "the rows are Linux's")]
#[test]
fn every_settable_row_has_a_setting_in_these_tests() {
    let mut tried = Vec::new();
    for (domain, kind) in [(Domain::IPV4, Type::STREAM), (Domain::IPV6, Type::DGRAM)] {
        for options in one_of_each() {
            let socket = Socket::new(domain, kind, None).unwrap();
            let report = options.report(&socket).unwrap();
            tried.extend(report.into_iter().map(|line| line.option));
        }
    }
    for spec in ALL.iter().filter(|spec| spec.access == Access::ReadWrite) {
        assert!(tried.contains(&spec.name), "{} is not tried", spec.name);
    }
    assert!(one_of_each().len() >= 60);
}

#[cfg_attr(not(target_os = "linux"), ignore = "the rows are Linux's")]
#[test]
fn every_row_of_a_tcp_socket_reads_back_what_was_set() {
    let took = set_and_read_back(Domain::IPV4, Type::STREAM);
    assert!(took.contains(&"TCP_CONGESTION") && took.contains(&"SO_DONTROUTE"));
    set_and_read_back(Domain::IPV6, Type::STREAM);
}

#[cfg_attr(not(target_os = "linux"), ignore = "the rows are Linux's")]
#[test]
fn every_row_of_a_udp_socket_reads_back_what_was_set() {
    let took = set_and_read_back(Domain::IPV4, Type::DGRAM);
    assert!(took.contains(&"IP_MULTICAST_ALL") && took.contains(&"UDP_GRO"));
    let took = set_and_read_back(Domain::IPV6, Type::DGRAM);
    assert!(took.contains(&"IPV6_MULTICAST_ALL") && took.contains(&"IP_TTL"));
}

/// The page in the book is the table: `SOCKKIT_WRITE_DOCS=1` rewrites it.
#[test]
fn the_page_of_all_options_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/socket-options.md");
    if std::env::var_os("SOCKKIT_WRITE_DOCS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page(),
        "stale: SOCKKIT_WRITE_DOCS=1 cargo test --test it options"
    );
}

fn page() -> String {
    let mut page = String::from(PAGE_HEAD);
    for spec in ALL {
        let OptionSpec {
            name,
            method,
            scope,
            platforms,
            value_type,
            unit,
            default,
            summary,
            ..
        } = spec;
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(", {unit}")
        };
        let read_only = match spec.access {
            Access::ReadWrite => "",
            Access::ReadOnly => " Read only.",
        };
        page += &format!(
            "| `{name}` | [`{method}`](https://docs.rs/sockkit/latest/sockkit/options/struct.Live.html#method.{method}) | `{value_type}`{unit} | {default} | {scope} | {platforms} | {summary}{read_only} |\n"
        );
    }
    page
}

const PAGE_HEAD: &str = "\
# Socket options

Every option that [`SocketOptions`](https://docs.rs/sockkit/latest/sockkit/options/struct.SocketOptions.html) sets and
[`Live`](https://docs.rs/sockkit/latest/sockkit/options/struct.Live.html) reads, made from the code. `sockkit options` shows the values that they have
on your machine, and the example `sockopts` sets those of the course and reads them back. What is said of macOS and Windows is from their
documentation and was not run there.

`TCP_INFO` is a report and not a value: [`Live::tcp_info`](https://docs.rs/sockkit/latest/sockkit/options/struct.Live.html#method.tcp_info).

| option | method | value | default | sockets | exists on | what it does |
| --- | --- | --- | --- | --- | --- | --- |
";
