//! One offer: what the browser sees of it, and what the user here decides.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sockkit_core::server::host;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::{Shared, transfer::Transfer};
use crate::{
    Destination, Manifest, OnProgress, Planned, ReceiveError, RefuseReason, Summary,
    TransferIoError,
    session::{Reviewed, review},
    store::Planner,
    web::SecretPath,
};

/// An offer from a browser that waits for a decision. Dropped, it is declined.
#[derive(Debug)]
#[must_use = "the browser waits for an answer"]
pub struct UploadOffer {
    upload: Arc<Upload>,
    shared: Arc<Shared>,
    on_progress: Option<OnProgress>,
}

impl UploadOffer {
    pub(super) fn new(upload: Arc<Upload>, shared: Arc<Shared>) -> Self {
        Self {
            upload,
            shared,
            on_progress: None,
        }
    }

    /// The browser's address, if the server passes it on.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.upload.peer
    }

    /// The manifest, as announced by the browser.
    pub fn manifest(&self) -> &Manifest {
        &self.upload.manifest
    }

    /// Result of checking each entry against the naming rules.
    pub fn reviewed(&self) -> &[Reviewed] {
        &self.upload.reviewed
    }

    /// Returns what [`accept`](Self::accept) would do with each entry; see
    /// [`Offer::plan`](crate::Offer::plan).
    pub fn plan(&self, destination: &Destination) -> Vec<Planned> {
        let mut planner = Planner::new(destination, self.shared.config.on_conflict);
        let entries = self.upload.manifest.entries.iter();
        entries
            .zip(&self.upload.reviewed)
            .map(|(entry, reviewed)| match reviewed.path() {
                Ok(_) if reviewed.is_twin() && planner.confuses_names() => {
                    Planned::Refuse(RefuseReason::Collision)
                }
                Ok(path) => planner.plan(path, entry),
                Err(reason) => Planned::Refuse(reason),
            })
            .collect()
    }

    /// Replaces the callback for progress events.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = Some(on_progress);
        self
    }

    /// Waits for `decision`, for example a user's; `None` if the page is closed first.
    ///
    /// # Cancel safety
    /// Cancel safe: hold the offer again, accept it or decline it.
    pub async fn hold<T>(&mut self, decision: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            decided = decision => Some(decided),
            () = self.upload.gone() => None,
        }
    }

    /// Declines the offer.
    pub fn decline(self) {
        self.upload.set(Status::Declined);
    }

    /// Receives the files into `destination`, and returns when each has ended.
    ///
    /// # Errors
    /// If the destination fails; or the browser was silent for the [stall
    /// timeout](crate::ReceiveConfig::stall_timeout), or for a minute while others wait. What
    /// is verified stays, and the same offer continues there.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future ends the transfer, with the same result.
    pub async fn accept(self, destination: &Destination) -> Result<Summary, ReceiveError> {
        let transfer = match self.prepare(destination).await {
            Ok(transfer) => transfer,
            Err(error) => {
                self.upload.fail(error);
                return Err(self.upload.take_error());
            }
        };
        self.upload.heard();
        let mut status = self.upload.status.subscribe();
        self.upload.open(transfer);
        loop {
            match &*status.borrow_and_update() {
                Status::Ended => break,
                Status::Failed(_) => return Err(self.upload.take_error()),
                _ => {}
            }
            tokio::select! {
                _ = status.changed() => {}
                error = self.stalled() => {
                    self.upload.fail(error);
                }
            }
        }
        // The page asks for the result before the server may be gone.
        let _ = timeout(TOLD_WITHIN, self.upload.told.notified()).await;
        let transfer = self.upload.transfer();
        let summary = transfer.as_ref().map(Transfer::summary);
        summary.ok_or(ReceiveError::Worker)
    }

    async fn prepare(&self, destination: &Destination) -> Result<Transfer, ReceiveError> {
        let (destination, upload) = (destination.clone(), Arc::clone(&self.upload));
        let mut config = self.shared.config.clone();
        if let Some(on_progress) = &self.on_progress {
            config = config.on_progress(on_progress.clone());
        }
        let prepared = spawn_blocking(move || {
            let manifest = upload.manifest.clone();
            Transfer::prepare(&destination, manifest, &upload.reviewed, &config)
        });
        prepared.await.unwrap_or(Err(ReceiveError::Worker))
    }

    /// Returns when the browser has been silent for too long.
    async fn stalled(&self) -> ReceiveError {
        let stall_timeout = self.shared.config.stall_timeout;
        loop {
            sleep(LOOK_AGAIN.min(stall_timeout)).await;
            if self.upload.is_at_the_disk() {
                self.upload.heard();
            }
            let silent = self.upload.silent();
            if silent >= stall_timeout
                || silent >= SILENT_WHILE_OTHERS_WAIT && self.shared.others_wait()
            {
                let after = silent;
                return ReceiveError::Io(TransferIoError::Silent { after });
            }
        }
    }
}

