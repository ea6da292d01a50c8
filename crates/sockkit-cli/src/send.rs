//! `sockkit send`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use sockkit::file::{Manifest, Outgoing, SendConfig, SendError, Source, escape_name, greet};
use tokio::task::spawn_blocking;

use crate::{
    link::{self, Goodbye, Link, Listener, Local, Remote},
    prompt::{self, Request},
    transfer::{self, Bar},
};

/// Send files and folders to a `sockkit receive`
///
/// Every block is verified. A transfer that was interrupted goes on where it
/// stopped. Links inside folders are not followed. Prints the BLAKE3 digest of
/// each file that arrived, as b3sum does. With --listen it shows which receiver has
/// connected and asks before it tells or gives it anything.
///
/// HOST:PORT is TCP. quic://HOST:PORT is for links that lose packets, such as
/// crowded Wi-Fi: it is over UDP, does not take a lost packet for a full link, and
/// encrypts. Both sides must use the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the receiver listens
    #[arg(long, value_name = "[quic://]HOST:PORT", default_value = transfer::DEFAULT_ADDRESS)]
    to: Remote,
    /// Wait here for a receiver that dials, instead
    #[arg(long, value_name = "[quic://]ADDR:PORT", conflicts_with = "to")]
    listen: Option<Local>,
    /// With --listen: give without asking; needed where there is no terminal to ask on
    #[arg(short, long, requires = "listen")]
    yes: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(async |goodbye| send_to(args, goodbye).await).await
}

async fn send_to(args: Args, goodbye: &Goodbye) -> anyhow::Result<()> {
    let Args {
        paths,
        to,
        listen,
        yes,
    } = args;
    let source = spawn_blocking(move || Source::gather(&paths))
        .await
        .context("listing the files was stopped")??;
    for skipped in source.skipped() {
        // Whoever made the name may mean the terminal.
        let path = escape_name(&skipped.path.to_string_lossy());
        eprintln!("skipping {path}: {}", skipped.reason);
    }
    let manifest = source.manifest();
    if manifest.entries.is_empty() {
        bail!("nothing is left to send");
    }
    if listen.is_some() {
        prompt::can_ask(yes)?;
    }
    eprintln!("offering {}", transfer::count(manifest));
    let config = SendConfig::default().name(transfer::own_name());
    let outgoing = match listen {
        None => {
            let link = link::dial(&to).await?;
            goodbye.remember(&link);
            greet(link, manifest.clone(), &config)
                .await
                .map_err(explain)?
        }
        Some(place) => wait_for_receiver(place, manifest, &config, yes, goodbye).await?,
    };
    let (bar, on_progress) = Bar::new(manifest);
    let sent = outgoing.on_progress(on_progress).offer(source).await;
    let elapsed = bar.finish();
    let sent = sent.map_err(explain)?;
    transfer::summarise(&sent, elapsed, "sent")
}

/// The first receiver that the user says yes to.
async fn wait_for_receiver(
    place: Local,
    manifest: &Manifest,
    config: &SendConfig,
    yes: bool,
    goodbye: &Goodbye,
) -> anyhow::Result<Outgoing<Link>> {
    let listener = Listener::bind(place).await?;
    loop {
        let (link, peer) = listener.accept().await?;
        goodbye.remember(&link);
        let outgoing = greet(link, manifest.clone(), config).await;
        // A peer that leaves, or is no receiver, must not end the wait for one.
        match consent(outgoing, &peer.to_string(), manifest, yes).await {
            Ok(Some(outgoing)) => return Ok(outgoing),
            Ok(None) => eprintln!("{peer}: declined; waiting for another receiver"),
            Err(error) => eprintln!("{peer}: {error:#}"),
        }
    }
}

/// Shows who asks, and asks; `None` is a no.
async fn consent(
    outgoing: Result<Outgoing<Link>, SendError>,
    address: &str,
    manifest: &Manifest,
    yes: bool,
) -> anyhow::Result<Option<Outgoing<Link>>> {
    let mut outgoing = outgoing?;
    let peer = outgoing.peer();
    let question = Request {
        address,
        peer,
        manifest,
    }
    .show();
    if yes || outgoing.hold(question.ask()).await?? {
        return Ok(Some(outgoing));
    }
    outgoing.decline().await;
    Ok(None)
}

fn explain(error: SendError) -> anyhow::Error {
    match error {
        SendError::Link(_) => transfer::interrupted(error),
        error => error.into(),
    }
}
