//! The table. A new option is a new row here, and nothing else.
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
    /// Lets an address be bound while connections of an earlier process wait in
    /// TIME_WAIT; for UDP, lets several sockets share a port, as multicast
    /// receivers do.
    SO_REUSEADDR: reuse_address(bool) -> bool,
        Socket, ANY, Everywhere, "", "off",
        via calls(Socket::reuse_address, Socket::set_reuse_address);
    /// Lets several sockets bind the same address; the kernel spreads
    /// connections and datagrams over them.
    SO_REUSEPORT: reuse_port(bool) -> bool,
        Socket, ANY, LinuxAndMac, "", "off",
        via calls(Socket::reuse_port, Socket::set_reuse_port);
    /// Room for received bytes that nobody has read. Linux doubles the number
    /// for its own bookkeeping and caps it at `net.core.rmem_max`; setting it
    /// ends automatic tuning. Set it before `listen` or `connect`.
    SO_RCVBUF: receive_buffer_bytes(usize) -> usize,
        Socket, ANY, Everywhere, "bytes", "net.ipv4.tcp_rmem or net.core.rmem_default",
        via calls(Socket::recv_buffer_size, convert::set_receive_buffer);
    /// Room for bytes that were sent and not yet acknowledged. Linux doubles the
    /// number and caps it at `net.core.wmem_max`; setting it ends automatic
    /// tuning.
    SO_SNDBUF: send_buffer_bytes(usize) -> usize,
        Socket, ANY, Everywhere, "bytes", "net.ipv4.tcp_wmem or net.core.wmem_default",
        via calls(Socket::send_buffer_size, convert::set_send_buffer);
    /// As `SO_RCVBUF` without the cap; needs CAP_NET_ADMIN.
    SO_RCVBUFFORCE: receive_buffer_forced_bytes(usize) -> usize,
        Socket, ANY, Linux, "bytes", "as SO_RCVBUF",
        via calls(Socket::recv_buffer_size, convert::force_receive_buffer);
    /// As `SO_SNDBUF` without the cap; needs CAP_NET_ADMIN.
    SO_SNDBUFFORCE: send_buffer_forced_bytes(usize) -> usize,
        Socket, ANY, Linux, "bytes", "as SO_SNDBUF",
        via calls(Socket::send_buffer_size, convert::force_send_buffer);
    /// How long one read may wait. The kernel obeys it for blocking calls alone,
    /// so this crate's async reads obey it themselves.
    SO_RCVTIMEO: read_timeout(Option<Duration>) -> Option<Duration>,
        Socket, ANY, Everywhere, "", "none",
        via calls(Socket::read_timeout, convert::set_read_timeout);
    /// How long one write may wait for room. The kernel obeys it for blocking
    /// calls alone, so this crate's async writes obey it themselves.
    SO_SNDTIMEO: write_timeout(Option<Duration>) -> Option<Duration>,
        Socket, ANY, Everywhere, "", "none",
        via calls(Socket::write_timeout, convert::set_write_timeout);
    /// Silence before the first keep-alive probe; also turns keep-alive on.
    /// Whole seconds, rounded up.
    TCP_KEEPIDLE: keepalive_idle(Duration) -> Duration,
        Tcp, TCP, Everywhere, "", "2 h",
        via calls(convert::keepalive_time, |socket, idle| {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(convert::whole_seconds(idle)))
        });
    /// Time between keep-alive probes; also turns keep-alive on. Whole seconds,
    /// rounded up.
    TCP_KEEPINTVL: keepalive_interval(Duration) -> Duration,
        Tcp, TCP, Everywhere, "", "75 s",
        via calls(convert::keepalive_interval, |socket, interval| {
            let interval = convert::whole_seconds(interval);
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(interval))
        });
    /// Unanswered keep-alive probes before the connection is given up; also turns
    /// keep-alive on.
    TCP_KEEPCNT: keepalive_retries(u32) -> u32,
        Tcp, TCP, Everywhere, "probes", "9",
        via calls(Socket::tcp_keepalive_retries, |socket, retries| {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_retries(retries))
        });
    /// Probes a silent connection, so that a peer that vanished is noticed.
    SO_KEEPALIVE: keepalive_enabled(bool) -> bool,
        Socket, ANY, Everywhere, "", "off",
        via calls(Socket::keepalive, Socket::set_keepalive);
    /// What closing does with bytes that have not left yet.
    SO_LINGER: linger(Linger) -> Linger,
        Socket, ANY, Everywhere, "", "background",
        via calls(convert::linger, convert::set_linger);
    /// Sends to directly attached networks alone, past the routing table.
    SO_DONTROUTE: dont_route(bool) -> bool,
        Socket, ANY, LinuxAndMac, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_DONTROUTE);
    /// Permits sending to broadcast addresses.
    SO_BROADCAST: broadcast(bool) -> bool,
        Socket, UDP, Everywhere, "", "off",
        via calls(Socket::broadcast, Socket::set_broadcast);
    /// Leaves urgent data in the stream of ordinary bytes.
    SO_OOBINLINE: out_of_band_inline(bool) -> bool,
        Socket, TCP, Everywhere, "", "off",
        via calls(Socket::out_of_band_inline, Socket::set_out_of_band_inline);
    /// Sends and receives through the interface of that name alone.
    SO_BINDTODEVICE: device(&str) -> String,
        Socket, ANY, Linux, "", "none",
        via calls(convert::device, convert::set_device);
    /// Sends and receives through the interface of that index alone; 0 for any.
    SO_BINDTOIFINDEX: device_index(u32) -> u32,
        Socket, ANY, Linux, "interface", "0",
        via int(libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX);
    /// Queueing priority on this machine, 0 to 6; more needs CAP_NET_ADMIN.
    SO_PRIORITY: priority(u32) -> u32,
        Socket, ANY, Linux, "", "0",
        via calls(Socket::priority, Socket::set_priority);
    /// Mark for packet filters and policy routing; needs CAP_NET_ADMIN.
    SO_MARK: mark(u32) -> u32,
        Socket, ANY, Linux, "", "0",
        via calls(Socket::mark, Socket::set_mark);
    /// Spins that long on the device's queue when there is nothing to read.
    SO_BUSY_POLL: busy_poll_us(u32) -> u32,
        Socket, ANY, Linux, "µs", "net.core.busy_read",
        via calls(Socket::busy_poll, Socket::set_busy_poll);
    /// Lets busy polling take precedence over interrupts.
    SO_PREFER_BUSY_POLL: prefer_busy_poll(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL);
    /// Bytes that must be waiting before a socket counts as readable.
    SO_RCVLOWAT: receive_low_water_bytes(u32) -> u32,
        Socket, ANY, LinuxAndMac, "bytes", "1",
        via int(libc::SOL_SOCKET, libc::SO_RCVLOWAT);
    /// Prefers packets that this CPU received; among sockets that share a port.
    SO_INCOMING_CPU: incoming_cpu(usize) -> usize,
        Socket, ANY, Linux, "CPU", "none",
        via calls(Socket::cpu_affinity, Socket::set_cpu_affinity);
    /// Tells with each datagram how many were dropped before it.
    SO_RXQ_OVFL: receive_drop_count(bool) -> bool,
        Socket, UDP, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    /// Tells with each datagram when the kernel received it, to the nanosecond.
    SO_TIMESTAMPNS: receive_timestamp(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
    /// Upper bound of the rate at which the kernel spaces packets out.
    SO_MAX_PACING_RATE: max_pacing_bytes_per_second(u64) -> u64,
        Socket, ANY, Linux, "bytes/s", "unlimited",
        via calls(convert::pacing, convert::set_pacing);
    /// Permits sends that lend the program's pages to the kernel; for programs
    /// that make such calls themselves.
    SO_ZEROCOPY: zero_copy(bool) -> bool,
        Socket, ANY, Linux, "", "off",
        via int(libc::SOL_SOCKET, libc::SO_ZEROCOPY);
    /// Picks another path through the network when segments time out.
    SO_TXREHASH: transmit_rehash(bool) -> bool,
        Socket, TCP, Linux, "", "net.core.txrehash",
        via int(libc::SOL_SOCKET, libc::SO_TXREHASH);

    /// Routers that a packet may cross.
    IP_TTL: ttl(u8) -> u8,
        Ipv4, V4, Everywhere, "hops", "64",
        via calls(convert::ttl, |socket, hops| socket.set_ttl_v4(hops.into()));
    /// Class of service and congestion marks of IPv4 packets.
    IP_TOS: traffic_class_v4(TrafficClass) -> TrafficClass,
        Ipv4, V4, LinuxAndMac, "", "DSCP 0, not-ECT",
        via int(libc::IPPROTO_IP, libc::IP_TOS);
    /// Whether IPv4 packets may be fragmented.
    IP_MTU_DISCOVER: path_mtu_discovery_v4(PathMtuDiscovery) -> PathMtuDiscovery,
        Ipv4, V4, Linux, "", "allow",
        via int(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    /// Tells with each datagram where it arrived: address and interface.
    IP_PKTINFO: packet_info_v4(bool) -> bool,
        Ipv4, V4_UDP, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_PKTINFO);
    /// Tells with each datagram how many hops it had left.
    IP_RECVTTL: receive_ttl(bool) -> bool,
        Ipv4, V4_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVTTL);
    /// Tells with each datagram its class of service and congestion mark.
    IP_RECVTOS: receive_traffic_class_v4(bool) -> bool,
        Ipv4, V4_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVTOS);
    /// Queues what routers complain about (ICMP), to be read with the message.
    IP_RECVERR: receive_errors_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_RECVERR);
    /// Binds an address that this machine does not have, or not yet.
    IP_FREEBIND: free_bind_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via calls(Socket::freebind_v4, Socket::set_freebind_v4);
    /// Accepts for, and sends from, foreign addresses, as a proxy does; needs
    /// CAP_NET_ADMIN.
    IP_TRANSPARENT: transparent_v4(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via calls(Socket::ip_transparent_v4, Socket::set_ip_transparent_v4);
    /// Chooses the local port at connect instead of at bind, so that many
    /// connections may share one.
    IP_BIND_ADDRESS_NO_PORT: bind_address_no_port(bool) -> bool,
        Ipv4, V4, Linux, "", "off",
        via int(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    /// Drops segments with fewer hops left: a guard against distant forgers.
    IP_MINTTL: min_ttl(u8) -> u8,
        Ipv4, V4, Linux, "hops", "0",
        via int(libc::IPPROTO_IP, libc::IP_MINTTL);
    /// Routers that a multicast packet may cross; 1 stays on the link.
    IP_MULTICAST_TTL: multicast_ttl(u8) -> u8,
        Ipv4, V4_UDP, Everywhere, "hops", "1",
        via calls(convert::multicast_ttl, |socket, hops| socket.set_multicast_ttl_v4(hops.into()));
    /// Whether this machine hears its own multicast.
    IP_MULTICAST_LOOP: multicast_loop_v4(bool) -> bool,
        Ipv4, V4_UDP, Everywhere, "", "on",
        via calls(Socket::multicast_loop_v4, Socket::set_multicast_loop_v4);
    /// Interface that multicast leaves through, by its address.
    IP_MULTICAST_IF: multicast_interface_v4(Ipv4Addr) -> Ipv4Addr,
        Ipv4, V4_UDP, Everywhere, "", "0.0.0.0 (by route)",
        via calls(Socket::multicast_if_v4, |socket, address| socket.set_multicast_if_v4(&address));
    /// Off: only groups that this socket joined. On: any that the machine joined.
    IP_MULTICAST_ALL: multicast_all_v4(bool) -> bool,
        Ipv4, V4_UDP, Linux, "", "on",
        via calls(Socket::multicast_all_v4, Socket::set_multicast_all_v4);

    /// Whether an IPv6 socket keeps out of IPv4. Set it before bind.
    IPV6_V6ONLY: only_v6(bool) -> bool,
        Ipv6, V6, Everywhere, "", "net.ipv6.bindv6only",
        via calls(Socket::only_v6, Socket::set_only_v6);
    /// Routers that a packet may cross.
    IPV6_UNICAST_HOPS: hop_limit(u8) -> u8,
        Ipv6, V6, Everywhere, "hops", "64",
        via calls(convert::hop_limit, |socket, hops| socket.set_unicast_hops_v6(hops.into()));
    /// Class of service and congestion marks of IPv6 packets.
    IPV6_TCLASS: traffic_class_v6(TrafficClass) -> TrafficClass,
        Ipv6, V6, LinuxAndMac, "", "DSCP 0, not-ECT",
        via int(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
    /// Whether IPv6 packets may be fragmented by this machine.
    IPV6_MTU_DISCOVER: path_mtu_discovery_v6(PathMtuDiscovery) -> PathMtuDiscovery,
        Ipv6, V6, Linux, "", "allow",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    /// Refuses datagrams that would need fragments.
    IPV6_DONTFRAG: dont_fragment_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG);
    /// Tells with each datagram where it arrived: address and interface.
    IPV6_RECVPKTINFO: packet_info_v6(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO);
    /// Tells with each datagram how many hops it had left.
    IPV6_RECVHOPLIMIT: receive_hop_limit(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
    /// Tells with each datagram its class of service and congestion mark.
    IPV6_RECVTCLASS: receive_traffic_class_v6(bool) -> bool,
        Ipv6, V6_UDP, LinuxAndMac, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    /// Queues what routers complain about (ICMPv6), to be read with the message.
    IPV6_RECVERR: receive_errors_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via int(libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
    /// Binds an address that this machine does not have, or not yet.
    IPV6_FREEBIND: free_bind_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via calls(Socket::freebind_v6, Socket::set_freebind_v6);
    /// Accepts for, and sends from, foreign addresses, as a proxy does; needs
    /// CAP_NET_ADMIN.
    IPV6_TRANSPARENT: transparent_v6(bool) -> bool,
        Ipv6, V6, Linux, "", "off",
        via calls(Socket::ip_transparent_v6, Socket::set_ip_transparent_v6);
    /// Drops segments with fewer hops left: a guard against distant forgers.
    IPV6_MINHOPCOUNT: min_hop_limit(u8) -> u8,
        Ipv6, V6, Linux, "hops", "0",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT);
    /// Routers that a multicast packet may cross; 1 stays on the link.
    IPV6_MULTICAST_HOPS: multicast_hop_limit(u8) -> u8,
        Ipv6, V6_UDP, Everywhere, "hops", "1",
        via calls(convert::multicast_hop_limit, |socket, hops| {
            socket.set_multicast_hops_v6(hops.into())
        });
    /// Whether this machine hears its own multicast.
    IPV6_MULTICAST_LOOP: multicast_loop_v6(bool) -> bool,
        Ipv6, V6_UDP, Everywhere, "", "on",
        via calls(Socket::multicast_loop_v6, Socket::set_multicast_loop_v6);
    /// Interface that multicast leaves through, by its index; 0 for any.
    IPV6_MULTICAST_IF: multicast_interface_v6(u32) -> u32,
        Ipv6, V6_UDP, Everywhere, "interface", "0",
        via calls(Socket::multicast_if_v6, Socket::set_multicast_if_v6);
    /// Off: only groups that this socket joined. On: any that the machine joined.
    IPV6_MULTICAST_ALL: multicast_all_v6(bool) -> bool,
        Ipv6, V6_UDP, Linux, "", "on",
        via calls(Socket::multicast_all_v6, Socket::set_multicast_all_v6);

    /// Sends small segments at once instead of gathering them (Nagle).
    TCP_NODELAY: no_delay(bool) -> bool,
        Tcp, TCP, Everywhere, "", "off",
        via calls(Socket::tcp_nodelay, Socket::set_tcp_nodelay);
    /// Acknowledges at once. The kernel may turn it off again by itself.
    TCP_QUICKACK: quick_ack(bool) -> bool,
        Tcp, TCP, Linux, "", "on at first",
        via calls(Socket::tcp_quickack, Socket::set_tcp_quickack);
    /// Holds partial segments back, for at most 200 ms, until it is off again.
    TCP_CORK: cork(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via calls(Socket::tcp_cork, Socket::set_tcp_cork);
    /// Largest segment to announce. Set it before the connection is made.
    TCP_MAXSEG: max_segment_bytes(u32) -> u32,
        Tcp, TCP, LinuxAndMac, "bytes", "from the path's MTU",
        via calls(Socket::tcp_mss, Socket::set_tcp_mss);
    /// Congestion control algorithm, such as `cubic` or `bbr`.
    TCP_CONGESTION: congestion(&str) -> String,
        Tcp, TCP, Linux, "", "net.ipv4.tcp_congestion_control",
        via calls(convert::congestion, convert::set_congestion);
    /// How long sent bytes may stay unacknowledged before the connection is given
    /// up; `None` leaves it to the retransmission count.
    TCP_USER_TIMEOUT: user_timeout(Option<Duration>) -> Option<Duration>,
        Tcp, TCP, Linux, "", "none",
        via calls(Socket::tcp_user_timeout, convert::set_user_timeout);
    /// Not writable while more than this waits unsent: keeps queues short.
    TCP_NOTSENT_LOWAT: not_sent_low_water_bytes(u32) -> u32,
        Tcp, TCP, Linux, "bytes", "net.ipv4.tcp_notsent_lowat",
        via calls(Socket::tcp_notsent_lowat, Socket::set_tcp_notsent_lowat);
    /// On a listener: how many connections may bring data in their SYN.
    TCP_FASTOPEN: fast_open_queue(u32) -> u32,
        Tcp, TCP, Linux, "connections", "0",
        via int(libc::IPPROTO_TCP, libc::TCP_FASTOPEN);
    /// On a client: the first write travels in the SYN.
    TCP_FASTOPEN_CONNECT: fast_open_connect(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via int(libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
    /// On a listener: accept only once data has come, or after that many seconds.
    /// The kernel rounds it to a number of retransmissions.
    TCP_DEFER_ACCEPT: defer_accept_s(u32) -> u32,
        Tcp, TCP, Linux, "s", "0",
        via int(libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT);
    /// How often a SYN is sent again before connecting fails, 1 to 127.
    TCP_SYNCNT: syn_retries(u32) -> u32,
        Tcp, TCP, Linux, "times", "net.ipv4.tcp_syn_retries",
        via int(libc::IPPROTO_TCP, libc::TCP_SYNCNT);
    /// How long a closed connection may wait for the other side's FIN.
    TCP_LINGER2: fin_wait_s(u32) -> u32,
        Tcp, TCP, Linux, "s", "net.ipv4.tcp_fin_timeout",
        via int(libc::IPPROTO_TCP, libc::TCP_LINGER2);
    /// Upper bound of the receive window that is announced.
    TCP_WINDOW_CLAMP: window_clamp_bytes(u32) -> u32,
        Tcp, TCP, Linux, "bytes", "none",
        via int(libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP);
    /// Retransmits a thin stream at even intervals instead of doubling them.
    TCP_THIN_LINEAR_TIMEOUTS: thin_linear_timeouts(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via calls(Socket::tcp_thin_linear_timeouts, Socket::set_tcp_thin_linear_timeouts);
    /// Tells with each read how many bytes are still waiting; for programs that
    /// make such calls themselves.
    TCP_INQ: receive_queue_length(bool) -> bool,
        Tcp, TCP, Linux, "", "off",
        via int(libc::IPPROTO_TCP, libc::TCP_INQ);

    /// Cuts each send into datagrams of that size in the kernel or the device;
    /// 0 does not cut.
    UDP_SEGMENT: segment_bytes(u32) -> u32,
        Udp, UDP, Linux, "bytes", "0",
        via int(libc::SOL_UDP, libc::UDP_SEGMENT);
    /// Receives runs of equally long datagrams in one piece.
    UDP_GRO: receive_offload(bool) -> bool,
        Udp, UDP, Linux, "", "off",
        via int(libc::SOL_UDP, libc::UDP_GRO);
    /// Gathers sends into one datagram until it is off again.
    UDP_CORK: datagram_cork(bool) -> bool,
        Udp, UDP, Linux, "", "off",
        via int(libc::SOL_UDP, libc::UDP_CORK);
read_only:
    /// Whether the socket listens.
    SO_ACCEPTCONN: is_listener() -> bool,
        Socket, ANY, Linux, "", "off",
        via calls(Socket::is_listener, ());
    /// A number that names the socket as long as the machine runs.
    SO_COOKIE: cookie() -> u64,
        Socket, ANY, Linux, "", "unique",
        via calls(Socket::cookie, ());
    /// The device queue that brought the last packet.
    SO_INCOMING_NAPI_ID: incoming_napi_id() -> u32,
        Socket, ANY, Linux, "", "0",
        via int(libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID);
    /// Largest packet that the path of a connected socket takes.
    IP_MTU: path_mtu_v4() -> u32,
        Ipv4, V4, Linux, "bytes", "none before connect",
        via int(libc::IPPROTO_IP, libc::IP_MTU);
    /// Largest packet that the path of a connected socket takes.
    IPV6_MTU: path_mtu_v6() -> u32,
        Ipv6, V6, Linux, "bytes", "none before connect",
        via int(libc::IPPROTO_IPV6, libc::IPV6_MTU);
}
