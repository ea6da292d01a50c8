//! All destinations of `cam`.

use std::{net::SocketAddr, slice, time::Duration};

use anyhow::bail;
use indicatif::HumanBytes;
use sockkit::{
    interfaces::{self, InterfaceSelector},
    latest::Subscriber,
    link::{
        Address, Host, Scheme, channel::DatagramConfig, discovery::Announcement,
        pairing::OfferEvent, sealing::Key,
    },
    picture::Picture,
    shard::Parity,
    stream::{ConnectionState, Report, Sender, SenderConfig, SenderStats},
};
use tokio::time::timeout;

use crate::{
    address::shown,
    cam::{Addresses, PUSHED, Security, VIEWERS},
    find::{self, Announced},
    incoming::is_own,
    json::Object,
    link::{cannot_dial, say_plain},
    routed, say,
    secure::{self, Secure, Shown, say_peer},
    watchers::{self, Attendance},
};

/// Settings besides the addresses.
pub(crate) struct Wishes<'a> {
    /// `None` follows what receivers report.
    pub(crate) parity: Option<Parity>,
    pub(crate) interface: Option<&'a InterfaceSelector>,
    /// Where viewers that connect get pictures.
    pub(crate) group: Option<SocketAddr>,
    pub(crate) viewers_per_host: Option<u8>,
    pub(crate) key: Option<Key>,
    pub(crate) routers: &'a routed::Options,
    /// Whether a listener is announced on the network.
    pub(crate) is_announced: bool,
    /// Identities on connections.
    pub(crate) security: Security,
}

impl Wishes<'_> {
    /// Rejects settings that would have no effect.
    fn check(&self, addresses: &Addresses) -> anyhow::Result<()> {
        let Addresses { to, routed, at, .. } = addresses;
        if self.key.is_some() && to.is_empty() && routed.is_empty() {
            bail!(
                "--key seals what goes --to udp:// and zenoh://, and no --to address is one; viewers \
                 that connect get a key of their own"
            );
        }
        let has_group = self.group.is_some() || to.iter().any(|to| to.group().is_some());
        if self.interface.is_some() && !has_group {
            bail!("--interface is for groups: no --to address is one, and --many is not given");
        }
        let is_udp = |at: &Address| at.scheme() == Scheme::Udp;
        if self.parity.is_some() && to.is_empty() && !at.iter().any(is_udp) {
            bail!("--parity and --loss are for udp:// only; connections repair losses themselves");
        }
        if !self.is_announced && at.is_empty() {
            bail!("--no-announce needs a listener: a camera that only sends is not announced");
        }
        if self.viewers_per_host.is_some() && at.is_empty() {
            bail!("--viewers-per-host needs --listen");
        }
        Ok(())
    }

    fn config(&self) -> SenderConfig {
        let config = SenderConfig::default();
        let mut config = match self.parity {
            Some(parity) => config.parity(parity),
            None => config.parity_by_reports(),
        };
        if let Some(interface) = self.interface {
            let datagrams = DatagramConfig::default().interface(interface.clone());
            config = config.datagrams(datagrams);
        }
        if let Some(viewers) = self.viewers_per_host {
            config = config.max_viewers_per_host(viewers.into());
        }
        config
    }

    /// For addresses that are sent to without a connection.
    fn config_alone(&self) -> SenderConfig {
        match &self.key {
            Some(key) => self.config().sealed(key.clone()),
            None => self.config(),
        }
    }

    /// For connections.
    fn config_of(&self, secure: Option<&Secure>) -> SenderConfig {
        match secure {
            Some(secure) => {
                let (identity, trust) = secure.parts();
                self.config().authenticate(identity, trust)
            }
            None => self.config(),
        }
    }
}

/// One socket for all datagrams that go out without a connection, and a sender for each other
/// address.
pub(crate) struct Outgoing {
    senders: Vec<Sender>,
    /// Where viewers connect, first of all.
    listening: Option<Address>,
    /// The last state of each connection to a viewer that was told.
    told: Vec<Option<ConnectionState>>,
    attendance: Attendance,
    announced: Option<Announced>,
    /// The code that viewers pair by.
    code: Option<Shown>,
}

