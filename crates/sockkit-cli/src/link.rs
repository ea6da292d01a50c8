//! Connects to the other side of a transfer, and closes the connection.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use sockkit::{
    file::{Arrival, FailedHandshake, Offer, Queue, QueuedPeer, Turn},
    link::{
        Address, Connection, DialError, Handle, Node, Scheme,
        discovery::{Announcer, Role},
    },
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    address::shown,
    find,
    say::say,
    secure::{self, Secure, Shown, say_namesakes, say_peer, whom},
};

/// Connects to `to`, and prints what others on the network can see.
pub(crate) async fn dial(to: &Address, secure: Option<&Secure>) -> anyhow::Result<Connection> {
    let node = node(to.scheme());
    if let Some(secure) = secure {
        let connection = secure.node(node).dial(to).await;
        let connection = connection.map_err(|error| cannot_dial(to, error))?;
        if let Some(peer) = connection.peer() {
            say_peer(peer, &shown(to));
        }
        return Ok(connection);
    }
    if to.scheme() == Scheme::Tcp {
        say_in_the_clear();
    }
    let connection = node.dial(to).await;
    let connection = connection.map_err(|error| cannot_dial(to, error))?;
    if let Some(fingerprint) = connection.fingerprint() {
        say_encrypted(fingerprint);
    }
    Ok(connection)
}

/// What happened, and what to check.
pub(crate) fn cannot_dial(to: &Address, error: DialError) -> anyhow::Error {
    let is_quic = to.scheme() == Scheme::Quic;
    let hint = match &error {
        DialError::Refused(_) if is_quic => "is the other side listening, and on quic:// as well?",
        DialError::Refused(_) => "is the other side listening, and without quic://?",
        DialError::TimedOut { .. } if is_quic => {
            "is the other side listening on quic://, and does its firewall allow UDP?"
        }
        DialError::TimedOut { .. } => "is it on this network, and does its firewall allow TCP?",
        DialError::OtherProtocol(_) => "is the port correct?",
        DialError::Busy(_) => "try again later",
        DialError::NotTrusted { .. } => return error.into(),
        _ => return anyhow::Error::new(error).context(format!("cannot connect to {}", shown(to))),
    };
    // TCP's error names every address that was tried.
    let names_it = !is_quic || matches!(error, DialError::TimedOut { .. });
    let error = anyhow::Error::new(error);
    match names_it {
        true => anyhow!("{error:#}; {hint}"),
        false => anyhow!("cannot connect to {}: {error:#}; {hint}", shown(to)),
    }
}

/// Listens at `at`, prints the address, and what others on the network can see.
pub(crate) async fn listen<P: QueuedPeer<Stream = Connection>>(
    at: &Address,
    config: P::Config,
    secure: Option<Secure>,
    goodbye: &CloseWaiter,
) -> anyhow::Result<Waiting<P>> {
    let mut node = node(at.scheme());
    if let Some(secure) = &secure {
        node = secure.node(node);
    }
    let acceptor = node.listen(at).await;
    let acceptor = acceptor.with_context(|| format!("cannot listen on {}", shown(at)))?;
    let address = acceptor.address();
    say!("listening on {}", shown(&address));
    let code = match (secure, acceptor.fingerprint()) {
        (Some(secure), _) => secure.show(&address),
        (None, None) => {
            say_in_the_clear();
            None
        }
        (None, Some(fingerprint)) => {
            say_encrypted(fingerprint);
            None
        }
    };
    let mut queue = Queue::start(acceptor, config);
    goodbye.remember_end(queue.end(), address);
    Ok(Waiting { queue, code })
}

/// Peers that wait for their turn, and the code that is shown.
pub(crate) struct Waiting<P: QueuedPeer> {
    pub(crate) queue: Queue<P>,
    code: Option<Shown>,
}

