//! The table of options. A new option is one new row here.
//!
//! # Source
//! Linux: socket(7), ip(7), ipv6(7), tcp(7), udp(7) and the kernel's `uapi`
//! headers, where the constants carry the same names.

use std::{net::Ipv4Addr, time::Duration};

use socket2::{Socket, TcpKeepalive};

#[cfg(unix)]
use super::int;
use super::{
    Access, Level, Linger, Live, OptionError, OptionSpec, PathMtuDiscovery, Platforms, Scope,
    TrafficClass, Value, convert,
    live::{Get, Identity, Set},
};

define_options! {
settable:
    /// Allows binding an address while connections of an earlier process are in
    /// TIME_WAIT. For UDP, allows several sockets to share a port, as multicast
    /// receivers do.
    SO_REUSEADDR: reuse_address(bool) -> bool,
        Socket, ANY, Everywhere, "", "off",
        via calls(Socket::reuse_address, Socket::set_reuse_address);
    /// Allows several sockets to bind the same address; the kernel distributes
    /// connections and datagrams among them.
    SO_REUSEPORT: reuse_port(bool) -> bool,
        Socket, ANY, LinuxAndMac, "", "off",
        via calls(Socket::reuse_port, Socket::set_reuse_port);
    /// Size of the receive buffer. Linux doubles the value for its own
    /// bookkeeping and caps it at `net.core.rmem_max`; setting it disables
    /// automatic tuning. Set it before `listen` or `connect`.
    SO_RCVBUF: receive_buffer_bytes(usize) -> usize,
        Socket, ANY, Everywhere, "bytes", "net.ipv4.tcp_rmem or net.core.rmem_default",
        via calls(Socket::recv_buffer_size, convert::set_receive_buffer);
    /// Size of the send buffer, for bytes not yet acknowledged. Linux doubles
    /// the value and caps it at `net.core.wmem_max`; setting it disables
    /// automatic tuning.
    SO_SNDBUF: send_buffer_bytes(usize) -> usize,
        Socket, ANY, Everywhere, "bytes", "net.ipv4.tcp_wmem or net.core.wmem_default",
        via calls(Socket::send_buffer_size, convert::set_send_buffer);
    /// As `SO_RCVBUF`, but not capped; requires CAP_NET_ADMIN.
    SO_RCVBUFFORCE: receive_buffer_forced_bytes(usize) -> usize,
        Socket, ANY, Linux, "bytes", "as SO_RCVBUF",
        via calls(Socket::recv_buffer_size, convert::force_receive_buffer);
    /// As `SO_SNDBUF`, but not capped; requires CAP_NET_ADMIN.
    SO_SNDBUFFORCE: send_buffer_forced_bytes(usize) -> usize,
        Socket, ANY, Linux, "bytes", "as SO_SNDBUF",
        via calls(Socket::send_buffer_size, convert::force_send_buffer);
    /// Timeout of a read. The kernel applies it to blocking calls only, so this
    /// crate's async reads apply it themselves.
    SO_RCVTIMEO: read_timeout(Option<Duration>) -> Option<Duration>,
        Socket, ANY, Everywhere, "", "none",
        via calls(Socket::read_timeout, convert::set_read_timeout);
    /// Timeout of a write that waits for buffer space. The kernel applies it to
    /// blocking calls only, so this crate's async writes apply it themselves.
    SO_SNDTIMEO: write_timeout(Option<Duration>) -> Option<Duration>,
        Socket, ANY, Everywhere, "", "none",
        via calls(Socket::write_timeout, convert::set_write_timeout);
    /// Idle time before the first keep-alive probe; also enables keep-alive.
    /// Whole seconds, rounded up.
    TCP_KEEPIDLE: keepalive_idle(Duration) -> Duration,
        Tcp, TCP, Everywhere, "", "2 h",
        via calls(convert::keepalive_time, |socket, idle| {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(convert::whole_seconds(idle)))
        });
    /// Interval between keep-alive probes; also enables keep-alive. Whole
    /// seconds, rounded up.
    TCP_KEEPINTVL: keepalive_interval(Duration) -> Duration,
        Tcp, TCP, Everywhere, "", "75 s",
        via calls(convert::keepalive_interval, |socket, interval| {
            let interval = convert::whole_seconds(interval);
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(interval))
        });
    /// Number of unanswered keep-alive probes before the connection fails; also
    /// enables keep-alive.
    TCP_KEEPCNT: keepalive_retries(u32) -> u32,
        Tcp, TCP, Everywhere, "probes", "9",
        via calls(Socket::tcp_keepalive_retries, |socket, retries| {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_retries(retries))
        });
    /// Probes an idle connection, to detect a peer that has vanished.
    SO_KEEPALIVE: keepalive_enabled(bool) -> bool,
        Socket, STREAM_ON_WINDOWS, Everywhere, "", "off",
        via calls(Socket::keepalive, Socket::set_keepalive);
    /// How closing a socket treats unsent bytes.
    SO_LINGER: linger(Linger) -> Linger,
        Socket, STREAM_ON_WINDOWS, Everywhere, "", "background",
        via calls(convert::linger, convert::set_linger);
    /// Sends to directly attached networks only, bypassing the routing table.
    SO_DONTROUTE: dont_route(bool) -> bool,
        Socket, ANY, LinuxAndMac, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_DONTROUTE);
    /// Allows sending to broadcast addresses.
    SO_BROADCAST: broadcast(bool) -> bool,
        Socket, UDP, Everywhere, "", "off",
        via calls(Socket::broadcast, Socket::set_broadcast);
    /// Keeps urgent data in the ordinary byte stream.
    SO_OOBINLINE: out_of_band_inline(bool) -> bool,
        Socket, TCP, Everywhere, "", "off",
        via calls(Socket::out_of_band_inline, Socket::set_out_of_band_inline);
    /// Sends and receives only through the interface with this name.
    SO_BINDTODEVICE: device(&str) -> String,
        Socket, ANY, Linux, "", "none",
        via calls(convert::device, convert::set_device);
    /// Sends and receives only through the interface with this index; 0 means
    /// any.
    SO_BINDTOIFINDEX: device_index(u32) -> u32,
        Socket, ANY, Linux, "interface", "0",
        via int(libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX);
    /// Queueing priority on this machine, 0 to 6; higher values require
    /// CAP_NET_ADMIN.
    SO_PRIORITY: priority(u32) -> u32,
        Socket, ANY, Linux, "", "0",
        via calls(Socket::priority, Socket::set_priority);
    /// Mark for packet filters and policy routing; requires CAP_NET_ADMIN.
    SO_MARK: mark(u32) -> u32,
        Socket, ANY, Linux, "", "0",
        via calls(Socket::mark, Socket::set_mark);
    /// Busy-polls the device queue for this long when there is nothing to read.
    SO_BUSY_POLL: busy_poll_us(u32) -> u32,
        Socket, ANY, Linux, "µs", "net.core.busy_read",
        via calls(Socket::busy_poll, Socket::set_busy_poll);
    /// Prefers busy polling to interrupts.
    SO_PREFER_BUSY_POLL: prefer_busy_poll(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL);
    /// Bytes that must be available before the socket becomes readable.
    SO_RCVLOWAT: receive_low_water_bytes(u32) -> u32,
        Socket, ANY, LinuxAndMac, "bytes", "1",
        via int(libc::SOL_SOCKET, libc::SO_RCVLOWAT);
    /// Among sockets that share a port, prefers packets received by this CPU.
    SO_INCOMING_CPU: incoming_cpu(usize) -> usize,
        Socket, ANY, Linux, "CPU", "none",
        via calls(Socket::cpu_affinity, Socket::set_cpu_affinity);
    /// Reports with each datagram how many were dropped before it.
    SO_RXQ_OVFL: receive_drop_count(bool) -> bool,
        Socket, UDP, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    /// Reports with each datagram when the kernel received it, in nanoseconds.
    SO_TIMESTAMPNS: receive_timestamp(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
    /// Maximum rate at which the kernel paces packets.
    SO_MAX_PACING_RATE: max_pacing_bytes_per_second(u64) -> u64,
        Socket, ANY, Linux, "bytes/s", "unlimited",
        via calls(convert::pacing, convert::set_pacing);
    /// Allows zero-copy sends from the program's memory, for programs that make
    /// such calls themselves.
    SO_ZEROCOPY: zero_copy(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_ZEROCOPY);
    /// Selects another network path after retransmission timeouts.
    SO_TXREHASH: transmit_rehash(bool) -> bool,
        Socket, TCP, Linux, "", "net.core.txrehash",
        via int(libc::SOL_SOCKET, libc::SO_TXREHASH);

    /// Hop limit of unicast packets.
    IP_TTL: ttl(u8) -> u8,
        Ipv4, V4, Everywhere, "hops", "64",
        via calls(convert::ttl, |socket, hops| socket.set_ttl_v4(hops.into()));
    /// Traffic class (DSCP and ECN) of IPv4 packets.
    IP_TOS: traffic_class_v4(TrafficClass) -> TrafficClass,
        Ipv4, V4, LinuxAndMac, "", "DSCP 0, not-ECT",
        via int(libc::IPPROTO_IP, libc::IP_TOS);
    /// Whether IPv4 packets may be fragmented.
    IP_MTU_DISCOVER: path_mtu_discovery_v4(PathMtuDiscovery) -> PathMtuDiscovery,
        Ipv4, V4, Linux, "", "allow",
        via int(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    /// Reports with each datagram the address and interface on which it
    /// arrived.
    IP_PKTINFO: packet_info_v4(bool) -> bool,
        Ipv4, V4_UDP, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_PKTINFO);
    /// Reports with each datagram its remaining hops.
    IP_RECVTTL: receive_ttl(bool) -> bool,
        Ipv4, V4_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVTTL);
    /// Reports with each datagram its traffic class (DSCP and ECN).
    IP_RECVTOS: receive_traffic_class_v4(bool) -> bool,
        Ipv4, V4_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVTOS);
    /// Queues ICMP errors, to be read from the error queue.
    IP_RECVERR: receive_errors_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVERR);
    /// Allows binding an address that is not (yet) local.
    IP_FREEBIND: free_bind_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via calls(Socket::freebind_v4, Socket::set_freebind_v4);
    /// Allows accepting for, and sending from, non-local addresses, as a
    /// transparent proxy does; requires CAP_NET_ADMIN.
    IP_TRANSPARENT: transparent_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via calls(Socket::ip_transparent_v4, Socket::set_ip_transparent_v4);
    /// Selects the local port at connect instead of at bind, so that more
    /// connections can share it.
    IP_BIND_ADDRESS_NO_PORT: bind_address_no_port(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    /// Drops segments with fewer remaining hops, as protection against distant
    /// spoofed packets.
    IP_MINTTL: min_ttl(u8) -> u8,
        Ipv4, V4, Linux, "hops", "0",
        via int(libc::IPPROTO_IP, libc::IP_MINTTL);
    /// Hop limit of multicast packets; 1 stays on the local network.
    IP_MULTICAST_TTL: multicast_ttl(u8) -> u8,
        Ipv4, V4_UDP, Everywhere, "hops", "1",
        via calls(convert::multicast_ttl, |socket, hops| socket.set_multicast_ttl_v4(hops.into()));
    /// Whether this machine receives its own multicast packets.
    IP_MULTICAST_LOOP: multicast_loop_v4(bool) -> bool,
        Ipv4, V4_UDP, Everywhere, "", "on",
        via calls(Socket::multicast_loop_v4, Socket::set_multicast_loop_v4);
    /// Outgoing interface for multicast, by its address.
    IP_MULTICAST_IF: multicast_interface_v4(Ipv4Addr) -> Ipv4Addr,
        Ipv4, V4_UDP, Everywhere, "", "0.0.0.0 (by route)",
        via calls(Socket::multicast_if_v4, |socket, address| socket.set_multicast_if_v4(&address));
    /// Off: receives only groups joined by this socket. On: receives any group
    /// joined on the machine.
    IP_MULTICAST_ALL: multicast_all_v4(bool) -> bool,
        Ipv4, V4_UDP, Linux, "", "on",
        via calls(Socket::multicast_all_v4, Socket::set_multicast_all_v4);

    /// Restricts an IPv6 socket to IPv6. Set it before bind.
    IPV6_V6ONLY: only_v6(bool) -> bool,
        Ipv6, V6, Everywhere, "", "net.ipv6.bindv6only",
        via calls(Socket::only_v6, Socket::set_only_v6);
    /// Hop limit of unicast packets.
    IPV6_UNICAST_HOPS: hop_limit(u8) -> u8,
        Ipv6, V6, Everywhere, "hops", "64",
        via calls(convert::hop_limit, |socket, hops| socket.set_unicast_hops_v6(hops.into()));
    /// Traffic class (DSCP and ECN) of IPv6 packets.
    IPV6_TCLASS: traffic_class_v6(TrafficClass) -> TrafficClass,
        Ipv6, V6, LinuxAndMac, "", "DSCP 0, not-ECT",
        via int(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
    /// Whether this machine may fragment IPv6 packets.
    IPV6_MTU_DISCOVER: path_mtu_discovery_v6(PathMtuDiscovery) -> PathMtuDiscovery,
        Ipv6, V6, Linux, "", "allow",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    /// Rejects datagrams that would need fragmentation.
    IPV6_DONTFRAG: dont_fragment_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG);
    /// Reports with each datagram the address and interface on which it
    /// arrived.
    IPV6_RECVPKTINFO: packet_info_v6(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO);
    /// Reports with each datagram its remaining hops.
    IPV6_RECVHOPLIMIT: receive_hop_limit(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
    /// Reports with each datagram its traffic class (DSCP and ECN).
    IPV6_RECVTCLASS: receive_traffic_class_v6(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    /// Queues ICMPv6 errors, to be read from the error queue.
    IPV6_RECVERR: receive_errors_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
    /// Allows binding an address that is not (yet) local.
    IPV6_FREEBIND: free_bind_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via calls(Socket::freebind_v6, Socket::set_freebind_v6);
    /// Allows accepting for, and sending from, non-local addresses, as a
    /// transparent proxy does; requires CAP_NET_ADMIN.
    IPV6_TRANSPARENT: transparent_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via calls(Socket::ip_transparent_v6, Socket::set_ip_transparent_v6);
    /// Drops segments with fewer remaining hops, as protection against distant
    /// spoofed packets.
    IPV6_MINHOPCOUNT: min_hop_limit(u8) -> u8,
        Ipv6, V6, Linux, "hops", "0",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT);
    /// Hop limit of multicast packets; 1 stays on the local network.
    IPV6_MULTICAST_HOPS: multicast_hop_limit(u8) -> u8,
        Ipv6, V6_UDP, Everywhere, "hops", "1",
        via calls(convert::multicast_hop_limit, |socket, hops| {
            socket.set_multicast_hops_v6(hops.into())
        });
    /// Whether this machine receives its own multicast packets.
    IPV6_MULTICAST_LOOP: multicast_loop_v6(bool) -> bool,
        Ipv6, V6_UDP, Everywhere, "", "on",
        via calls(Socket::multicast_loop_v6, Socket::set_multicast_loop_v6);
    /// Outgoing interface for multicast, by its index; 0 means any.
    IPV6_MULTICAST_IF: multicast_interface_v6(u32) -> u32,
        Ipv6, V6_UDP, Everywhere, "interface", "0",
        via calls(Socket::multicast_if_v6, Socket::set_multicast_if_v6);
    /// Off: receives only groups joined by this socket. On: receives any group
    /// joined on the machine.
    IPV6_MULTICAST_ALL: multicast_all_v6(bool) -> bool,
        Ipv6, V6_UDP, Linux, "", "on",
        via calls(Socket::multicast_all_v6, Socket::set_multicast_all_v6);

    /// Sends small segments at once instead of collecting them (disables
    /// Nagle's algorithm).
    TCP_NODELAY: no_delay(bool) -> bool,
        Tcp, TCP, Everywhere, "", "off",
        via calls(Socket::tcp_nodelay, Socket::set_tcp_nodelay);
    /// Sends acknowledgements at once. The kernel may turn it off again.
    TCP_QUICKACK: quick_ack(bool) -> bool,
        Tcp, TCP, Linux, "", "on at first",
        via calls(Socket::tcp_quickack, Socket::set_tcp_quickack);
    /// Holds back partial segments, for at most 200 ms, until it is turned off.
    TCP_CORK: cork(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via calls(Socket::tcp_cork, Socket::set_tcp_cork);
    /// Largest segment size to announce. Set it before connecting.
    TCP_MAXSEG: max_segment_bytes(u32) -> u32,
        Tcp, TCP, LinuxAndMac, "bytes", "from the path's MTU",
        via calls(Socket::tcp_mss, Socket::set_tcp_mss);
    /// Congestion control algorithm, such as `cubic` or `bbr`.
    TCP_CONGESTION: congestion(&str) -> String,
        Tcp, TCP, Linux, "", "net.ipv4.tcp_congestion_control",
        via calls(convert::congestion, convert::set_congestion);
    /// How long sent bytes may stay unacknowledged before the connection fails;
    /// `None` uses the retransmission count instead.
    TCP_USER_TIMEOUT: user_timeout(Option<Duration>) -> Option<Duration>,
        Tcp, TCP, Linux, "", "none",
        via calls(Socket::tcp_user_timeout, convert::set_user_timeout);
    /// Writable only while fewer unsent bytes than this are queued, which keeps
    /// the queue short.
    TCP_NOTSENT_LOWAT: not_sent_low_water_bytes(u32) -> u32,
        Tcp, TCP, Linux, "bytes", "net.ipv4.tcp_notsent_lowat",
        via calls(Socket::tcp_notsent_lowat, Socket::set_tcp_notsent_lowat);
    /// On a listener: maximum number of pending connections with data in the
    /// SYN.
    TCP_FASTOPEN: fast_open_queue(u32) -> u32,
        Tcp, TCP, Linux, "connections", "0",
        via int(libc::IPPROTO_TCP, libc::TCP_FASTOPEN);
    /// On a client: sends the first write in the SYN.
    TCP_FASTOPEN_CONNECT: fast_open_connect(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via int(libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
    /// On a listener: accepts a connection only when data has arrived, or after
    /// this many seconds, which the kernel rounds to a number of
    /// retransmissions.
    TCP_DEFER_ACCEPT: defer_accept_s(u32) -> u32,
        Tcp, TCP, Linux, "s", "0",
        via int(libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT);
    /// Number of SYN retransmissions before connecting fails, 1 to 127.
    TCP_SYNCNT: syn_retries(u32) -> u32,
        Tcp, TCP, Linux, "times", "net.ipv4.tcp_syn_retries",
        via int(libc::IPPROTO_TCP, libc::TCP_SYNCNT);
    /// How long a closed connection waits for the peer's FIN.
    TCP_LINGER2: fin_wait_s(u32) -> u32,
        Tcp, TCP, Linux, "s", "net.ipv4.tcp_fin_timeout",
        via int(libc::IPPROTO_TCP, libc::TCP_LINGER2);
    /// Maximum receive window to announce.
    TCP_WINDOW_CLAMP: window_clamp_bytes(u32) -> u32,
        Tcp, TCP, Linux, "bytes", "none",
        via int(libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP);
    /// Retransmits a thin stream at constant intervals instead of doubling
    /// them.
    TCP_THIN_LINEAR_TIMEOUTS: thin_linear_timeouts(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via calls(Socket::tcp_thin_linear_timeouts, Socket::set_tcp_thin_linear_timeouts);
    /// Reports with each read how many bytes are still queued, for programs
    /// that make such calls themselves.
    TCP_INQ: receive_queue_length(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via int(libc::IPPROTO_TCP, libc::TCP_INQ);

    /// Splits each send into datagrams of this size in the kernel or the
    /// device; 0 does not split.
    UDP_SEGMENT: segment_bytes(u32) -> u32,
        Udp, UDP, Linux, "bytes", "0",
        via int(libc::SOL_UDP, libc::UDP_SEGMENT);
    /// Receives runs of equally long datagrams merged into one buffer.
    UDP_GRO: receive_offload(bool) -> bool,
        Udp, UDP, Linux, "", "off",
        via int(libc::SOL_UDP, libc::UDP_GRO);
    /// Collects sends into one datagram until it is turned off.
    UDP_CORK: datagram_cork(bool) -> bool,
        Udp, UDP, Linux, "", "off",
        via int(libc::SOL_UDP, libc::UDP_CORK);
read_only:
    /// Whether the socket is a listener.
    SO_ACCEPTCONN: is_listener() -> bool,
        Socket, ANY, Linux, "", "off",
        via calls(Socket::is_listener, ());
    /// A socket identifier that is unique until the machine restarts.
    SO_COOKIE: cookie() -> u64,
        Socket, ANY, Linux, "", "unique",
        via calls(Socket::cookie, ());
    /// The device queue that delivered the last packet.
    SO_INCOMING_NAPI_ID: incoming_napi_id() -> u32,
        Socket, ANY, Linux, "", "0",
        via int(libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID);
    /// MTU of the path of a connected socket.
    IP_MTU: path_mtu_v4() -> u32,
        Ipv4, V4, Linux, "bytes", "none before connect",
        via int(libc::IPPROTO_IP, libc::IP_MTU);
    /// MTU of the path of a connected socket.
    IPV6_MTU: path_mtu_v6() -> u32,
        Ipv6, V6, Linux, "bytes", "none before connect",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MTU);
}
