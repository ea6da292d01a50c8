//! [`UdpEndpoint`] beside tokio's `recv_from`: CPU for each datagram received.
//!
//! ```text
//! cargo bench -p sockkit-core --bench receive
//! ```
//!
//! 1,000 sockets send one datagram of 64 bytes each to one socket, and then
//! those are received; only the receiving is measured. The contestants take
//! turns within each round, and what counts is the ratio within a round.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[cfg(target_os = "linux")]
fn main() {
    linux::compare();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this bench reads the CPU time of a thread on Linux alone");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{net::UdpSocket as StdSocket, time::Duration};

    use rustix::{
        process::{Resource, Rlimit, getrlimit, setrlimit},
        time::{ClockId, clock_gettime},
    };
    use sockkit_core::{
        options::SocketOptions,
        udp::{Offload, ReceiveBatch, UdpEndpoint},
    };
    use tokio::{net::UdpSocket, runtime::Builder};

    pub(super) fn compare() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let senders: Vec<_> = (0..SENDERS)
                .map(|_| StdSocket::bind("127.0.0.1:0").unwrap())
                .collect();
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                let mut took = [Duration::ZERO; 4];
                for turn in 0..took.len() {
                    let place = (round + turn) % took.len();
                    took[place] = match place {
                        0 => tokio(&senders).await,
                        1 => single(&senders, SocketOptions::new()).await,
                        2 => batched(&senders).await,
                        _ => single(&senders, everything()).await,
                    };
                }
                rounds.push(took.map(|took| took.as_nanos() as f64 / DATAGRAMS as f64));
            }
            let names = ["recv_from", "recv", "recv_batch", "recv, all that is known"];
            for (place, name) in names.into_iter().enumerate() {
                let [_, cost, _] = quartiles(rounds.iter().map(|round| round[place]));
                let ratios = rounds.iter().map(|round| round[place] / round[0]);
                let [low, median, high] = quartiles(ratios);
                println!("{name:24} {cost:6.0} ns CPU   {median:.3} x ({low:.3} to {high:.3})");
            }
        });
    }

    /// Fills `socket` and empties it by turns; gives the time that `drain` took.
    async fn measure(
        senders: &[StdSocket],
        socket: &impl std::os::fd::AsFd,
        mut drain: impl AsyncFnMut(),
    ) -> Duration {
        let to = StdSocket::from(socket.as_fd().try_clone_to_owned().unwrap());
        let to = to.local_addr().unwrap();
        let mut spent = Duration::ZERO;
        for _ in 0..FILLS {
            for sender in senders {
                sender.send_to(&[7; BYTES], to).unwrap();
            }
            let before = cpu_time();
            drain().await;
            spent += cpu_time().saturating_sub(before);
        }
        spent
    }

    async fn tokio(senders: &[StdSocket]) -> Duration {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        room().apply(&socket).unwrap();
        let socket = UdpSocket::from_std(socket).unwrap();
        let mut buffer = [0; 1500];
        measure(senders, &socket, async || {
            for _ in 0..SENDERS {
                let (bytes, _) = socket.recv_from(&mut buffer).await.unwrap();
                assert_eq!(bytes, BYTES);
            }
        })
        .await
    }

    async fn single(senders: &[StdSocket], options: SocketOptions) -> Duration {
        let endpoint = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &options).unwrap();
        room().apply(&endpoint).unwrap();
        let mut buffer = [0; 1500];
        measure(senders, &endpoint, async || {
            for _ in 0..SENDERS {
                let datagram = endpoint.recv(&mut buffer).await.unwrap();
                assert_eq!(datagram.bytes.len(), BYTES);
            }
        })
        .await
    }

    async fn batched(senders: &[StdSocket]) -> Duration {
        let endpoint = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &room()).unwrap();
        // 1,000 senders have nothing to join.
        let endpoint = endpoint.offload(Offload::Off);
        let mut batch = ReceiveBatch::new();
        measure(senders, &endpoint, async || {
            let mut received = 0;
            while received < SENDERS {
                endpoint.recv_batch(&mut batch).await.unwrap();
                for datagram in batch.iter() {
                    assert_eq!(datagram.bytes.len(), BYTES);
                    received += 1;
                }
            }
        })
        .await
    }

    /// Room for all that is sent at once, beyond what any user may ask for.
    fn room() -> SocketOptions {
        SocketOptions::new().receive_buffer_forced_bytes(8 << 20)
    }

    fn everything() -> SocketOptions {
        SocketOptions::new()
            .packet_info(true)
            .receive_hops(true)
            .receive_timestamp(true)
            .receive_traffic_class(true)
    }

    fn cpu_time() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
    }

    fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
    }

    const SENDERS: usize = 1_000;
    const BYTES: usize = 64;
    const FILLS: usize = 20;
    const DATAGRAMS: usize = SENDERS * FILLS;
    const ROUNDS: usize = 41;
}
