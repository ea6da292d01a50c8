//! In a build with zenoh.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use sockkit::link::{
    Address,
    channel::{Channel, Limits},
    sealing::Key,
    zenoh::Session,
};
use tokio::time::{Instant, interval, sleep};

use crate::say::note;

/// Options of `cam` and `view`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// zenoh's own configuration (JSON5) for zenoh:// addresses; zenoh:///NAME takes the
    /// routers from there, too
    #[arg(long, value_name = "FILE")]
    zenoh_config: Option<PathBuf>,
}

impl Options {
    async fn connect(&self, router: &Address) -> anyhow::Result<Session> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let json5 = self.zenoh_config.as_ref().map(read).transpose()?;
        let session = Session::open(router, json5.as_deref()).await;
        let session = session.context(
            "zenohd is the router: `cargo install zenohd`; zenoh://HOST[:PORT]/NAME names its host",
        )?;
        tokio::spawn(tell_of(session.clone()));
        Ok(session)
    }
}

/// Publishes at a router, for as long as the channel lives.
pub(crate) async fn publish(
    to: &Address,
    key: Option<Key>,
    options: &Options,
) -> anyhow::Result<Channel> {
    let session = options.connect(to).await?;
    let limits = Limits::default().max_receive_bytes(MAX_REPORT_BYTES);
    let channel = Channel::publisher(&session, to, key, &limits).await;
    channel.context("a camera's address is zenoh://HOST[:PORT]/NAME")
}

/// Subscribes to one camera, which may start later, or to all that are there and match.
pub(crate) async fn subscribe(
    at: &Address,
    key: Option<Key>,
    options: &Options,
) -> anyhow::Result<Vec<Channel>> {
    let session = options.connect(at).await?;
    let mut channels = Vec::new();
    for at in cameras(&session, at).await? {
        let limits = Limits::default();
        channels.push(Channel::subscriber(&session, &at, key.clone(), &limits).await?);
    }
    Ok(channels)
}

async fn cameras(session: &Session, at: &Address) -> anyhow::Result<Vec<Address>> {
    let path = at.path();
    if !path.is_empty() && !path.is_pattern() {
        return Ok(vec![at.clone()]);
    }
    let until = Instant::now() + WAIT_FOR_CAMERAS;
    loop {
        let found = session.publishers(path).await?;
        if !found.is_empty() {
            ensure!(
                found.len() <= MAX_CAMERAS,
                "{} cameras are there, and a page shows {MAX_CAMERAS}: name some of them",
                found.len()
            );
            return Ok(found.into_iter().map(|path| at.at(path)).collect());
        }
        ensure!(
            Instant::now() < until,
            "no camera at {at}: does `sockkit cam --to {}` run?",
            at.at("NAME".parse()?)
        );
        sleep(ASK_AGAIN_AFTER).await;
    }
}

/// Prints when the router is lost, and when there is one again.
async fn tell_of(session: Session) {
    let mut seconds = interval(Duration::from_secs(1));
    let mut was_connected = true;
    loop {
        seconds.tick().await;
        let is_connected = session.is_connected().await;
        match (was_connected, is_connected) {
            (true, false) => note!("no router of zenoh is connected; retrying"),
            (false, true) => note!("a router of zenoh is connected again"),
            _ => {}
        }
        was_connected = is_connected;
    }
}

/// As in other reports of viewers.
const MAX_REPORT_BYTES: usize = 1_024;

/// A page with more would need several cores to draw.
const MAX_CAMERAS: usize = 64;

const WAIT_FOR_CAMERAS: Duration = Duration::from_secs(5);

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
