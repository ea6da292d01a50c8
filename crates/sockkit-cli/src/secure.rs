//! Authentication of peers: its options, and what is printed about it.

use std::{
    fs,
    io::{self, BufRead, BufReader, IsTerminal, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use sockkit::{
    link::{
        Address, Fingerprint, Host, Node, Scheme,
        discovery::{Announcement, Role},
        identity::{Identity, StateFolder},
        pairing::{AuthenticatedPeer, Code, News, Offer, OfferEvent, ProvedBy, TypedCode, Uses},
        trust::{PeerError, PeerStore, Right, Trust},
    },
    text::quote,
};
use tokio::task::spawn_blocking;

use crate::{
    find::{self, Announced, default_port},
    incoming::own_address,
    remote::Remote,
    resume,
    say::{note, say},
    transfer,
};

/// Options that authenticate the peer.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct Security {
    /// Pair by a code: the one that the other side shows, if this side connects to an
    /// address or a name; if it listens, the one to show, or `new` for a random one. -
    /// reads it from standard input
    #[arg(long, value_name = "CODE|new|-")]
    code: Option<String>,
    /// The same, with the code in a file
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    code_file: Option<PathBuf>,
    /// Accept only machines that this one is paired with, and show no code
    #[arg(long, conflicts_with_all = ["code", "code_file"])]
    known: bool,
    /// Accept the machine with this key, which `sockkit id` prints there; may be
    /// repeated
    #[arg(long, value_name = "FINGERPRINT")]
    allow: Vec<Fingerprint>,
    /// With a new key, and without the list of known peers: nothing is stored
    #[arg(long, conflicts_with = "known")]
    once: bool,
    /// Do not authenticate the other side, and do not encrypt over tcp://: every host on
    /// the network can read and replace what is sent. Both sides need it
    #[arg(long, conflicts_with_all = ["code", "code_file", "known", "allow", "once"])]
    plain: bool,
}

/// What a command uses a connection for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// The right that an accepted peer needs.
    pub(crate) right: Right,
    /// How often a code may be used.
    pub(crate) uses: Uses,
    /// What this side is announced as when it listens.
    pub(crate) announces: Role,
    /// What it looks for when it dials.
    pub(crate) seeks: Role,
    /// The command line for this side, up to the code or the address.
    pub(crate) here: &'static str,
    /// The command line for the other side, up to there.
    pub(crate) there: &'static str,
    /// Formats the address for it.
    pub(crate) address: fn(&Address) -> String,
}

/// This machine's identity, and the peers it trusts.
pub(crate) struct Secure {
    identity: Identity,
    trust: Trust,
    shown: Option<Shown>,
    purpose: Purpose,
    /// How the other side is found, besides its address.
    pub(crate) sought: Sought,
}

/// What is known about a peer that is dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sought {
    /// The number of the code that it shows; 0 for a code without one.
    Code(u16),
    /// Its key: the user has named a known peer.
    Peer(Fingerprint),
    /// Likewise, and which of its programs: the user has given a full name.
    Program(Fingerprint),
    /// Its key may be any that is known.
    Known,
    /// Its key was given.
    Allowed,
}

/// A code that is shown.
pub(crate) struct Shown {
    offer: Offer,
    news: News,
    drawn: bool,
    purpose: Purpose,
    at: Option<Address>,
    announced: Option<Announced>,
}

