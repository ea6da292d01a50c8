//! `sockkit send`.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use sockkit::file::{SendConfig, SendError, Source, send};
use tokio::task::spawn_blocking;

use crate::transfer::{self, Bar};

/// Send files and folders to a `sockkit receive`
///
/// Every block is verified. A transfer that was interrupted goes on where it
/// stopped. Links inside folders are not followed. Prints the BLAKE3 digest of
/// each file that arrived, as b3sum does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the receiver listens
    #[arg(long, value_name = "HOST:PORT", default_value = transfer::DEFAULT_ADDRESS)]
    to: String,
    /// Wait here for a receiver that dials, instead
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "to")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(send_to(args)).await
}

async fn send_to(args: Args) -> anyhow::Result<()> {
    let Args { paths, to, listen } = args;
    let source = spawn_blocking(move || Source::gather(&paths))
        .await
        .context("listing the files was stopped")??;
    for skipped in source.skipped() {
        eprintln!("skipping {}: {}", skipped.path.display(), skipped.reason);
    }
    let manifest = source.manifest();
    eprintln!("offering {}", transfer::count(manifest));
    transfer::say_in_the_clear();
    let stream = match listen {
        None => transfer::dial(&to).await?,
        Some(address) => {
            let listener = transfer::listen(address).await?;
            let (stream, peer) = transfer::accept(&listener).await?;
            eprintln!("{peer} connected");
            stream
        }
    };
    let (bar, on_progress) = Bar::new(manifest);
    let config = SendConfig::default()
        .name(transfer::own_name())
        .on_progress(on_progress);
    let sent = send(stream, source, &config).await;
    let elapsed = bar.finish();
    let sent = sent.map_err(|error| match error {
        SendError::Link(_) => anyhow::Error::new(error).context(transfer::GO_ON),
        error => error.into(),
    })?;
    transfer::summarise(&sent, elapsed, "sent")
}
