//! Takes files from a browser.

mod offer;
mod routes;
mod transfer;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use sockkit_core::server::ConnectionLimiter;
use tokio::sync::Notify;

use self::offer::Upload;
pub use self::offer::UploadOffer;
use super::SecretPath;
use crate::ReceiveConfig;

/// A page to upload files with. Each choice of files is an offer, which a user accepts or
/// declines here.
///
/// A file is sent in slices of 4 MiB, each with a digest of the file up to there. After a
/// reload, or a cut, it continues at the last slice that arrived.
#[derive(Debug)]
pub struct UploadPage {
    shared: Arc<Shared>,
}

impl UploadPage {
    /// Takes offers at a new secret path. Of `config` it uses the name, the limits, the
    /// rules for names and existing files, the stall timeout and the callback.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn new(config: ReceiveConfig) -> io::Result<Self> {
        let shared = Shared {
            secret: Arc::new(SecretPath::random()?),
            config,
            arrived: Notify::new(),
            uploads: Mutex::default(),
            arriving: Arc::new(ConnectionLimiter::shared(MAX_ARRIVING)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The path of the page. Only those who know it get a response.
    pub fn path(&self) -> &SecretPath {
        &self.shared.secret
    }

    /// The routes, to be nested or merged.
    pub fn router(&self) -> Router {
        routes::router(&self.shared)
    }

    /// Waits for the next offer. Browsers that have gone meanwhile are passed over until
    /// they are back.
    ///
    /// # Cancel safety
    /// Cancel safe: no offer is lost.
    pub async fn next(&mut self) -> UploadOffer {
        loop {
            if let Some(upload) = self.shared.arrival() {
                return UploadOffer::new(upload, Arc::clone(&self.shared));
            }
            self.shared.arrived.notified().await;
        }
    }
}

#[derive(Debug)]
struct Shared {
    secret: Arc<SecretPath>,
    config: ReceiveConfig,
    /// An offer has come, or its browser is back.
    arrived: Notify,
    uploads: Mutex<Vec<Arc<Upload>>>,
    /// Bounds the memory for offers on their way.
    arriving: Arc<ConnectionLimiter>,
}

impl Shared {
    fn uploads(&self) -> MutexGuard<'_, Vec<Arc<Upload>>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Option<Arc<Upload>> {
        let uploads = self.uploads();
        let upload = uploads.iter().find(|upload| upload.has_id(id))?;
        Some(Arc::clone(upload))
    }

    /// The offer that a user here decides about next.
    fn arrival(&self) -> Option<Arc<Upload>> {
        let uploads = self.uploads();
        let upload = uploads.iter().find(|upload| upload.show())?;
        Some(Arc::clone(upload))
    }

    /// The offer's browser has sent a request.
    fn heard(&self, upload: &Upload) {
        upload.heard();
        if upload.is_waiting() {
            self.arrived.notify_one();
        }
    }

    /// Whether other browsers wait for an answer.
    fn others_wait(&self) -> bool {
        let uploads = self.uploads();
        uploads
            .iter()
            .any(|upload| upload.is_waiting() && !upload.is_gone())
    }

    /// Whether the files of another browser come before those of this one.
    fn is_behind(&self, upload: &Arc<Upload>) -> bool {
        let comes = |other: &Upload| !other.is_over() && (!other.is_waiting() || !other.is_gone());
        let uploads = self.uploads();
        let mut earlier = uploads
            .iter()
            .take_while(|other| !Arc::ptr_eq(other, upload));
        upload.is_waiting() && earlier.any(|other| comes(other))
    }

    /// Puts an offer into the queue; `None` if that is full, or holds enough of its host.
    fn add(&self, upload: Upload) -> Option<Arc<Upload>> {
        let mut uploads = self.uploads();
        let of_host = uploads
            .iter()
            .filter(|other| !other.is_over() && other.host() == upload.host());
        if upload.host().is_some() && of_host.count() >= MAX_UPLOADS_OF_HOST {
            return None;
        }
        if uploads.len() >= MAX_UPLOADS {
            let over = uploads.iter().position(|upload| upload.is_over())?;
            uploads.remove(over);
        }
        let upload = Arc::new(upload);
        uploads.push(Arc::clone(&upload));
        self.arrived.notify_one();
        Some(upload)
    }
}

/// Offers that wait, that are being received, and the results of the last ones.
const MAX_UPLOADS: usize = 16;

/// Each holds up to 16 MiB; a quarter of them may be of one host.
const MAX_ARRIVING: usize = 8;

/// Those of them that have not ended.
const MAX_UPLOADS_OF_HOST: usize = 4;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::{Entry, Manifest};

    #[tokio::test(start_paused = true)]
    async fn an_offer_is_shown_once_and_after_its_browser_was_away() {
        let mut page = UploadPage::new(ReceiveConfig::default()).unwrap();
        let manifest = Manifest::new(vec![Entry::file("film.mkv", 1)]);
        let upload = Upload::new(manifest, None, &page.shared).unwrap();
        let upload = page.shared.add(upload).unwrap();
        advance(Duration::from_secs(60)).await;
        assert!(page.shared.arrival().is_none());
        page.shared.heard(&upload);
        let offer = page.next().await;
        assert!(page.shared.arrival().is_none());
        drop(offer);
        assert!(page.shared.arrival().is_none());
    }
}
