//! What a connection costs until both ends are proved: CPU time of both, by the
//! process's own clock, in turns.
//!
//! `cargo bench -p sockkit-link --features pairing --bench handshake`

#![allow(clippy::print_stdout, reason = "a bench prints")]
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::time::Duration;

use sockkit_link::{
    Acceptor, Address, Node, Scheme,
    identity::Identity,
    pairing::{Offer, TypedCode, Uses},
    trust::Trust,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How the two ends trust each other.
#[derive(Clone, Copy)]
enum By {
    Nothing,
    Key,
    Code,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows = [
        ("TCP alone", Scheme::Tcp, By::Nothing),
        ("TCP, known keys", Scheme::Tcp, By::Key),
        ("TCP, a code", Scheme::Tcp, By::Code),
        ("QUIC, nothing proved", Scheme::Quic, By::Nothing),
        ("QUIC, known keys", Scheme::Quic, By::Key),
        ("QUIC, a code", Scheme::Quic, By::Code),
    ];
    for (what, scheme, by) in rows {
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            costs.push(round(scheme, by).await / CONNECTIONS);
        }
        costs.sort_unstable();
        let [low, median, high] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| millis(costs[at]));
        println!("{what:<22} {median:.3} ms of CPU, both ends ({low:.3} to {high:.3})");
    }
}

/// The CPU time of some connections, each until a byte was answered.
async fn round(scheme: Scheme, by: By) -> Duration {
    let ends = [0, 1].map(|_| Identity::throw_away().unwrap());
    let (offer, _news) = Offer::new(Uses::Many).unwrap();
    let code = offer.code().unwrap();
    let nodes = ends.each_ref().map(|own| match by {
        By::Nothing => Node::default(),
        By::Key => Node::default().authenticate(own.clone(), Trust::anyone()),
        By::Code => {
            let trust = Trust::none().offer(offer.clone());
            Node::default().authenticate(own.clone(), trust)
        }
    });
    let at = Address::new(
        scheme,
        "127.0.0.1:0"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
        0,
    );
    // QUIC keeps the place of a connection that has just ended.
    let listens = nodes[0]
        .clone()
        .max_connections(1_000)
        .max_connections_per_address(1_000);
    let mut acceptor = listens.listen(&at).await.unwrap();
    let began = cpu();
    for _ in 0..CONNECTIONS {
        // A node that was paired once needs no code again.
        let dialler = match by {
            By::Code => {
                let typed = Trust::none().code(TypedCode::new(code.clone()));
                nodes[1].clone().authenticate(ends[1].clone(), typed)
            }
            _ => nodes[1].clone(),
        };
        connect(&dialler, &mut acceptor).await;
    }
    cpu() - began
}

async fn connect(dialler: &Node, acceptor: &mut Acceptor) {
    let to = acceptor.address();
    let dials = async {
        let mut connection = dialler.dial(&to).await.unwrap();
        connection.write_all(b"?").await.unwrap();
        connection.read_exact(&mut [0]).await.unwrap();
    };
    let answers = async {
        let mut connection = acceptor.accept().await.unwrap();
        connection.read_exact(&mut [0]).await.unwrap();
        connection.write_all(b"!").await.unwrap();
        let _ = connection.shutdown().await;
    };
    tokio::join!(dials, answers);
}

#[cfg(unix)]
fn cpu() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// Without such a clock nothing is measured.
#[cfg(not(unix))]
fn cpu() -> Duration {
    Duration::ZERO
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

const ROUNDS: usize = 7;
const CONNECTIONS: u32 = 60;