impl Security {
    /// Whether any of the options is given that authenticate a peer.
    pub(crate) fn is_asked_for(&self) -> bool {
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

    /// For a side that dials `whom`; `None` with --plain.
    pub(crate) async fn dial(
        &self,
        purpose: Purpose,
        whom: &Remote,
    ) -> anyhow::Result<Option<Secure>> {
        if self.plain {
            if matches!(whom, Remote::Code(_) | Remote::Typed) {
                bail!("a code needs encryption: leave out --plain, or type an address");
            }
            return Ok(None);
        }
        if self.known && matches!(whom, Remote::Code(_) | Remote::Typed) {
            bail!("--known takes no code: give the name or the address of a paired machine");
        }
        let code = self.typed(whom).await?;
        if self.once && code.is_none() && self.allow.is_empty() {
            bail!("--once uses no list of known peers; give a code or --allow");
        }
        let (identity, mut trust, store) = self.base(purpose)?;
        let sought = match (&code, store) {
            (Some(code), _) => {
                trust = trust.code(TypedCode::new(code.clone()));
                Sought::Code(code.number().unwrap_or_default())
            }
            (None, _) if !self.allow.is_empty() => {
                // These keys, and no other known machine.
                if !self.known {
                    trust = self
                        .allow
                        .iter()
                        .copied()
                        .fold(Trust::none(), Trust::pinned);
                }
                Sought::Allowed
            }
            (None, Some(store)) => match whom.name(default_port(purpose.seeks)) {
                Some(name) => peer_sought(&store, name)?,
                None => Sought::Known,
            },
            (None, None) => Sought::Known,
        };
        if let Sought::Peer(key) | Sought::Program(key) = sought {
            trust = trust.only(key);
        }
        Ok(Some(Secure {
            identity,
            trust,
            shown: None,
            purpose,
            sought,
        }))
    }

    /// For a side that listens; `None` with --plain.
    pub(crate) async fn listen(&self, purpose: Purpose) -> anyhow::Result<Option<Secure>> {
        if self.plain {
            return Ok(None);
        }
        let code = match self.code().await? {
            Some(code) => Some(code),
            // A code is the default.
            None if !self.known && self.allow.is_empty() => Some("new".to_owned()),
            None => None,
        };
        let (identity, trust, store) = self.base(purpose)?;
        if let (None, Some(store)) = (&code, store)
            && self.allow.is_empty()
            && store.peers()?.is_empty()
        {
            note!("note: no machine is known yet, so none is accepted; leave out --known");
        }
        let (trust, shown) = match code {
            None => (trust, None),
            Some(code) => {
                let (offer, shown) = show_code(&code, purpose)?;
                (trust.offer(offer), Some(shown))
            }
        };
        Ok(Some(Secure {
            identity,
            trust,
            shown,
            purpose,
            sought: Sought::Known,
        }))
    }

    /// The identity, and the peers that are trusted without a code.
    fn base(&self, purpose: Purpose) -> anyhow::Result<(Identity, Trust, Option<PeerStore>)> {
        let allowed = self.allow.iter().copied();
        let trust = allowed.fold(Trust::none(), Trust::pinned);
        let name = transfer::own_name();
        if self.once {
            let identity = Identity::throw_away().context("cannot make a key")?;
            return Ok((identity.named(&name), trust, None));
        }
        let folder = StateFolder::of_user().context("without a home directory use --once")?;
        let store = PeerStore::new(&folder);
        // An unusable list is reported now, not when a peer is paired.
        store.peers()?;
        let trust = trust.known(store.clone(), purpose.right);
        Ok((Identity::open(&folder)?.named(&name), trust, Some(store)))
    }

    /// Whether a peer that is paired by a code is forgotten afterwards.
    pub(crate) fn is_for_once(&self) -> bool {
        self.once
    }

    /// Whether neither side is authenticated.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Refuses options that authenticate a peer, if `at` has none: it is a router's, or what
    /// is sealed by a key from a file, or plain, is not connected to.
    pub(crate) fn check_unused(&self, at: &Address) -> anyhow::Result<()> {
        if self.is_asked_for() && at.scheme() == Scheme::Zenoh {
            bail!(
                "{at} has no connection to the other side: --code, --known, --allow and --once \
                 are for others; here use --key FILE (`sockkit key new`)"
            );
        }
        if self.is_asked_for() {
            bail!(
                "{at} has no connection with --key FILE: leave that out, and --code, --known, --allow and \
                 --once authenticate the other side"
            );
        }
        Ok(())
    }

    /// Checks that pictures to or from `at`, which is a group's or a router's, are sealed, or
    /// plain because the user wants that.
    pub(crate) fn check_sealed(&self, at: &Address, is_sealed: bool) -> anyhow::Result<()> {
        if self.plain || is_sealed {
            return Ok(());
        }
        let (what, others) = match at.scheme() {
            Scheme::Zenoh => ("", "the routers, and every host that reaches one,"),
            _ => ("the group ", "every host on the network"),
        };
        bail!(
            "{what}{at} needs --key FILE, with a key that `sockkit key new` makes; or --plain, and \
             {others} can see and forge the pictures"
        )
    }

    /// Whether the code is read from standard input.
    pub(crate) fn reads_input(&self) -> bool {
        self.code.as_deref() == Some("-")
    }

    /// Whether a code was given in an option.
    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some() || self.code_file.is_some()
    }