impl Drop for UploadOffer {
    fn drop(&mut self) {
        match self.upload.name() {
            "waiting" => {
                self.upload.set(Status::Declined);
            }
            "open" => self.upload.fail(ReceiveError::Worker),
            _ => {}
        }
    }
}

/// An offer, as the routes see it.
#[derive(Debug)]
pub(super) struct Upload {
    id: SecretPath,
    peer: Option<SocketAddr>,
    manifest: Manifest,
    reviewed: Vec<Reviewed>,
    status: watch::Sender<Status>,
    /// A user here decides about it, or has.
    is_shown: AtomicBool,
    transfer: Mutex<Option<Transfer>>,
    error: Mutex<Option<ReceiveError>>,
    heard: Mutex<Instant>,
    /// The page knows how it ended.
    told: Notify,
    /// Bounds the memory for slices on their way.
    slices: Arc<Semaphore>,
}

/// Where an offer is.
#[derive(Clone, Debug)]
pub(super) enum Status {
    Waiting,
    Declined,
    /// It ended before all was received, with the reason for the browser.
    Failed(String),
    Open,
    Ended,
}

impl Upload {
    pub(super) fn new(
        manifest: Manifest,
        peer: Option<SocketAddr>,
        shared: &Shared,
    ) -> io::Result<Self> {
        Ok(Self {
            id: SecretPath::random()?,
            peer,
            reviewed: review(&manifest, shared.config.name_rules),
            manifest,
            status: watch::Sender::new(Status::Waiting),
            is_shown: AtomicBool::new(false),
            transfer: Mutex::default(),
            error: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            told: Notify::new(),
            slices: Arc::new(Semaphore::new(MAX_SLICES)),
        })
    }

    pub(super) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(super) fn has_id(&self, id: &str) -> bool {
        self.id.begins(id)
    }

    /// Its browser's host, if the server passes it on.
    pub(super) fn host(&self) -> Option<IpAddr> {
        self.peer.map(|address| host(address.ip()))
    }

    /// Whether it offers the same files and can continue.
    pub(super) fn continues(&self, manifest: &Manifest) -> bool {
        matches!(self.name(), "waiting" | "open") && self.manifest == *manifest
    }