/// With permits for all waiting peers, and for those that are being refused:
/// over QUIC they are refused before there is a connection.
fn node(scheme: Scheme) -> Node {
    type Senders = Queue<Offer<Connection>>;
    let told = match scheme {
        Scheme::Quic => 0,
        _ => Senders::MAX_REFUSALS,
    };
    Node::default().max_connections(Senders::MAX_PEERS + told)
}

/// Waits for the peer whose turn it is, and prints what happened to others.
pub(crate) async fn next_turn<P: QueuedPeer>(waiting: &mut Waiting<P>) -> anyhow::Result<Turn<P>> {
    let Waiting { queue, code } = waiting;
    if let Some(code) = &code {
        code.again()?;
    }
    let mut told = 0;
    loop {
        let arrival = tokio::select! {
            biased;
            event = secure::next(code) => {
                let event = event?;
                if let Some(code) = &code {
                    code.tell(&event);
                }
                continue;
            }
            arrival = queue.next() => arrival.context("cannot accept")?,
        };
        let left = queue.take_left();
        if left > 0 {
            eprintln!("peers that disconnected before their turn: {left}");
        }
        match arrival {
            Arrival::Turn(turn) => return Ok(turn),
            Arrival::Failed(FailedHandshake { address, error, .. }) => {
                told += 1;
                match told {
                    ..=MAX_TOLD => eprintln!("{address}: {:#}", anyhow::Error::new(error)),
                    MORE => eprintln!("more peers failed; -v lists them"),
                    _ => tracing::info!(%address, %error, "handshake failed"),
                }
            }
        }
    }
}

/// The peer, by its name if it is authenticated.
pub(crate) fn shown_peer(connection: &Connection, address: &str) -> String {
    match connection.peer() {
        Some(peer) => whom(peer, address),
        None => address.to_owned(),
    }
}

/// Warns that the peer's name is ambiguous.
pub(crate) fn warn_of_namesakes(connection: &Connection) {
    if let Some(peer) = connection.peer() {
        say_namesakes(peer);
    }
}

/// Printed once on each side, before the transfer starts.
fn say_in_the_clear() {
    eprintln!(
        "note: traffic is not encrypted, and every host on this network can read it; \
         --code encrypts and pairs"
    );
}

/// The same for an encrypted transport.
fn say_encrypted(fingerprint: impl std::fmt::Display) {
    eprintln!(
        "note: traffic is encrypted, but the peer is not authenticated. There is no attacker in \
         between if both sides show:\n  {fingerprint}"
    );
}

/// Final messages to peers, which must not be cut off when the program exits.
#[derive(Debug, Default)]
pub(crate) struct CloseWaiter(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    connection: Option<Handle>,
    queue: Option<JoinHandle<()>>,
    listening: Option<Address>,
    announced: Option<Announcer>,
}

impl CloseWaiter {
    /// Waits for this connection.
    pub(crate) fn remember(&self, connection: &Connection) {
        self.last().connection = Some(connection.handle());
    }

    fn remember_end(&self, queue: Option<JoinHandle<()>>, listening: Address) {
        let mut last = self.last();
        last.queue = queue;
        last.listening = Some(listening);
    }

    /// Announces what is listened at, until the end.
    pub(crate) fn announce(&self, role: Role) {
        let mut last = self.last();
        last.announced = last
            .listening
            .as_ref()
            .and_then(|at| find::announce(role, at));
    }

    /// Waits until the peers have received the message, or could have.
    pub(crate) async fn said(self) {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(announced) = last.announced {
            announced.stop().await;
        }
        if let Some(queue) = last.queue {
            // It was closed or dropped, and limits its time itself.
            let _ = timeout(GOODBYE, queue).await;
        }
        if let Some(connection) = last.connection {
            connection.closed(GOODBYE).await;
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limits the output that unknown peers can cause.
const MAX_TOLD: u32 = 10;
const MORE: u32 = MAX_TOLD + 1;

/// Closing takes a few round trips; a peer that is gone takes all of this.
const GOODBYE: Duration = Duration::from_secs(2);