    /// The code that was given in an option.
    async fn code(&self) -> anyhow::Result<Option<String>> {
        if self.reads_input() {
            return Ok(Some(read_code().await?));
        }
        match &self.code_file {
            Some(path) => Ok(Some(code_in(path)?)),
            None => Ok(self.code.clone()),
        }
    }

    /// The code to dial with, wherever it was given.
    async fn typed(&self, whom: &Remote) -> anyhow::Result<Option<Code>> {
        let is_given = self.has_code();
        let text = match whom {
            Remote::Code(_) | Remote::Typed if is_given => {
                bail!("the code is given twice: give it once, or an address with --code")
            }
            Remote::Code(code) => return Ok(Some(code.clone())),
            Remote::Typed => read_code().await?,
            Remote::Address(_) => match self.code().await? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        if text.trim() == "new" {
            bail!("this side connects: --code takes the code that the other side shows");
        }
        Ok(Some(text.parse().context("--code")?))
    }
}

/// Reads a code from standard input.
async fn read_code() -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        let _ = write!(io::stderr(), "code: ");
    }
    // A user may take their time, and Ctrl-C must work meanwhile.
    let line = spawn_blocking(|| first_line(io::stdin().lock()));
    let line = line.await.context("reading the code was cancelled")?;
    line.context("cannot read the code")
}

