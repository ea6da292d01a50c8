//! A network of real hosts in one process: namespaces, cables, switches.
//!
//! Each host is a network namespace, and each network a bridge with a cable
//! (veth pair) to every host. Namespaces have no names but are held by
//! descriptors, so the kernel removes them when the lab is dropped, when the
//! test panics, and even when the process is killed.
//!
//! For tests: every failure while building or changing the lab panics.

use super::needs::{Need, met};

#[cfg_attr(target_os = "linux", path = "kernel_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "kernel_absent.rs")]
mod kernel;
mod namespace;
mod port;
mod relay;
mod shape;

use namespace::Namespace;

pub use namespace::Host;
pub use port::Port;
pub use relay::{Relay, RelayStats};

/// Hosts connected by one or more networks.
///
/// Host `h` has the interface `eth{n}` on network `n`, with the addresses
/// `10.77.{n}.{h+1}/24` and `fd77:{n}::{h+1}/64`.
///
/// ```no_run
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use sockkit::testing::lab::Lab;
/// use tokio::net::TcpListener;
///
/// let Some(lab) = Lab::new("two hosts can talk", 2, 1) else {
///     return;
/// };
/// let address = lab.host(0).port(0).ipv4();
/// let (ready, is_ready) = std::sync::mpsc::channel();
/// let server = lab.host(0).spawn(async move || {
///     let listener = TcpListener::bind((address, 0)).await.unwrap();
///     ready.send(listener.local_addr().unwrap()).unwrap();
///     listener.accept().await.unwrap().1.ip()
/// });
/// let server_address = is_ready.recv().unwrap();
/// lab.host(1).block_on(async || {
///     tokio::net::TcpStream::connect(server_address).await.unwrap()
/// });
/// assert_eq!(server.join().unwrap(), lab.host(1).port(0).ipv4());
/// ```
#[derive(Debug)]
pub struct Lab {
    hosts: Vec<Host>,
}

impl Lab {
    /// Builds `networks` networks with `hosts` hosts on each.
    ///
    /// Returns `None`, and reports it, if this machine cannot build one: the
    /// test named `test` should then return (see [`needs`](super::needs)).
    ///
    /// # Panics
    /// If building fails, or if a need is missing while `SOCKKIT_TEST_ALL=1` is
    /// set.
    pub fn new(test: &str, hosts: u8, networks: u8) -> Option<Self> {
        if !met(test, NEEDS) {
            return None;
        }
        let switch = std::sync::Arc::new(Namespace::new());
        for network in 0..networks {
            switch.ip(&format!(
                "link add br{network} type bridge mcast_snooping 0 forward_delay 0\n\
                 link set br{network} up"
            ));
        }
        let hosts = (0..hosts)
            .map(|index| {
                let host = Host::new(index, networks, &switch);
                for network in 0..networks {
                    host.port(network).create();
                }
                host
            })
            .collect();
        Some(Self { hosts })
    }

    /// Returns one of the hosts, counted from 0.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn host(&self, index: u8) -> &Host {
        &self.hosts[usize::from(index)]
    }
}

/// Requirements of a lab; [`Port::loss`], [`Port::rate`] and [`Port::offloads_off`]
/// need one more program each.
const NEEDS: &[Need<'_>] = &[Need::Linux, Need::Root, Need::Program("ip")];