    /// The state, and its name for the browser.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn name(&self) -> &'static str {
        self.status.borrow().name()
    }

    /// What has ended stays so: `false` if it has.
    fn set(&self, status: Status) -> bool {
        self.status.send_if_modified(|now| {
            let is_open = matches!(now, Status::Waiting | Status::Open);
            if is_open {
                *now = status;
            }
            is_open
        })
    }

    /// The browser may send the files.
    fn open(&self, transfer: Transfer) {
        let status = match transfer.is_finished() {
            true => Status::Ended,
            false => Status::Open,
        };
        *self.transfer() = Some(transfer);
        self.set(status);
    }

    /// Ends it with an error, for both sides.
    pub(super) fn fail(&self, error: ReceiveError) {
        let told = match &error {
            ReceiveError::Worker => "the receiver has stopped".to_owned(),
            error => error.to_string(),
        };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        if self.set(Status::Failed(told)) {
            self.close();
        }
    }

    /// Closes its parts, so that another attempt can use them. Does not wait for a request
    /// that is at the disk: that one closes them.
    fn close(&self) {
        let transfer = match self.transfer.try_lock() {
            Ok(mut transfer) => transfer.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        drop(transfer);
    }

    /// Uses the transfer, once no other request does. Blocks.
    pub(super) fn with_transfer<T>(&self, act: impl FnOnce(&mut Option<Transfer>) -> T) -> T {
        let done = act(&mut self.transfer());
        if matches!(*self.status.borrow(), Status::Failed(_)) {
            self.close();
        }
        done
    }

    fn take_error(&self) -> ReceiveError {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().unwrap_or(ReceiveError::Worker)
    }

    /// Every file has ended.
    pub(super) fn finish(&self) {
        self.set(Status::Ended);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.name() == "waiting"
    }

    /// Whether it is now to be shown: its browser waits, and it was not shown before.
    pub(super) fn show(&self) -> bool {
        self.is_waiting() && !self.is_gone() && !self.is_shown.swap(true, Ordering::Relaxed)
    }

    /// Whether it was accepted and has not failed. A slice that is repeated after the end
    /// gets an answer, too.
    pub(super) fn takes_slices(&self) -> bool {
        matches!(self.name(), "open" | "ended")
    }

    /// Waits until there is memory for a slice; `None` while none is taken.
    pub(super) async fn slice(&self) -> Option<OwnedSemaphorePermit> {
        match self.takes_slices() {
            true => Arc::clone(&self.slices).acquire_owned().await.ok(),
            false => None,
        }
    }

    /// Whether nothing more happens to it.
    pub(super) fn is_over(&self) -> bool {
        match self.name() {
            "open" => false,
            "waiting" => self.is_gone(),
            _ => true,
        }
    }

    fn transfer(&self) -> MutexGuard<'_, Option<Transfer>> {
        self.transfer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request of its browser, which may take long, reads or writes files.
    fn is_at_the_disk(&self) -> bool {
        matches!(self.transfer.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Waits until it is no longer as `known`, or for `time`.
    pub(super) async fn changed(&self, known: &str, time: Duration) {
        let mut status = self.status.subscribe();
        let changed = status.wait_for(|status| status.name() != known);
        let _ = timeout(time, changed).await;
    }

    /// The page has asked for this state.
    pub(super) fn tell(&self, status: &Status) {
        if matches!(status, Status::Ended) {
            self.told.notify_one();
        }
    }

    /// The browser has sent something.
    pub(super) fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silent(&self) -> Duration {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.elapsed()
    }

    /// Whether the page is closed: while it waits, it asks every few seconds.
    pub(super) fn is_gone(&self) -> bool {
        self.silent() >= GONE_AFTER
    }

    async fn gone(&self) {
        while !self.is_gone() {
            sleep(GONE_AFTER.saturating_sub(self.silent())).await;
        }
    }
}

impl Status {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Declined => "declined",
            Self::Failed(_) => "failed",
            Self::Open => "open",
            Self::Ended => "ended",
        }
    }
}

/// Each holds up to 4 MiB. A page sends one after the other; after a cut, the first may still
/// be waited for.
const MAX_SLICES: usize = 2;

const TOLD_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// More than two of the page's questions, and a reload.
const GONE_AFTER: Duration = Duration::from_secs(45);

const SILENT_WHILE_OTHERS_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, ReceiveConfig, web::UploadPage};

    #[test]
    fn it_fails_at_once_while_a_request_is_at_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let page = UploadPage::new(ReceiveConfig::default()).unwrap();
        let manifest = Manifest::new(vec![Entry::file("film.mkv", 1)]);
        let upload = Upload::new(manifest.clone(), None, &page.shared).unwrap();
        let config = ReceiveConfig::default();
        let transfer = Transfer::prepare(&destination, manifest, &upload.reviewed, &config);
        upload.open(transfer.unwrap());
        upload.with_transfer(|transfer| {
            assert!(upload.is_at_the_disk());
            upload.fail(ReceiveError::Worker);
            assert_eq!((upload.name(), transfer.is_some()), ("failed", true));
        });
        assert!(upload.transfer().is_none());
        upload.finish();
        assert_eq!(upload.name(), "failed");
    }
}