/// The key of the known peer that the user names; `None` if there is none.
fn peer_called(store: &PeerStore, name: &str) -> anyhow::Result<Option<Fingerprint>> {
    match store.named(name) {
        Ok(peer) => Ok(Some(peer.fingerprint)),
        Err(PeerError::Unknown(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the name says about the key, also if it is a full name, as `find` prints it for
/// several of one name.
fn peer_sought(store: &PeerStore, name: &str) -> anyhow::Result<Sought> {
    if let Some(key) = peer_called(store, name)? {
        return Ok(Sought::Peer(key));
    }
    match find::without_suffix(name) {
        Some(short) => Ok(peer_called(store, short)?.map_or(Sought::Known, Sought::Program)),
        None => Ok(Sought::Known),
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

fn show_code(text: &str, purpose: Purpose) -> anyhow::Result<(Offer, Shown)> {
    let new = text.trim() == "new";
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
        announced: None,
    };
    Ok((offer, shown))
}

impl Secure {
    /// Whether the other side is recognised by a code.
    pub(crate) fn has_code(&self) -> bool {
        matches!(self.sought, Sought::Code(_))
    }

    pub(crate) fn node(&self, node: Node) -> Node {
        node.authenticate(self.identity.clone(), self.trust.clone())
    }

    /// For streams, which create their own nodes.
    pub(crate) fn parts(&self) -> (Identity, Trust) {
        (self.identity.clone(), self.trust.clone())
    }

    /// Draws another code while the number of the shown one is taken on this network: it
    /// leads others to this machine.
    pub(crate) async fn draw_free(&self) -> anyhow::Result<()> {
        match &self.shown {
            Some(shown) => shown.draw_free().await,
            None => Ok(()),
        }
    }

    /// What is announced while this side listens at `at`.
    pub(crate) fn announcement(&self, host: &str, at: &Address) -> Announcement {
        let announcement = Announcement::new(self.purpose.announces, host, at)
            .by(*self.identity.fingerprint().as_bytes());
        let code = self.shown.as_ref().and_then(|shown| shown.offer.code());
        match code {
            Some(code) => announcement.code_number(code.number().unwrap_or_default()),
            None => announcement,
        }
    }

    /// Prints the command line for the other side, now that the address is known.
    pub(crate) fn show(self, at: &Address, announced: Option<Announced>) -> Option<Shown> {
        note!(
            "note: traffic is encrypted; this machine's key is\n  {}",
            self.identity.fingerprint()
        );
        let Some(mut shown) = self.shown else {
            if let Some(announced) = announced {
                announced.say(self.purpose.there, "");
            }
            return None;
        };
        (shown.at, shown.announced) = (Some(at.clone()), announced);
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
        let mut label = "there    ";
        if let Some(announced) = &self.announced {
            announced.show_code(code.number().unwrap_or_default());
            if announced.is_reached {
                say!("{label} {there} {code}");
                label = "or       ";
            }
        }
        say!("{label} {there} {at} --code {code}");
    }

    /// What the other side, once paired, types in place of a code that is drawn each time.
    pub(crate) fn known_as(&self) -> Option<String> {
        let at = self.at.as_ref().filter(|_| self.drawn)?;
        let is_found = self.announced.as_ref().is_some_and(|one| one.is_reached);
        let host = find::own_host();
        let name = resume::machine(&host).filter(|_| is_found);
        Some(match name {
            Some(name) => name.to_owned(),
            None => (self.purpose.address)(&reachable(at)),
        })
    }

    /// Replaces a code that was used, to accept further peers.
    pub(crate) async fn again(&self) -> anyhow::Result<()> {
        if self.drawn && self.offer.code().is_none() {
            self.offer.draw().context("cannot draw a code")?;
            self.draw_free_again().await?;
            self.say();
        }
        Ok(())
    }

    /// Likewise, for a code that replaces another.
    pub(crate) async fn draw_free_again(&self) -> anyhow::Result<()> {
        match &self.announced {
            Some(_) => self.draw_free().await,
            None => Ok(()),
        }
    }

    async fn draw_free(&self) -> anyhow::Result<()> {
        let number = || self.offer.code().and_then(|code| code.number());
        if !self.drawn || number().is_none() {
            return Ok(());
        }
        let taken = find::taken_numbers(self.purpose.announces).await;
        let is_taken = || number().is_some_and(|number| taken.contains(&number));
        let mut draws = 0;
        while is_taken() && draws < MAX_DRAWS {
            self.offer.draw().context("cannot draw a code")?;
            draws += 1;
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
            OfferEvent::Wrong { from } => note!("{from} tried a wrong code, or disconnected"),
            OfferEvent::Burnt { from, next } => {
                let from: Vec<_> = from.iter().map(ToString::to_string).collect();
                note!(
                    "too many wrong codes, from {}: the code is revoked",
                    from.join(", ")
                );
                self.revoked(next.is_some());
            }
            OfferEvent::Expired { next } => {
                note!("the code has expired");
                self.revoked(next.is_some());
            }
            _ => {}
        }
    }

    fn revoked(&self, replaced: bool) {
        match replaced {
            true => self.say(),
            false => note!("restart to pair more machines; known ones are still accepted"),
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

/// The address as another machine dials it; without a network, as this one does.
pub(crate) fn reachable(at: &Address) -> Address {
    let host = match at.is_unspecified() {
        true => own_address().unwrap_or(Host::V4(Ipv4Addr::LOCALHOST)),
        false => at.host().clone(),
    };
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
    note!(
        "note: traffic is encrypted, to {}, whose key is\n  {}",
        whom(peer, address),
        peer.fingerprint
    );
    say_namesakes(peer);
}

/// Warns that the name is ambiguous.
pub(crate) fn say_namesakes(peer: &AuthenticatedPeer) {
    if peer.namesakes > 0 {
        note!("note: another known machine has that name; rename one with `sockkit peers rename`");
    }
}

/// Numbers are few; if nearly all are taken, one is shared.
const MAX_DRAWS: usize = 100;

const MAX_CODE_BYTES: u64 = 1_024;

/// As long as a stored name may be.
const MAX_NAME_CHARS: usize = 32;
