//! Gives files to a browser.

mod body;
mod parts;

use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{
            ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
            IF_RANGE, RANGE,
        },
    },
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
};

use self::{body::body, parts::Parts};
use super::{
    SecretPath, access,
    digest::{Sha256Digest, read_all},
    page::{self, Kind},
    range::{self, RequestedRange},
};
use crate::{
    Digest, Entry, EntryIndex, EntryKind, FailReason, FileOutcome, FileSet, OnProgress, Progress,
    RefuseReason, SendConfig, Summary, driver::set_outcome,
};

/// A page with files to download, as a whole or in parts, so that a browser resumes.
///
/// Several browsers may use it at once.
#[derive(Debug)]
pub struct DownloadPage {
    shared: Arc<Shared>,
}

impl DownloadPage {
    /// Offers the files of `files`, at a new secret path. Folders are the paths of the files
    /// in them; links are not offered. Of `config` it uses the name and the callback.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn new(files: FileSet, config: &SendConfig) -> io::Result<Self> {
        let entries = files.manifest().entries.len();
        let shared = Shared {
            secret: Arc::new(SecretPath::random()?),
            name: config.name.clone(),
            files: Arc::new(files),
            given: Mutex::new(Given::new(entries)),
            all_given: Notify::new(),
            hashing: Arc::new(Semaphore::new(1)),
            on_progress: config.on_progress.clone(),
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
        let secret = Arc::clone(&self.shared.secret);
        Router::new()
            .route("/{secret}/", get(async || page::page(Kind::Download)))
            .route("/{secret}/files", get(list))
            .route("/{secret}/file/{index}/{name}", get(file))
            .route("/{secret}/digest/{index}", get(digest))
            .with_state(Arc::clone(&self.shared))
            .layer(from_fn_with_state(secret, access::guard))
    }

    /// Waits until every file was downloaded completely at least once, in any order and in
    /// any parts. Files that can no longer be read count as failed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn finished(&self) -> Summary {
        let total_bytes = self.shared.files.manifest().total_bytes();
        let started = Progress::Started { total_bytes };
        self.shared.on_progress.tell(started);
        loop {
            let changed = self.shared.all_given.notified();
            if self.shared.is_finished() {
                break;
            }
            changed.await;
        }
        self.summary().await
    }

    /// What was downloaded so far.
    async fn summary(&self) -> Summary {
        let manifest = self.shared.files.manifest();
        let mut outcomes = vec![None; manifest.entries.len()];
        for (index, entry) in manifest.indexed() {
            let outcome = match entry.kind {
                EntryKind::File => self.outcome(index).await,
                EntryKind::Folder => FileOutcome::Complete(None),
                _ => FileOutcome::Refused(RefuseReason::Kind),
            };
            set_outcome(&mut outcomes, index, outcome);
        }
        let moved_bytes = self.shared.given().moved_bytes;
        Summary::new(manifest, outcomes, HashMap::new(), moved_bytes)
    }

    async fn outcome(&self, index: EntryIndex) -> FileOutcome {
        match self.shared.digests(index).await {
            Ok(digests) if self.shared.is_given(index) => {
                FileOutcome::Complete(Some(digests.blake3))
            }
            Ok(_) => FileOutcome::Failed(FailReason::Unreadable),
            Err(reason) => FileOutcome::Failed(reason),
        }
    }
}

#[derive(Debug)]
struct Shared {
    secret: Arc<SecretPath>,
    name: String,
    files: Arc<FileSet>,
    given: Mutex<Given>,
    all_given: Notify,
    /// One file at a time.
    hashing: Arc<Semaphore>,
    on_progress: OnProgress,
}

