//! Reaching the other side of a transfer, what is said about it, and parting
//! from it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use sockkit::{
    file::{Arrival, FailedHandshake, Offer, Queue, QueuedPeer, Turn},
    link::{Address, Connection, DialError, Handle, Node, Scheme},
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{address::shown, say::say};

/// Connects to `to`, and says what others on the network can see.
pub(crate) async fn dial(to: &Address) -> anyhow::Result<Connection> {
    if to.scheme() == Scheme::Tcp {
        say_in_the_clear();
    }
    let dialled = node(to.scheme()).dial(to).await;
    let connection = dialled.map_err(|error| cannot_dial(to, error))?;
    if let Some(fingerprint) = connection.fingerprint() {
        say_encrypted(fingerprint);
    }
    Ok(connection)
}

/// What happened, and what to look at.
fn cannot_dial(to: &Address, error: DialError) -> anyhow::Error {
    let is_quic = to.scheme() == Scheme::Quic;
    let hint = match &error {
        DialError::Refused(_) if is_quic => "does the other side listen, and on quic:// too?",
        DialError::Refused(_) => "does the other side listen, and without quic://?",
        DialError::TimedOut { .. } if is_quic => {
            "does the other side listen on quic://, and does its firewall let UDP in?"
        }
        DialError::TimedOut { .. } => "is it on this network, and does its firewall let TCP in?",
        DialError::OtherProtocol(_) => "is it the right port?",
        DialError::Busy(_) => "try again later",
        _ => return anyhow::Error::new(error).context(format!("cannot connect to {}", shown(to))),
    };
    // TCP names every address that it tried.
    let names_it = !is_quic || matches!(error, DialError::TimedOut { .. });
    let error = anyhow::Error::new(error);
    match names_it {
        true => anyhow!("{error:#}; {hint}"),
        false => anyhow!("cannot connect to {}: {error:#}; {hint}", shown(to)),
    }
}

/// Listens at `at`, says where, and what others on the network can see.
pub(crate) async fn listen<P: QueuedPeer<Stream = Connection>>(
    at: &Address,
    config: P::Config,
    goodbye: &CloseWaiter,
) -> anyhow::Result<Queue<P>> {
    let acceptor = node(at.scheme()).listen(at).await;
    let acceptor = acceptor.with_context(|| format!("cannot listen on {}", shown(at)))?;
    match acceptor.fingerprint() {
        None => say_in_the_clear(),
        Some(fingerprint) => say_encrypted(fingerprint),
    }
    say!("listening on {}", shown(&acceptor.address()));
    let mut queue = Queue::start(acceptor, config);
    goodbye.remember_end(queue.end());
    Ok(queue)
}

/// With room for all who wait, and for those that are told that there is none:
/// QUIC tells them before there is a connection.
fn node(scheme: Scheme) -> Node {
    type Senders = Queue<Offer<Connection>>;
    let told = match scheme {
        Scheme::Quic => 0,
        _ => Senders::MAX_REFUSALS,
    };
    Node::default().max_connections(Senders::MAX_PEERS + told)
}

/// Waits for the peer whose turn it is, and says what became of others.
pub(crate) async fn next_turn<P: QueuedPeer>(queue: &mut Queue<P>) -> anyhow::Result<Turn<P>> {
    let mut told = 0;
    loop {
        let arrival = queue.next().await.context("cannot accept")?;
        let left = queue.take_left();
        if left > 0 {
            eprintln!("peers that left before it was their turn: {left}");
        }
        match arrival {
            Arrival::Turn(turn) => return Ok(turn),
            Arrival::Failed(FailedHandshake { address, error, .. }) => {
                told += 1;
                match told {
                    ..=MAX_TOLD => eprintln!("{address}: {:#}", anyhow::Error::new(error)),
                    MORE => eprintln!("more peers failed; -v lists them"),
                    _ => tracing::info!(%address, %error, "no handshake"),
                }
            }
        }
    }
}

/// Said once on each side, before anything moves.
fn say_in_the_clear() {
    eprintln!(
        "note: traffic is in the clear; whoever shares the network can read it; \
         quic:// encrypts"
    );
}

/// The same where it is not.
fn say_encrypted(fingerprint: impl std::fmt::Display) {
    eprintln!(
        "note: traffic is encrypted, but who is on the other side is not proved. Nobody \
         sits in between if both sides show:\n  {fingerprint}"
    );
}

/// The last words to peers, which a program that ends must not cut off.
#[derive(Debug, Default)]
pub(crate) struct CloseWaiter(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    connection: Option<Handle>,
    queue: Option<JoinHandle<()>>,
}

impl CloseWaiter {
    /// Will wait for this one.
    pub(crate) fn remember(&self, connection: &Connection) {
        self.last().connection = Some(connection.handle());
    }

    fn remember_end(&self, queue: Option<JoinHandle<()>>) {
        self.last().queue = queue;
    }

    /// Waits until the other sides have heard it, or could have.
    pub(crate) async fn said(self) {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = last.queue {
            // It was closed or dropped, and bounds its time itself.
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

/// A stranger must not fill the terminal.
const MAX_TOLD: u32 = 10;
const MORE: u32 = MAX_TOLD + 1;

/// A goodbye takes a few round trips; a peer that is gone takes all of this.
const GOODBYE: Duration = Duration::from_secs(2);
