//! Players that `cam` sends to, or waits for, by RTP and RTSP: in the clear.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use indicatif::{HumanBytes, ProgressBar};
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    link::{Address, Scheme},
    picture::Picture,
    rtp::sdp::Description,
    sink::rtp::{CompressedAgain, RtpConfig, RtpSender, RtpStats, RtspServer},
};
use tokio::{fs, time::timeout};

use crate::{
    address::shown,
    incoming::is_own,
    json::Object,
    outgoing::check_destination,
    say::{self, note, say},
    secure::reachable,
};

/// Settings besides the addresses.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) quality: u8,
    pub(crate) interface: Option<&'a InterfaceSelector>,
    pub(crate) per_host: Option<u8>,
    /// Where the description is written.
    pub(crate) sdp: Option<&'a Path>,
}

/// What is sent to players, and the servers that they connect to.
#[derive(Default)]
pub(crate) struct Players {
    sender: Option<(Address, RtpSender)>,
    servers: Vec<RtspServer>,
    /// Whether the user was told why pictures are compressed again.
    is_told: bool,
}

impl Players {
    /// Opens all of them, which [`check`] accepts, and prints their addresses.
    pub(crate) async fn open(
        addresses: &[Address],
        settings: Settings<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<Self> {
        let mut players = Self::default();
        for address in addresses {
            match address.scheme() {
                Scheme::Rtsp => players.listen(address, settings, pictures).await?,
                _ => players.send(address, settings, pictures).await?,
            }
        }
        if let (Some(path), Some(description)) = (settings.sdp, players.description()) {
            let written = fs::write(path, description.to_string()).await;
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(players)
    }

    async fn send(
        &mut self,
        to: &Address,
        settings: Settings<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<()> {
        let mut config = RtpConfig::default().jpeg_quality(settings.quality);
        if let Some(interface) = settings.interface {
            config = config.interface(interface.clone());
        }
        let sender = RtpSender::open(to, config, pictures.clone()).await?;
        self.sender = Some((to.clone(), sender));
        Ok(())
    }

    async fn listen(
        &mut self,
        at: &Address,
        settings: Settings<'_>,
        pictures: &Subscriber<Picture>,
    ) -> anyhow::Result<()> {
        let mut config = RtpConfig::default().jpeg_quality(settings.quality);
        if let Some(players) = settings.per_host {
            config = config.max_players_per_host(players.into());
        }
        let server = RtspServer::bind(at, config, pictures.clone()).await;
        let server = server.with_context(|| {
            format!(
                "cannot listen for players at {at} (--listen rtsp://:PORT listens at another port)"
            )
        })?;
        let address = shown(server.address());
        let event = Object::new("listening").text("address", &address);
        say::result(&event, format_args!("listening on {address}"));
        say!("there     ffplay {}", reachable(server.address()));
        self.servers.push(server);
        Ok(())
    }

    /// Describes what is sent.
    pub(crate) fn description(&self) -> Option<&Description> {
        self.sender.as_ref().map(|(_, sender)| sender.description())
    }

    /// Prints where pictures go, what a user types there, and that it is in the clear.
    pub(crate) fn say(&self, source: &str, page: Option<&str>, sdp: Option<&Path>) {
        if let Some((to, _)) = &self.sender {
            say!("sending {source} to {to}");
        }
        if let Some(description) = self.description() {
            match (page, sdp) {
                (Some(page), _) => say!("there     ffplay {page}stream.sdp"),
                (None, Some(path)) => say!(
                    "there     ffplay -protocol_whitelist file,udp,rtp {}",
                    path.display()
                ),
                (None, None) => {
                    let text = description.to_string();
                    let event = Object::new("sdp").text("text", &text);
                    say::result(&event, format_args!("{}", text.trim_end()));
                    note!(
                        "note: a player needs these lines: --sdp FILE writes them, and --web \
                         serves them"
                    );
                }
            }
        }
        if !self.is_empty() {
            note!(
                "note: what goes to players is not encrypted: every host on this network can \
                 watch, and forge the pictures"
            );
        }
    }

    fn is_empty(&self) -> bool {
        self.sender.is_none() && self.servers.is_empty()
    }

    fn stats(&self) -> impl Iterator<Item = (String, RtpStats)> {
        let sender = self.sender.iter();
        let sender = sender.map(|(to, sender)| (to.to_string(), sender.stats()));
        let servers = self.servers.iter();
        sender.chain(servers.map(|server| (shown(server.address()), server.stats())))
    }

    /// Tells once, if so, why pictures do not pass unchanged.
    pub(crate) fn tell(&mut self, progress: &ProgressBar) {
        if self.is_told {
            return;
        }
        let why: Option<CompressedAgain> =
            self.stats().find_map(|(_, stats)| stats.compressed_again);
        if let Some(why) = why {
            self.is_told = true;
            progress.suspend(|| note!("note: compressed again for players: {why}"));
        }
    }

    /// Statistics, one line for each.
    pub(crate) fn sent(&self) -> Vec<String> {
        let line = |(address, stats): (String, RtpStats)| {
            let (pictures, bytes) = (stats.sent, HumanBytes(stats.bytes));
            format!(
                "{pictures} pictures, {bytes}, to players at {address}; {} skipped, {} failed",
                stats.skipped, stats.failed
            )
        };
        self.stats().map(line).collect()
    }

    /// Waits, after the publisher is gone, until the last picture is sent, and prints what
    /// was sent. It is an error if nothing was.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.finished().await;
        for ((address, stats), sent) in self.stats().zip(self.sent()) {
            let event = Object::new("sent_pictures")
                .text("address", address)
                .number("pictures", stats.sent)
                .number("bytes", stats.bytes)
                .number("skipped", stats.skipped)
                .number("failed", stats.failed);
            say::result(&event, format_args!("sent    {sent}"));
        }
        let reached = self.check_sent();
        self.shutdown().await;
        reached
    }

    fn check_sent(&self) -> anyhow::Result<()> {
        if self.is_empty() || self.stats().any(|(_, stats)| stats.sent > 0) {
            return Ok(());
        }
        let all: Vec<_> = self.stats().map(|(address, _)| address).collect();
        bail!(
            "nothing was sent to players at {}: no player has connected, or the network refused \
             what was sent",
            all.join(", ")
        )
    }

    async fn finished(&self) {
        if let Some((_, sender)) = &self.sender {
            let _ = timeout(FINISH_WITHIN, sender.finished()).await;
        }
    }

    async fn shutdown(self) {
        if let Some((_, sender)) = self.sender {
            sender.shutdown().await;
        }
        for server in self.servers {
            server.shutdown().await;
        }
    }
}

/// Rejects addresses of players that no player would see, before anything is opened.
pub(crate) fn check(addresses: &[Address], settings: Settings<'_>) -> anyhow::Result<()> {
    let is_sent_to = |address: &&Address| address.scheme() == Scheme::Rtp;
    let (sent_to, listened_at): (Vec<_>, Vec<_>) = addresses.iter().partition(is_sent_to);
    if let Some(at) = listened_at.iter().find(|at| !is_own(at)) {
        bail!(
            "{at} is not an address of this machine, where players would connect: --listen \
             rtsp://:{} listens at all of them, and --to rtp://{} sends there",
            at.port(),
            at.host()
        );
    }
    match sent_to[..] {
        [] if settings.sdp.is_some() => bail!(
            "--sdp describes what goes to rtp://, and no --to address is one: add --to \
             rtp://HOST, or leave out --sdp, which players that connect to rtsp:// do not need"
        ),
        [] => Ok(()),
        [to] => check_sent_to(to, settings),
        [one, other, ..] => bail!(
            "{one} and {other} would share one description, which names one address: send to a \
             group, such as --to rtp://239.255.0.1, or let players connect with --listen rtsp://"
        ),
    }
}

fn check_sent_to(to: &Address, settings: Settings<'_>) -> anyhow::Result<()> {
    if to.port() == 0 || to.port() == u16::MAX {
        bail!("{to} needs a port from 1 to 65534: reports go to the one after it");
    }
    check_destination(to, settings.interface)
}

/// A picture takes milliseconds.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