impl Shared {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, index: EntryIndex) -> Option<&Entry> {
        let entry = self.files.manifest().entry(index)?;
        (entry.kind == EntryKind::File).then_some(entry)
    }

    fn is_given(&self, index: EntryIndex) -> bool {
        let size_bytes = self.entry(index).map_or(0, |entry| entry.size_bytes);
        self.given().parts[index.as_usize()].is_whole(size_bytes)
    }

    fn is_finished(&self) -> bool {
        let given = self.given();
        let mut files = self.files.manifest().entries.iter().zip(&given.parts);
        files.all(|(entry, parts)| {
            entry.kind != EntryKind::File || parts.failed || parts.is_whole(entry.size_bytes)
        })
    }

    /// Notes what a client has taken.
    fn note(&self, index: EntryIndex, part: Range<u64>) {
        let bytes = part.end - part.start;
        {
            let mut given = self.given();
            given.moved_bytes += bytes;
            given.parts[index.as_usize()].add(part);
        }
        self.on_progress.tell(Progress::Moved {
            entry: index,
            bytes,
        });
        if self.is_finished() {
            self.all_given.notify_waiters();
        }
    }

    fn fail(&self, index: EntryIndex) {
        self.given().parts[index.as_usize()].failed = true;
        if self.is_finished() {
            self.all_given.notify_waiters();
        }
    }

    /// Computed once, at first need, to the end even if the client has gone.
    async fn digests(self: &Arc<Self>, index: EntryIndex) -> Result<Digests, FailReason> {
        let one = Arc::clone(&self.hashing).acquire_owned().await;
        if let Some(known) = self.given().parts[index.as_usize()].digests {
            return Ok(known);
        }
        let shared = Arc::clone(self);
        let computed = spawn_blocking(move || {
            let computed = Digests::of(&shared.files, index);
            shared.given().parts[index.as_usize()].digests = computed.ok();
            drop(one);
            computed
        });
        computed.await.unwrap_or(Err(FailReason::Unreadable))
    }
}

/// What clients have taken.
#[derive(Debug)]
struct Given {
    parts: Vec<Parts>,
    moved_bytes: u64,
}

