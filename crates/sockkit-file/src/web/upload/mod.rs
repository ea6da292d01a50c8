//! Takes files from a browser.

mod offer;
mod routes;
mod transfer;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use tokio::sync::mpsc;

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
    arrivals: mpsc::Receiver<Arc<Upload>>,
}

impl UploadPage {
    /// Takes offers at a new secret path. Of `config` it uses the name, the limits, the
    /// rules for names and existing files, the stall timeout and the callback.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn new(config: ReceiveConfig) -> io::Result<Self> {
        let (arrived, arrivals) = mpsc::channel(MAX_UPLOADS);
        let shared = Shared {
            secret: Arc::new(SecretPath::random()?),
            config,
            arrived,
            uploads: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            arrivals,
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

    /// Waits for the next offer. Browsers that have gone meanwhile are passed over.
    ///
    /// # Panics
    /// Never: the routes hold the other end.
    ///
    /// # Cancel safety
    /// Cancel safe: no offer is lost.
    pub async fn next(&mut self) -> UploadOffer {
        loop {
            let upload = self.arrivals.recv().await;
            let upload = upload.expect("this holds a sender");
            if !upload.is_gone() {
                return UploadOffer::new(upload, Arc::clone(&self.shared));
            }
        }
    }
}

#[derive(Debug)]
struct Shared {
    secret: Arc<SecretPath>,
    config: ReceiveConfig,
    arrived: mpsc::Sender<Arc<Upload>>,
    uploads: Mutex<Vec<Arc<Upload>>>,
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

    /// Whether other browsers wait for an answer.
    fn others_wait(&self) -> bool {
        let uploads = self.uploads();
        uploads
            .iter()
            .any(|upload| upload.is_waiting() && !upload.is_gone())
    }

    /// Puts an offer into the queue; `None` if that is full.
    fn add(&self, upload: Upload) -> Option<Arc<Upload>> {
        let mut uploads = self.uploads();
        if uploads.len() >= MAX_UPLOADS {
            let over = uploads.iter().position(|upload| upload.is_over())?;
            uploads.remove(over);
        }
        let upload = Arc::new(upload);
        self.arrived.try_send(Arc::clone(&upload)).ok()?;
        uploads.push(Arc::clone(&upload));
        Some(upload)
    }
}

/// Offers that wait, that are being received, and the results of the last ones.
const MAX_UPLOADS: usize = 16;
