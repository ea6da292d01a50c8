//! All destinations of `cam`.

use std::time::Duration;

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
    stream::{Report, Sender, SenderConfig},
};
use tokio::time::timeout;

use crate::{
    address::{is_sent_to, shown},
    cam::VIEWERS,
    find::{self, Announced},
    incoming::is_own,
    json::Object,
    link::say_plain,
    routed, say,
    secure::{self, Secure, Shown},
};

/// Settings besides the addresses.
pub(crate) struct Wishes<'a> {
    /// `None` follows what receivers report.
    pub(crate) parity: Option<Parity>,
    pub(crate) interface: Option<&'a InterfaceSelector>,
    pub(crate) viewers_per_host: Option<u8>,
    pub(crate) key: Option<Key>,
    pub(crate) routers: &'a routed::Options,
    /// Whether a listener is announced on the network.
    pub(crate) is_announced: bool,
    /// Identities on connections.
    pub(crate) secure: Option<Secure>,
}

impl Wishes<'_> {
    /// Rejects settings that would have no effect.
    fn check(&self, to: &[Address], at: &[Address]) -> anyhow::Result<()> {
        if self.key.is_some() && to.is_empty() {
            bail!("--key seals what goes to udp:// and zenoh://, and no --to address is one");
        }
        if self.interface.is_some() && !to.iter().any(|to| to.group().is_some()) {
            bail!("--interface is for groups, and no --to address is one");
        }
        if self.parity.is_some() && !to.iter().any(|to| to.scheme() == Scheme::Udp) {
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
        if let Some(key) = &self.key {
            config = config.sealed(key.clone());
        }
        if let Some(viewers) = self.viewers_per_host {
            config = config.max_viewers_per_host(viewers.into());
        }
        match &self.secure {
            Some(secure) => {
                let (identity, trust) = secure.parts();
                config.authenticate(identity, trust)
            }
            None => config,
        }
    }
}

/// One socket for all datagrams, and a listener for each other address.
pub(crate) struct Outgoing {
    senders: Vec<Sender>,
    announced: Option<Announced>,
    /// The code that viewers pair by.
    code: Option<Shown>,
}

impl Outgoing {
    /// Binds all of them, and prints their addresses.
    pub(crate) async fn bind(
        addresses: &[Address],
        wishes: Wishes<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<Self> {
        let (to, at): (Vec<_>, Vec<_>) = addresses.iter().cloned().partition(is_sent_to);
        wishes.check(&to, &at)?;
        let by_datagrams = |to: &Address| to.scheme() == Scheme::Udp;
        let (to, routed): (Vec<_>, Vec<_>) = to.into_iter().partition(by_datagrams);
        for to in &to {
            check_destination(to, wishes.interface)?;
        }
        if let Some(at) = at.iter().find(|at| !is_own(at)) {
            let port = at.port();
            bail!(
                "{at} is not an address of this machine, where viewers would connect: \
                 --listen :{port} listens at all of them, and udp://{}:{port} sends there",
                at.host()
            );
        }
        let plain = (wishes.key.is_none() && wishes.secure.is_none())
            .then(|| addresses.first().map(Address::scheme))
            .flatten();
        let mut senders = Vec::new();
        if !to.is_empty() {
            senders.push(Sender::open(&to, wishes.config(), pictures.clone()).await?);
        }
        for to in routed {
            let channel = routed::publish(&to, wishes.key.clone(), wishes.routers).await?;
            senders.push(Sender::new(channel, wishes.config(), pictures.clone()));
        }
        for at in at {
            let sender = Sender::open(&[at], wishes.config(), pictures.clone()).await?;
            let address = shown(sender.address());
            let event = Object::new("listening").text("address", &address);
            say::result(&event, format_args!("listening on {address}"));
            senders.push(sender);
        }
        let mut outgoing = Self {
            senders,
            announced: None,
            code: None,
        };
        if let Some(scheme) = plain {
            say_plain(scheme);
        }
        outgoing.announce(wishes.is_announced, wishes.secure);
        Ok(outgoing)
    }

    /// Announces the listener, and prints what viewers type.
    fn announce(&mut self, is_announced: bool, secure: Option<Secure>) {
        let Some(at) = self.listening().cloned() else {
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

    /// Where viewers connect, if they do.
    pub(crate) fn listening(&self) -> Option<&Address> {
        let addresses = self.senders.iter().map(Sender::address);
        addresses.into_iter().find(|at| !is_sent_to(at))
    }

    /// Statistics, one line for each sender.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.senders.iter().map(one_line).collect()
    }

    /// Whether any picture has been sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.senders.iter().any(|sender| sender.stats().sent > 0)
    }

    /// The latest reports of all viewers.
    pub(crate) fn reports(&self) -> Vec<(std::net::SocketAddr, Report)> {
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

/// Rejects a destination that no picture would reach.
fn check_destination(to: &Address, interface: Option<&InterfaceSelector>) -> anyhow::Result<()> {
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
             udp://239.255.0.1:{}",
            to.port()
        );
    }
    Ok(())
}

fn one_line(sender: &Sender) -> String {
    let stats = sender.stats();
    let (pictures, bytes) = (stats.sent, HumanBytes(stats.bytes));
    if is_sent_to(sender.address()) {
        return format!(
            "{pictures} pictures, {bytes}; {} skipped, {} failed",
            stats.skipped, stats.failed
        );
    }
    format!(
        "{pictures} pictures, {bytes}, to {} viewers ({} now); {} skipped",
        stats.connected, stats.viewers, stats.skipped
    )
}

/// A picture takes milliseconds; a viewer that does not read is not waited for.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