impl Given {
    fn new(entries: usize) -> Self {
        Self {
            parts: (0..entries).map(|_| Parts::default()).collect(),
            moved_bytes: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Digests {
    blake3: Digest,
    sha256: Sha256Digest,
}

impl Digests {
    fn of(files: &FileSet, index: EntryIndex) -> Result<Self, FailReason> {
        let open = files.open_unchanged(index)?;
        let entry = files.manifest().entry(index);
        let size_bytes = entry.map_or(0, |entry| entry.size_bytes);
        let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
        let is_whole = read_all(
            size_bytes,
            |buffer, offset| open.read_at(buffer, offset),
            |bytes| {
                blake3.update(bytes);
                sha256.update(bytes);
            },
        );
        match is_whole {
            Ok(true) if open.is_unchanged() => Ok(Self {
                blake3: Digest(*blake3.finalize().as_bytes()),
                sha256: Sha256Digest::of(&sha256),
            }),
            Ok(_) => Err(FailReason::Changed),
            Err(_) => Err(FailReason::Unreadable),
        }
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    left_out: usize,
    files: Vec<ListedFile>,
}

#[derive(Serialize)]
struct ListedFile {
    index: u32,
    /// Escaped, as it is shown.
    path: String,
    size: u64,
}

async fn list(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let manifest = shared.files.manifest();
    let is_file = |entry: &Entry| entry.kind == EntryKind::File;
    let links = manifest
        .entries
        .iter()
        .filter(|entry| !is_file(entry) && entry.kind != EntryKind::Folder);
    let files = manifest.indexed().filter(|(_, entry)| is_file(entry));
    Json(Listed {
        name: shared.name.clone(),
        left_out: links.count() + manifest.left_out as usize,
        files: files
            .map(|(index, entry)| ListedFile {
                index: index.0,
                path: entry.path.to_string(),
                size: entry.size_bytes,
            })
            .collect(),
    })
}

async fn digest(
    State(shared): State<Arc<Shared>>,
    Path((_, index)): Path<(String, u32)>,
) -> Result<Response, Failure> {
    let index = EntryIndex(index);
    shared.entry(index).ok_or(Failure::NoSuchFile)?;
    let digests = shared.digests(index).await.map_err(Failure::Gone)?;
    Ok(format!("{}\n", digests.sha256).into_response())
}

async fn file(
    State(shared): State<Arc<Shared>>,
    Path((_, index, _)): Path<(String, u32, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let index = EntryIndex(index);
    let entry = shared.entry(index).ok_or(Failure::NoSuchFile)?.clone();
    let files = Arc::clone(&shared.files);
    let opened = spawn_blocking(move || files.open_unchanged(index)).await;
    let opened = opened.unwrap_or(Err(FailReason::Unreadable));
    let open = opened.map_err(|reason| {
        shared.fail(index);
        Failure::Gone(reason)
    })?;
    let tag = tag(index, &entry);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A part of another version would not fit.
    let is_same = text(IF_RANGE).is_none_or(|known| known == tag);
    let requested = range::requested(text(RANGE).filter(|_| is_same), entry.size_bytes);
    let (status, part) = match requested {
        RequestedRange::Whole => (StatusCode::OK, 0..entry.size_bytes),
        RequestedRange::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        RequestedRange::Unsatisfiable => return Err(Failure::NoSuchPart(entry.size_bytes)),
    };
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, (part.end - part.start).to_string()),
        (
            CONTENT_DISPOSITION,
            range::disposition(entry.path.as_bytes()),
        ),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (ETAG, tag),
    ];
    let content_range = format!(
        "bytes {}-{}/{}",
        part.start,
        part.end.max(1) - 1,
        entry.size_bytes
    );
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => body(shared, index, open, part),
    };
    let mut response = (status, head, body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let value = content_range.parse().expect("it is digits");
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

/// Of one version of a file at one place.
fn tag(index: EntryIndex, entry: &Entry) -> String {
    let modified = entry.modified;
    format!(
        "\"{:x}-{:x}-{:x}.{:x}\"",
        index.0, entry.size_bytes, modified.seconds, modified.nanoseconds
    )
}

/// Why a file is not sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Failure {
    #[error("no such file")]
    NoSuchFile,
    #[error("the file ends before that")]
    NoSuchPart(u64),
    #[error("{0}")]
    Gone(FailReason),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            Self::NoSuchFile => (StatusCode::NOT_FOUND, text).into_response(),
            Self::Gone(_) => (StatusCode::GONE, text).into_response(),
            Self::NoSuchPart(size) => {
                let size = [(CONTENT_RANGE, format!("bytes */{size}"))];
                (StatusCode::RANGE_NOT_SATISFIABLE, size, text).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tempfile::TempDir;

    use super::*;

    /// A page with a file of `size_bytes`, and the response to a request for it.
    async fn asked(method: Method, size_bytes: usize) -> (TempDir, DownloadPage, Response) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mkv");
        std::fs::write(&path, vec![7; size_bytes]).unwrap();
        let files = FileSet::gather([path]).unwrap();
        let page = DownloadPage::new(files, &SendConfig::default()).unwrap();
        let path = Path((String::new(), 0, String::new()));
        let shared = State(Arc::clone(&page.shared));
        let response = file(shared, path, method, HeaderMap::new()).await;
        (folder, page, response.unwrap())
    }

    #[tokio::test]
    async fn a_chunk_counts_when_the_next_one_is_asked_for() {
        let (_folder, page, response) = asked(Method::GET, 10).await;
        let mut body = response.into_body().into_data_stream();
        let moved_bytes = || page.shared.given().moved_bytes;
        assert_eq!(body.next().await.unwrap().unwrap().len(), 9);
        assert_eq!(moved_bytes(), 0);
        assert_eq!(body.next().await.unwrap().unwrap().len(), 1);
        assert_eq!(moved_bytes(), 10);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_request_for_the_head_alone_does_not_count() {
        let (_folder, page, _) = asked(Method::HEAD, 0).await;
        assert!(!page.shared.is_finished());
        let (_folder, page, _) = asked(Method::GET, 0).await;
        assert!(page.shared.is_finished());
    }
}
