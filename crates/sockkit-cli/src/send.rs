//! `sockkit send`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use sockkit::file::{SendConfig, SendError, Source, escape_name, send};
use tokio::task::spawn_blocking;

use crate::{
    link::{self, Goodbye, Listener, Local, Remote},
    transfer::{self, Bar},
};

/// Send files and folders to a `sockkit receive`
///
/// Every block is verified. A transfer that was interrupted goes on where it
/// stopped. Links inside folders are not followed. Prints the BLAKE3 digest of
/// each file that arrived, as b3sum does.
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
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(async |goodbye| send_to(args, goodbye).await).await
}

async fn send_to(args: Args, goodbye: &Goodbye) -> anyhow::Result<()> {
    let Args { paths, to, listen } = args;
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
    eprintln!("offering {}", transfer::count(manifest));
    let link = match listen {
        None => link::dial(&to).await?,
        Some(place) => {
            let (link, peer) = Listener::bind(place).await?.accept().await?;
            eprintln!("{peer} connected");
            link
        }
    };
    goodbye.remember(&link);
    let (bar, on_progress) = Bar::new(manifest);
    let config = SendConfig::default()
        .name(transfer::own_name())
        .on_progress(on_progress);
    let sent = send(link, source, &config).await;
    let elapsed = bar.finish();
    let sent = sent.map_err(|error| match error {
        SendError::Link(_) => transfer::interrupted(error),
        error => error.into(),
    })?;
    transfer::summarise(&sent, elapsed, "sent")
}
