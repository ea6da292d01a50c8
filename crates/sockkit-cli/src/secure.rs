//! Authentication of peers: its options, and what is printed about it.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use sockkit::{
    link::{
        Address, Fingerprint, Node,
        identity::{Identity, StateFolder},
        pairing::{AuthenticatedPeer, Code, News, Offer, OfferEvent, ProvedBy, TypedCode, Uses},
        trust::{PeerStore, Right, Trust},
    },
    text::quote,
};
use tokio::task::spawn_blocking;

use crate::{incoming::own_address, say::say, transfer};

/// Options that authenticate the peer.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct Security {
    /// Encrypt, and pair by a code: the one that the other side shows, or `new`,
    /// with --listen, to show one here; - reads it from standard input
    #[arg(long, value_name = "CODE|new|-")]
    code: Option<String>,
    /// The same, with the code in a file
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    code_file: Option<PathBuf>,
    /// Encrypt, and accept only machines that this one is paired with
    #[arg(long)]
    known: bool,
    /// Encrypt, and accept the machine with this key, which `sockkit id` prints
    /// there; may be repeated
    #[arg(long, value_name = "FINGERPRINT")]
    allow: Vec<Fingerprint>,
    /// With a new key, and without the list of known peers: nothing is stored
    #[arg(long, conflicts_with = "known")]
    once: bool,
    /// Do not authenticate, and do not encrypt over tcp://; the default without
    /// any of these options
    #[arg(long, conflicts_with_all = ["code", "code_file", "known", "allow", "once"])]
    plain: bool,
}

/// The listening side shows a code, the dialling side types it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Dials,
    Listens,
}

/// What a command uses a connection for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    pub(crate) side: Side,
    /// The right that an accepted peer needs.
    pub(crate) right: Right,
    /// How often a code may be used.
    pub(crate) uses: Uses,
    /// The command line for the other side, up to the address.
    pub(crate) there: &'static str,
    /// Formats the address for it.
    pub(crate) address: fn(&Address) -> String,
}

/// This machine's identity, and the peers it trusts.
pub(crate) struct Secure {
    identity: Identity,
    trust: Trust,
    shown: Option<Shown>,
}

/// A code that is shown.
pub(crate) struct Shown {
    offer: Offer,
    news: News,
    drawn: bool,
    purpose: Purpose,
    at: Option<Address>,
}

impl Security {
    /// Whether any of the options is given.
    fn is_asked_for(&self) -> bool {
        let Self {
            code,
            code_file,
            known,
            allow,
            once,
            plain: _,
        } = self;
        code.is_some() || code_file.is_some() || *known || !allow.is_empty() || *once
    }

    /// `None` without any of the options: the peer is not authenticated.
    pub(crate) async fn read(&self, purpose: Purpose) -> anyhow::Result<Option<Secure>> {
        if !self.is_asked_for() {
            return Ok(None);
        }
        let code = self.code().await?;
        if self.once && code.is_none() && self.allow.is_empty() {
            bail!("--once uses no list of known peers; add --code or --allow");
        }
        let mut trust = self
            .allow
            .iter()
            .copied()
            .fold(Trust::none(), Trust::pinned);
        let identity = match self.once {
            true => Identity::throw_away().context("cannot make a key")?,
            false => {
                let folder = StateFolder::of_user()?;
                let store = PeerStore::new(&folder);
                // An unusable list is reported now, not when a peer is paired.
                let is_empty = store.peers()?.is_empty();
                let only_known = code.is_none() && self.allow.is_empty();
                if is_empty && only_known && purpose.side == Side::Listens {
                    eprintln!(
                        "note: no machine is known yet, so none is accepted; pair with --code new first"
                    );
                }
                trust = trust.known(store, purpose.right);
                Identity::open(&folder)?
            }
        };
        let (trust, shown) = match code {
            None => (trust, None),
            Some(code) => add_code(trust, &code, purpose)?,
        };
        Ok(Some(Secure {
            identity: identity.named(&transfer::own_name()),
            trust,
            shown,
        }))
    }

    /// Refuses an address that has no connection to authenticate.
    pub(crate) fn check(&self, without: &Address) -> anyhow::Result<()> {
        if self.is_asked_for() {
            bail!(
                "{without} is for datagrams, which have no connection: --code, --known, --allow and \
                 --once are for tcp:// and quic://; for udp:// use --key FILE (`sockkit key new`)"
            );
        }
        Ok(())
    }

    /// Whether the code is read from standard input.
    pub(crate) fn reads_input(&self) -> bool {
        self.code.as_deref() == Some("-")
    }

    async fn code(&self) -> anyhow::Result<Option<String>> {
        if self.reads_input() {
            // A user may take their time, and Ctrl-C must work meanwhile.
            let line = spawn_blocking(|| first_line(io::stdin().lock()));
            let line = line.await.context("reading the code was cancelled")?;
            return Ok(Some(line.context("cannot read the code")?));
        }
        match &self.code_file {
            Some(path) => Ok(Some(code_in(path)?)),
            None => Ok(self.code.clone()),
        }
    }
}

