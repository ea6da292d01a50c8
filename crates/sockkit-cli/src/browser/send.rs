//! `sockkit send --web`.

use sockkit::file::{
    FileSet, SendConfig,
    web::{DownloadPage, WebHandler},
};

use super::Page;
use crate::{
    skipped::Skipped,
    transfer::{self, Bar},
};

/// Serves the files until each was downloaded completely.
pub(crate) async fn send(files: FileSet, page: &Page) -> anyhow::Result<()> {
    let (bar, on_progress) = Bar::new(files.manifest());
    let skipped = Skipped::of(&files);
    let config = SendConfig::default()
        .name(transfer::own_name())
        .on_progress(on_progress);
    let downloads = DownloadPage::new(files, &config)?;
    let handler = WebHandler::new(downloads.router());
    let server = page.serve(handler, downloads.path()).await?;
    let summary = downloads.finished().await;
    let elapsed = bar.finish();
    server.shutdown().await;
    transfer::summarise(&summary, &skipped, elapsed.unwrap_or_default(), "sent")
}