impl Outgoing {
    /// Binds all of them, and prints their addresses.
    pub(crate) async fn bind(
        addresses: &Addresses,
        wishes: Wishes<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<Self> {
        let Addresses { to, routed, at, .. } = addresses;
        wishes.check(addresses)?;
        for to in to {
            check_destination(to, wishes.interface)?;
        }
        if let Some(at) = at.iter().find(|at| !is_own(at)) {
            let port = at.port();
            bail!(
                "{at} is not an address of this machine, where viewers would connect: \
                 --listen :{port} listens at all of them, and --to udp://{}:{port} sends there",
                at.host()
            );
        }
        let pushes = &wishes.security.pushes;
        let mut senders = Vec::new();
        if !to.is_empty() && pushes.is_empty() {
            let config = wishes.config_alone();
            if wishes.key.is_none() {
                say_plain(Scheme::Udp);
            }
            senders.push(Sender::open(to, config, pictures.clone()).await?);
        }
        for (to, secure) in to.iter().zip(pushes) {
            senders.push(push(to, wishes.config_of(Some(secure)), pictures).await?);
        }
        for to in routed {
            if wishes.key.is_none() {
                say_plain(Scheme::Zenoh);
            }
            let channel = routed::publish(to, wishes.key.clone(), wishes.routers).await?;
            senders.push(Sender::new(channel, wishes.config(), pictures.clone()));
        }
        let mut listening = None;
        for at in at {
            let sender = listen(at, &wishes, pictures).await?;
            listening.get_or_insert_with(|| sender.address().clone());
            senders.push(sender);
        }
        let mut outgoing = Self {
            told: vec![None; senders.len()],
            attendance: Attendance::default(),
            senders,
            listening,
            announced: None,
            code: None,
        };
        outgoing.announce(wishes.is_announced, wishes.security.listens);
        Ok(outgoing)
    }

    /// Announces the listener, and prints what viewers type.
    fn announce(&mut self, is_announced: bool, secure: Option<Secure>) {
        let Some(at) = self.listening.clone() else {
            return;
        };
        if is_announced {
            let host = find::own_host();
            let announcement = match &secure {
                Some(secure) => secure.announcement(&host, &at),
                None => Announcement::new(VIEWERS.announces, &host, &at),
            };
            self.announced = Announced::start(&announcement);
        }
        match (secure, &self.announced) {
            (Some(secure), announced) => self.code = secure.show(&at, announced.clone()),
            (None, Some(announced)) => announced.say(VIEWERS.there, " --plain"),
            (None, None) => {}
        }
    }

    /// Waits for the next event of the code.
    pub(crate) async fn code_event(&mut self) -> anyhow::Result<OfferEvent> {
        secure::next(&mut self.code).await
    }

    /// Prints it.
    pub(crate) fn tell(&self, event: &OfferEvent) {
        if let Some(code) = &self.code {
            code.tell(event);
        }
    }

    /// The states of connections to viewers that have changed.
    pub(crate) fn link_events(&mut self) -> Vec<(Address, ConnectionState)> {
        let mut events = Vec::new();
        for (sender, told) in self.senders.iter().zip(&mut self.told) {
            let state = sender.connection_state().and_then(|link| link.latest());
            if let Some(state) = state.filter(|state| *told != Some(*state)) {
                *told = Some(state);
                events.push((sender.address().clone(), state));
            }
        }
        events
    }

    /// How many viewers multicast reaches, if that has changed.
    pub(crate) fn attendance(&mut self) -> Option<String> {
        self.senders
            .iter()
            .find_map(|sender| self.attendance.on_figures(sender))
    }

    /// Statistics, one line for each sender.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.senders.iter().map(one_line).collect()
    }