fn code_in(path: &Path) -> anyhow::Result<String> {
    fs::File::open(path)
        .and_then(|file| first_line(BufReader::new(file)))
        .with_context(|| format!("cannot read {}", path.display()))
}

fn first_line(from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.take(MAX_CODE_BYTES).read_line(&mut line)?;
    Ok(line)
}

fn add_code(trust: Trust, text: &str, purpose: Purpose) -> anyhow::Result<(Trust, Option<Shown>)> {
    let new = text.trim() == "new";
    if purpose.side == Side::Dials {
        if new {
            bail!("this side dials: --code takes the code that the other side shows");
        }
        let code: Code = text.parse().context("--code")?;
        return Ok((trust.code(TypedCode::new(code)), None));
    }
    let (offer, news) = match new {
        true => Offer::new(purpose.uses).context("cannot draw a code")?,
        false => Offer::of(text.parse().context("--code")?, purpose.uses).context("--code")?,
    };
    let shown = Shown {
        offer: offer.clone(),
        news,
        drawn: new,
        purpose,
        at: None,
    };
    Ok((trust.offer(offer), Some(shown)))
}

impl Secure {
    pub(crate) fn node(&self, node: Node) -> Node {
        node.authenticate(self.identity.clone(), self.trust.clone())
    }

    /// For streams, which create their own nodes.
    pub(crate) fn parts(&self) -> (Identity, Trust) {
        (self.identity.clone(), self.trust.clone())
    }

    /// Prints the command line for the other side, now that the address is known.
    pub(crate) fn show(self, at: &Address) -> Option<Shown> {
        eprintln!(
            "note: traffic is encrypted; this machine's key is\n  {}",
            self.identity.fingerprint()
        );
        let mut shown = self.shown?;
        shown.at = Some(at.clone());
        shown.say();
        Some(shown)
    }
}

impl Shown {
    fn say(&self) {
        let (Some(code), Some(at)) = (self.offer.code(), &self.at) else {
            return;
        };
        let Purpose { there, address, .. } = self.purpose;
        let at = address(&reachable(at));
        say!("there     {there} {at} --code {code}");
    }

    /// Replaces a code that was used, to accept further peers.
    pub(crate) fn again(&self) -> anyhow::Result<()> {
        if self.drawn && self.offer.code().is_none() {
            self.offer.draw().context("cannot draw a code")?;
            self.say();
        }
        Ok(())
    }

    /// Waits for the next event of the code.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> anyhow::Result<OfferEvent> {
        self.news.next().await.context("cannot draw a code")
    }

    pub(crate) fn tell(&self, event: &OfferEvent) {
        match event {
            OfferEvent::Wrong { from } => eprintln!("{from} tried a wrong code, or disconnected"),
            OfferEvent::Burnt { from, next } => {
                let from: Vec<_> = from.iter().map(ToString::to_string).collect();
                eprintln!(
                    "too many wrong codes, from {}: the code is revoked",
                    from.join(", ")
                );
                self.revoked(next.is_some());
            }
            OfferEvent::Expired { next } => {
                eprintln!("the code has expired");
                self.revoked(next.is_some());
            }
            _ => {}
        }
    }

    fn revoked(&self, replaced: bool) {
        match replaced {
            true => self.say(),
            false => eprintln!("restart to pair more machines; known ones are still accepted"),
        }
    }
}

/// Waits forever if no code is shown.
pub(crate) async fn next(shown: &mut Option<Shown>) -> anyhow::Result<OfferEvent> {
    match shown {
        Some(shown) => shown.next().await,
        None => std::future::pending().await,
    }
}

/// The address as another machine dials it.
fn reachable(at: &Address) -> Address {
    let own = at.is_unspecified().then(own_address).flatten();
    let host = own.unwrap_or_else(|| at.host().clone());
    Address::new(at.scheme(), host, at.port())
}

/// Describes a peer, by its name if there is one.
pub(crate) fn whom(peer: &AuthenticatedPeer, address: &str) -> String {
    let by = match peer.by {
        ProvedBy::Code => "paired by the code",
        ProvedBy::Known => "known",
        _ => "allowed by its key",
    };
    match &peer.name {
        Some(name) => format!("{} ({address}, {by})", quote(name, MAX_NAME_CHARS)),
        None => format!("{address} ({by})"),
    }
}

/// Prints the authenticated peer and its key.
pub(crate) fn say_peer(peer: &AuthenticatedPeer, address: &str) {
    eprintln!(
        "note: traffic is encrypted, to {}, whose key is\n  {}",
        whom(peer, address),
        peer.fingerprint
    );
    say_namesakes(peer);
}

/// Warns that the name is ambiguous.
pub(crate) fn say_namesakes(peer: &AuthenticatedPeer) {
    if peer.namesakes > 0 {
        eprintln!(
            "note: another known machine has that name; rename one with `sockkit peers rename`"
        );
    }
}

const MAX_CODE_BYTES: u64 = 1_024;

/// As long as a stored name may be.
const MAX_NAME_CHARS: usize = 32;
