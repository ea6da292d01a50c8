//! Connects to the other side of a transfer, and closes the connection.

use std::{
    sync::{Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use sockkit::{
    file::{Arrival, FailedHandshake, Offer, Queue, QueuedPeer, Turn, refusal, session::Abort},
    link::{
        Acceptor, Address, Connection, DialError, Handle, Node, Scheme, discovery::Announcement,
        pairing::PairingError,
    },
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    address::shown,
    find::{self, Announced},
    incoming::own_address,
    json::Object,
    meeting::Meeting,
    remote::Remote,
    say::{self, note, say},
    secure::{self, Purpose, Secure, Shown, say_namesakes, say_peer, whom},
    transfer::Moved,
    typed,
};

/// Finds `whom`, connects to it, and prints what others on the network can see; returns
/// its address, too.
pub(crate) async fn reach(
    whom: &Remote,
    purpose: Purpose,
    secure: Option<&Secure>,
) -> anyhow::Result<(Connection, Address)> {
    let at = find::locate(purpose.seeks, whom, secure).await?;
    let connection = dial(&at, purpose, secure).await?;
    Ok((connection, at))
}

async fn dial(
    to: &Address,
    purpose: Purpose,
    secure: Option<&Secure>,
) -> anyhow::Result<Connection> {
    let node = node(to.scheme());
    if let Some(secure) = secure {
        let connection = secure.node(node).dial(to).await;
        let connection = connection.map_err(|error| cannot_dial(to, purpose, error))?;
        if let Some(peer) = connection.peer() {
            say_peer(peer, &shown(to));
        }
        return Ok(connection);
    }
    if to.scheme() == Scheme::Tcp {
        say_in_the_clear();
    }
    let connection = node.dial(to).await;
    let connection = connection.map_err(|error| cannot_dial(to, purpose, error))?;
    if let Some(fingerprint) = connection.fingerprint() {
        say_encrypted(fingerprint);
    }
    Ok(connection)
}

/// What happened, and what to check.
pub(crate) fn cannot_dial(to: &Address, purpose: Purpose, error: DialError) -> anyhow::Error {
    let (is_quic, is_udp) = (to.scheme() == Scheme::Quic, to.scheme() == Scheme::Udp);
    let hint = match &error {
        DialError::Refused(_) if is_udp => {
            "is the other side listening at udp:// there, and without --plain and --key?"
        }
        DialError::Refused(_) if is_quic => "is the other side listening, and on quic:// as well?",
        DialError::Refused(_) => "is the other side listening, and without quic://?",
        DialError::TimedOut { .. } if is_quic => {
            "is the other side listening on quic://, and does its firewall allow UDP?"
        }
        DialError::TimedOut { .. } => "is it on this network, and does its firewall allow TCP?",
        DialError::OtherProtocol(_) => "is the port correct?",
        DialError::Busy(_) => "try again later",
        DialError::Failed(_) if !is_quic => "is it on this network?",
        DialError::NotTrusted {
            source: PairingError::Unknown { .. },
            ..
        } => {
            let Purpose { here, address, .. } = purpose;
            let error = anyhow::Error::new(error);
            let again = typed::again(here);
            return anyhow!("{error:#}. To pair: {again} {} --code CODE", address(to));
        }
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

/// Listens, announces it, and prints what the other side types, and what others on the
/// network can see.
pub(crate) async fn listen<P: QueuedPeer<Stream = Connection>>(
    meeting: &Meeting,
    purpose: Purpose,
    config: P::Config,
    secure: Option<Secure>,
    goodbye: &CloseWaiter,
) -> anyhow::Result<Waiting<P>> {
    let mut node = node(meeting.scheme());
    if let Some(secure) = &secure {
        node = secure
            .node(node)
            .plain_refusal(&refusal(P::ROLE, Abort::Plain));
    }
    let (acceptor, code) = open(&node, meeting, purpose, secure, goodbye).await?;
    let mut queue = Queue::start(acceptor, config);
    goodbye.remember_end(queue.end());
    Ok(Waiting { queue, code })
}

/// Listens with `node`, announces that, and prints the line for the other side.
pub(crate) async fn open(
    node: &Node,
    meeting: &Meeting,
    purpose: Purpose,
    secure: Option<Secure>,
    goodbye: &CloseWaiter,
) -> anyhow::Result<(Acceptor, Option<Shown>)> {
    let acceptor = meeting.bind(node, secure.is_none()).await?;
    let address = acceptor.address();
    say_listening(&address);
    let is_found = !meeting.no_announce && !acceptor.local_addr().ip().is_loopback();
    let announced = match is_found {
        false => None,
        true => {
            if let Some(secure) = &secure {
                secure.draw_free().await?;
            }
            let host = find::own_host();
            let announcement = match &secure {
                Some(secure) => secure.announcement(&host, &address),
                None => Announcement::new(purpose.announces, &host, &address),
            };
            Announced::start(&announcement)
        }
    };
    goodbye.remember_announced(announced.clone());
    let code = match secure {
        Some(secure) => secure.show(&address, announced),
        None => {
            match acceptor.fingerprint() {
                Some(fingerprint) => say_encrypted(fingerprint),
                None => say_in_the_clear(),
            }
            if meeting.listen.is_none() {
                note!(
                    "note: only programs on this machine can connect; add --listen :{} for others",
                    address.port()
                );
            }
            if let Some(announced) = announced {
                announced.say(purpose.there, " --plain");
            }
            None
        }
    };
    Ok((acceptor, code))
}

/// Prints the address, and the one that others type if it is a wildcard.
fn say_listening(address: &Address) {
    let at = shown(address);
    let event = Object::new("listening").text("address", &at);
    say::result(&event, format_args!("listening on {at}"));
    if address.is_unspecified()
        && let Some(own) = own_address()
    {
        let own = Address::new(address.scheme(), own, address.port());
        say!("address   {}", shown(&own));
    }
}

/// Peers that wait for their turn, and the code that is shown.
pub(crate) struct Waiting<P: QueuedPeer> {
    pub(crate) queue: Queue<P>,
    code: Option<Shown>,
}

impl<P: QueuedPeer> Waiting<P> {
    /// What the other side types in place of the code that is shown.
    pub(crate) fn known_as(&self) -> Option<String> {
        self.code.as_ref().and_then(Shown::known_as)
    }
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
        code.again().await?;
    }
    let mut told = 0;
    loop {
        let arrival = tokio::select! {
            biased;
            event = secure::next(code) => {
                let event = event?;
                if let Some(code) = &code {
                    code.draw_free_again().await?;
                    code.tell(&event);
                }
                continue;
            }
            arrival = queue.next() => arrival.context("cannot accept")?,
        };
        let left = queue.take_left();
        if left > 0 {
            note!("peers that disconnected before their turn: {left}");
        }
        match arrival {
            Arrival::Turn(turn) => return Ok(turn),
            Arrival::Failed(FailedHandshake { address, error, .. }) => {
                told += 1;
                match told {
                    ..=MAX_TOLD => note!("{address}: {:#}", anyhow::Error::new(error)),
                    MORE => note!("more peers failed; -v lists them"),
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

/// Printed once on each side of a stream of pictures with --plain.
pub(crate) fn say_plain(scheme: Scheme) {
    static QUIC: Once = Once::new();
    static ZENOH: Once = Once::new();
    match scheme {
        Scheme::Quic => QUIC.call_once(|| {
            note!("note: traffic is encrypted, but the peer is not authenticated");
        }),
        Scheme::Zenoh => ZENOH.call_once(|| {
            note!(
                "note: pictures are not encrypted, and the routers, and every host that reaches \
                 one, can see and replace them; with --key, on both sides, they are sealed"
            );
        }),
        _ => say_in_the_clear(),
    }
}

/// Printed once on each side, before the transfer starts.
fn say_in_the_clear() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        note!(
            "note: traffic is not encrypted, and every host on this network can read and replace \
             it; without --plain, on both sides, it is encrypted"
        );
    });
}

/// The same for an encrypted transport.
fn say_encrypted(fingerprint: impl std::fmt::Display) {
    note!(
        "note: traffic is encrypted, but the peer is not authenticated. There is no attacker in \
         between if both sides show:\n  {fingerprint}"
    );
}

/// What is left when a transfer ends: final messages to peers, which must not be cut off
/// when the program exits, and how the user resumes it.
#[derive(Debug, Default)]
pub(crate) struct CloseWaiter(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    connection: Option<Handle>,
    queue: Option<JoinHandle<()>>,
    announced: Option<Announced>,
    /// The sentence, and what tells whether there is anything to resume.
    resume: Option<(String, Moved)>,
}

impl CloseWaiter {
    /// Waits for this connection.
    pub(crate) fn remember(&self, connection: &Connection) {
        self.last().connection = Some(connection.handle());
    }

    pub(crate) fn remember_end(&self, queue: Option<JoinHandle<()>>) {
        self.last().queue = queue;
    }

    /// Ends the announcement.
    fn remember_announced(&self, announced: Option<Announced>) {
        self.last().announced = announced;
    }

    /// How the transfer that has `moved` data is resumed.
    pub(crate) fn remember_resume(&self, sentence: String, moved: Moved) {
        self.last().resume = Some((sentence, moved));
    }

    /// The transfer has ended.
    pub(crate) fn forget_resume(&self) {
        self.last().resume = None;
    }

    /// How to resume. Before data has moved, how to try again, if that is not by the same
    /// command.
    pub(crate) fn resume(&self) -> Option<String> {
        let last = self.last();
        let (sentence, moved) = last.resume.as_ref()?;
        match sentence.strip_prefix("to resume") {
            Some(how) if !moved.any() => Some(format!("to try again{how}")),
            _ => moved.any().then(|| sentence.clone()),
        }
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