    /// The same, with its address and its numbers.
    pub(crate) fn figures(&self) -> Vec<(Address, SenderStats, String)> {
        let of = |sender: &Sender| (sender.address().clone(), sender.stats(), one_line(sender));
        self.senders.iter().map(of).collect()
    }

    /// Connected viewers.
    pub(crate) fn viewers(&self) -> u64 {
        let viewers = |sender: &Sender| sender.stats().viewers;
        self.senders.iter().map(viewers).sum()
    }

    /// Whether any picture has been sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.senders.iter().any(|sender| sender.stats().sent > 0)
    }

    /// The latest reports of all viewers.
    pub(crate) fn reports(&self) -> Vec<(SocketAddr, Report)> {
        self.senders.iter().flat_map(Sender::reports).collect()
    }

    /// Waits, after the publisher is gone, until the last picture is sent. From then on the
    /// camera is not found.
    pub(crate) async fn finished(&self) {
        if let Some(announced) = &self.announced {
            announced.stop().await;
        }
        let all = async {
            for sender in &self.senders {
                sender.finished().await;
            }
        };
        let _ = timeout(FINISH_WITHIN, all).await;
    }

    pub(crate) async fn shutdown(self) {
        for sender in self.senders {
            sender.shutdown().await;
        }
    }
}

/// Listens for viewers, and prints where.
async fn listen(
    at: &Address,
    wishes: &Wishes<'_>,
    pictures: &Subscriber<Picture>,
) -> anyhow::Result<Sender> {
    let config = wishes.config_of(wishes.security.listens.as_ref());
    let at = slice::from_ref(at);
    let sender = match at[0].scheme() {
        Scheme::Udp => {
            let config = match wishes.group {
                Some(group) => config.group(group),
                None => config,
            };
            Sender::listen(at, config, pictures.clone()).await?
        }
        _ => Sender::open(at, config, pictures.clone()).await?,
    };
    let address = shown(sender.address());
    let event = Object::new("listening").text("address", &address);
    say::result(&event, format_args!("listening on {address}"));
    if wishes.security.listens.is_none() {
        say_plain(at[0].scheme());
    }
    Ok(sender)
}

/// Connects to a viewer, which must be there now; and from then on whenever that is lost.
async fn push(
    to: &Address,
    config: SenderConfig,
    pictures: &Subscriber<Picture>,
) -> anyhow::Result<Sender> {
    let authenticated = Sender::authenticate(to, &config).await;
    if let Some(peer) = authenticated.map_err(|error| cannot_dial(to, PUSHED, error))? {
        say_peer(&peer, &to.to_string());
    }
    Ok(Sender::push(to, config, pictures.clone())?)
}

/// Rejects a destination that no picture would reach.
pub(crate) fn check_destination(
    to: &Address,
    interface: Option<&InterfaceSelector>,
) -> anyhow::Result<()> {
    if let Some(group) = to.group()
        && interface.is_none()
        && let Err(error) = interfaces::source_for(group)
    {
        bail!("no route leads to the group {to} ({error}); name the interface with --interface");
    }
    let Host::V4(ip) = to.host() else {
        return Ok(());
    };
    let own = interfaces::list().unwrap_or_default();
    let mut own = own.iter().flat_map(|interface| &interface.addresses);
    if ip.is_broadcast() || own.any(|address| address.broadcast == Some(*ip)) {
        bail!(
            "{to} is a broadcast address; to reach many viewers send to a group, such as \
             {}://239.255.0.1:{}",
            to.scheme().as_str(),
            to.port()
        );
    }
    Ok(())
}

fn one_line(sender: &Sender) -> String {
    if let Some(line) = watchers::one_line(sender) {
        return line;
    }
    let stats = sender.stats();
    let (pictures, bytes) = (stats.sent, HumanBytes(stats.bytes));
    format!(
        "{pictures} pictures, {bytes}; {} skipped, {} failed",
        stats.skipped, stats.failed
    )
}

/// A picture takes milliseconds; a viewer that does not read is not waited for.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
