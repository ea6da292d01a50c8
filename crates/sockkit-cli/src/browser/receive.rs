//! `sockkit receive --web`.

use std::path::Path;

use anyhow::bail;
use sockkit::file::{
    Destination, ReceiveConfig,
    web::{UploadOffer, UploadPage, WebHandler},
};
use tokio::time::timeout;

use super::Page;
use crate::{
    json::Object,
    prompt::OfferView,
    say::{self, tell},
    skipped::Skipped,
    transfer::{self, Bar},
};

/// Where files go, and whether to ask.
pub(crate) struct Wishes<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) into: &'a Path,
    pub(crate) yes: bool,
    pub(crate) keep_listening: bool,
}

/// Receives what a browser uploads: one offer, or every one.
pub(crate) async fn receive(
    config: ReceiveConfig,
    page: &Page,
    wishes: &Wishes<'_>,
) -> anyhow::Result<()> {
    let mut uploads = UploadPage::new(config.stall_timeout(STALL_TIMEOUT))?;
    let handler = WebHandler::new(uploads.router());
    let server = page.serve(handler, uploads.path()).await?;
    let ended = loop {
        let offer = uploads.next().await;
        let whom = match offer.peer() {
            Some(address) => format!("a browser at {}", address.ip().to_canonical()),
            None => "a browser".to_owned(),
        };
        match receive_one(offer, &whom, wishes).await {
            Ok(Ended::Left) => {}
            ended if !wishes.keep_listening || say::has_lost_reader() => break ended.map(|_| ()),
            Ok(Ended::Received) => {}
            Err(error) => {
                let message = format!("{whom}: {error:#}");
                tell!("{message}");
                say::only_json(|| Object::new("error").text("message", message));
            }
        }
    };
    // The page learns how it ended; other pages may wait longer.
    let _ = timeout(TOLD_WITHIN, server.shutdown()).await;
    ended
}

/// Result of one offer.
enum Ended {
    Received,
    /// The page was closed before the answer.
    Left,
}

async fn receive_one(
    mut offer: UploadOffer,
    whom: &str,
    wishes: &Wishes<'_>,
) -> anyhow::Result<Ended> {
    let planned = tokio::task::block_in_place(|| offer.plan(wishes.destination));
    let question = OfferView {
        address: whom,
        peer: "",
        manifest: offer.manifest(),
        planned: &planned,
        keep_executable: false,
        into: wishes.into,
    }
    .show();
    if !wishes.yes {
        match offer.hold(question.ask()).await {
            Some(answer) => {
                if !answer? {
                    offer.decline();
                    bail!("declined");
                }
            }
            None => {
                tell!("\n{whom} has closed the page; its offer is dropped");
                return Ok(Ended::Left);
            }
        }
    }
    let (bar, on_progress) = Bar::new(offer.manifest());
    let received = offer
        .on_progress(on_progress)
        .accept(wishes.destination)
        .await;
    let elapsed = bar.finish();
    let resume = elapsed.map(|_moved| "to resume, upload the same files again".to_owned());
    let received = received.map_err(|error| transfer::interrupted(error, resume))?;
    let skipped = Skipped::told(&received);
    transfer::summarise(&received, &skipped, elapsed.unwrap_or_default(), "received")?;
    Ok(Ended::Received)
}

const TOLD_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// A laptop's lid may be closed overnight.
const STALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(12 * 3_600);
