//! What the page asks for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{
        ConnectInfo, DefaultBodyLimit, Path, Query, Request, State, rejection::JsonRejection,
    },
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Shared,
    offer::{Status, Upload},
    transfer::{COMPARE, Ended, Progressed, SliceError, Transfer},
};
use crate::{
    BLOCK_BYTES, Entry, EntryIndex, FileTime, Manifest,
    web::{
        access,
        digest::Sha256Digest,
        page::{self, Kind},
    },
};

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let offer_bytes = usize::try_from(shared.config.limits.offer_bytes()).unwrap_or(usize::MAX);
    Router::new()
        .route("/{secret}/", get(async || page::page(Kind::Upload)))
        .route("/{secret}/about", get(about))
        .route(
            "/{secret}/offer",
            post(offer)
                .layer(DefaultBodyLimit::max(offer_bytes))
                .layer(from_fn_with_state(Arc::clone(shared), arriving)),
        )
        .route("/{secret}/offer/{id}", get(status))
        .route(
            "/{secret}/offer/{id}/{index}",
            put(slice).delete(unreadable),
        )
        .with_state(Arc::clone(shared))
        .layer(from_fn_with_state(
            Arc::clone(&shared.secret),
            access::guard,
        ))
}

/// Bounds how many offers arrive at once, and how long each may take.
async fn arriving(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip());
    let Some(_place) = shared.arriving.take(peer) else {
        return Failure::Busy.into_response();
    };
    let answered = timeout(OFFER_WITHIN, next.run(request)).await;
    answered.unwrap_or_else(|_| Failure::CutShort.into_response())
}

#[derive(Serialize)]
struct About {
    name: String,
}

async fn about(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let name = shared.config.name.clone();
    Json(About { name })
}

/// The files that a user has chosen in the page.
#[derive(Deserialize)]
struct Chosen {
    files: Vec<ChosenFile>,
    /// The offer before a reload.
    again: Option<String>,
}

#[derive(Deserialize)]
struct ChosenFile {
    path: String,
    size: u64,
    /// Milliseconds since the beginning of 1970.
    modified: i64,
}

impl ChosenFile {
    fn entry(self) -> Entry {
        let mut entry = Entry::file(self.path, self.size);
        let milliseconds = self.modified.rem_euclid(1_000).unsigned_abs();
        let nanoseconds = u32::try_from(milliseconds * 1_000_000).unwrap_or(0);
        entry.modified = FileTime::new(self.modified.div_euclid(1_000), nanoseconds);
        entry
    }
}

#[derive(Serialize)]
struct Offered {
    id: String,
}

async fn offer(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    chosen: Result<Json<Chosen>, JsonRejection>,
) -> Result<Json<Offered>, Failure> {
    let Json(chosen) = chosen.map_err(|error| Failure::NotAnOffer(error.status()))?;
    let entries = chosen.files.into_iter().map(ChosenFile::entry).collect();
    let manifest = Manifest::new(entries);
    if manifest.entries.is_empty() {
        return Err(Failure::NotAnOffer(StatusCode::BAD_REQUEST));
    }
    let checked = shared.config.limits.check(&manifest);
    checked.map_err(|error| Failure::TooMuch(error.to_string()))?;
    let again = chosen.again.and_then(|id| shared.find(&id));
    if let Some(upload) = again.filter(|upload| upload.continues(&manifest)) {
        shared.heard(&upload);
        let id = upload.id().to_owned();
        return Ok(Json(Offered { id }));
    }
    let peer = peer.map(|Extension(ConnectInfo(address))| address);
    let upload = Upload::new(manifest, peer, &shared).map_err(|_| Failure::Busy)?;
    let upload = shared.add(upload).ok_or(Failure::Busy)?;
    let id = upload.id().to_owned();
    Ok(Json(Offered { id }))
}

#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    known: String,
}

#[derive(Serialize)]
struct StatusOf {
    status: &'static str,
    /// Another browser's files come first.
    behind: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    files: Vec<Position>,
}

/// Where a file is.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// It continues at this byte.
    At(u64),
    /// One of its size is here: the page sends its digest.
    Compare,
    /// It is here, with this digest, perhaps under another name.
    Complete {
        sha256: String,
        saved_as: Option<String>,
    },
    /// It is not taken: a key for translations, and the reason in English.
    Refused(String, String),
}

impl Position {
    fn of(progressed: Progressed, saved_as: Option<String>) -> Self {
        match progressed {
            Progressed::At(COMPARE) => Self::Compare,
            Progressed::At(offset) => Self::At(offset),
            Progressed::Ended(Ended::Complete(sha256)) => Self::Complete {
                sha256: sha256.to_string(),
                saved_as,
            },
            Progressed::Ended(Ended::Refused(reason)) => {
                Self::Refused(format!("{reason:?}"), reason.to_string())
            }
            Progressed::Ended(Ended::Failed(reason)) => {
                Self::Refused(format!("{reason:?}"), reason.to_string())
            }
        }
    }

    fn all(transfer: &Transfer) -> Vec<Self> {
        let positions = (0..).map(EntryIndex).zip(transfer.positions());
        let position = |(index, progressed)| {
            let saved_as = transfer.saved_as(index).map(ToString::to_string);
            Self::of(progressed, saved_as)
        };
        positions.map(position).collect()
    }
}

/// Answers when the state is another one than the page knows, or after a while.
async fn status(
    State(shared): State<Arc<Shared>>,
    Path((_, id)): Path<(String, String)>,
    Query(Known { known }): Query<Known>,
) -> Result<Json<StatusOf>, Failure> {
    let upload = shared.find(&id).ok_or(Failure::NoSuchOffer)?;
    shared.heard(&upload);
    upload.changed(&known, ANSWER_WITHIN).await;
    shared.heard(&upload);
    let status = upload.status();
    let behind = shared.is_behind(&upload);
    upload.tell(&status);
    // A slice may be on its way to the disk.
    let files = spawn_blocking(move || {
        upload.with_transfer(|transfer| transfer.as_ref().map(Position::all))
    });
    let name = status.name();
    Ok(Json(StatusOf {
        status: name,
        behind,
        error: match status {
            Status::Failed(error) => Some(error),
            _ => None,
        },
        files: files.await.ok().flatten().unwrap_or_default(),
    }))
}

#[derive(Deserialize)]
struct SliceOf {
    offset: u64,
    sha256: String,
}

async fn slice(
    State(shared): State<Arc<Shared>>,
    Path((_, id, index)): Path<(String, String, u32)>,
    Query(SliceOf { offset, sha256 }): Query<SliceOf>,
    body: Body,
) -> Result<Json<Position>, Failure> {
    let upload = shared.find(&id).ok_or(Failure::NoSuchOffer)?;
    let sha256 = Sha256Digest::parse(&sha256).ok_or(Failure::NotADigest)?;
    let one = upload.slice().await.ok_or(Failure::NotOpen)?;
    upload.heard();
    let max_bytes = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
    let sender = Arc::clone(&upload);
    let body = body.into_data_stream().inspect_ok(move |_| sender.heard());
    let arriving = to_bytes(Body::from_stream(body), max_bytes);
    let slice = timeout(SLICE_WITHIN, arriving).await;
    let slice = slice.ok().and_then(Result::ok).ok_or(Failure::CutShort)?;
    transferred(upload, EntryIndex(index), move |transfer, index| {
        let taken = transfer.take(index, offset, &slice, sha256);
        drop((slice, one));
        taken
    })
    .await
}

/// The page cannot read the file any more.
async fn unreadable(
    State(shared): State<Arc<Shared>>,
    Path((_, id, index)): Path<(String, String, u32)>,
) -> Result<Json<Position>, Failure> {
    let upload = shared.find(&id).ok_or(Failure::NoSuchOffer)?;
    transferred(upload, EntryIndex(index), Transfer::fail).await
}

/// Changes the transfer, which blocks on the disk.
async fn transferred(
    upload: Arc<Upload>,
    index: EntryIndex,
    change: impl FnOnce(&mut Transfer, EntryIndex) -> Result<Progressed, SliceError> + Send + 'static,
) -> Result<Json<Position>, Failure> {
    let changed = spawn_blocking(move || {
        upload.with_transfer(|transfer| {
            let transfer = transfer.as_mut().filter(|_| upload.takes_slices());
            let transfer = transfer.ok_or(Failure::NotOpen)?;
            let changed = change(transfer, index);
            noted(&upload, transfer, index, changed)
        })
    });
    changed.await.unwrap_or(Err(Failure::NotOpen))
}

/// Notes how a request has left the transfer, before the next one sees it.
fn noted(
    upload: &Upload,
    transfer: &Transfer,
    index: EntryIndex,
    changed: Result<Progressed, SliceError>,
) -> Result<Json<Position>, Failure> {
    match changed {
        Ok(progressed) => {
            if transfer.is_finished() {
                upload.finish();
            }
            let saved_as = transfer.saved_as(index).map(ToString::to_string);
            Ok(Json(Position::of(progressed, saved_as)))
        }
        Err(SliceError::Fatal(error)) => {
            let told = error.to_string();
            upload.fail(error);
            Err(Failure::Disk(told))
        }
        Err(error) => Err(Failure::Slice(error)),
    }
}

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("this is not an offer of files")]
    NotAnOffer(StatusCode),
    #[error("{0}")]
    TooMuch(String),
    #[error("too many others are waiting; try again later")]
    Busy,
    #[error("no such offer")]
    NoSuchOffer,
    #[error("the offer takes no slices now")]
    NotOpen,
    #[error("the digest is not one of SHA-256")]
    NotADigest,
    #[error("it did not arrive completely")]
    CutShort,
    #[error("{0}")]
    Disk(String),
    #[error(transparent)]
    Slice(SliceError),
}

impl Failure {
    fn key(&self) -> &'static str {
        match self {
            Self::NotAnOffer(_) => "NotAnOffer",
            Self::TooMuch(_) => "TooMuch",
            Self::Busy => "Busy",
            Self::NoSuchOffer => "NoSuchOffer",
            Self::NotOpen => "NotOpen",
            Self::NotADigest => "NotADigest",
            Self::CutShort => "CutShort",
            Self::Disk(_) => "Disk",
            Self::Slice(_) => "Slice",
        }
    }
}

#[derive(Serialize)]
struct Told {
    /// For translations.
    key: &'static str,
    error: String,
    /// Where the file continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (key, error) = (self.key(), self.to_string());
        let (status, at) = match self {
            Self::NotAnOffer(status) => (status, None),
            Self::TooMuch(_) => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::NoSuchOffer => (StatusCode::GONE, None),
            Self::NotOpen => (StatusCode::GONE, None),
            Self::NotADigest | Self::CutShort => (StatusCode::BAD_REQUEST, None),
            Self::Disk(_) => (StatusCode::INSUFFICIENT_STORAGE, None),
            Self::Slice(SliceError::Elsewhere(at)) => (StatusCode::CONFLICT, Some(at)),
            Self::Slice(SliceError::Differs) => (StatusCode::CONFLICT, Some(0)),
            Self::Slice(SliceError::Corrupt) => (StatusCode::UNPROCESSABLE_ENTITY, None),
            Self::Slice(SliceError::TooMany) => (StatusCode::TOO_MANY_REQUESTS, None),
            Self::Slice(_) => (StatusCode::BAD_REQUEST, None),
        };
        (status, Json(Told { key, error, at })).into_response()
    }
}

/// 16 MiB at 1 Mbit/s.
const OFFER_WITHIN: Duration = Duration::from_secs(150);

/// Sooner than a browser or a proxy gives up.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// 4 MiB at 60 kbit/s.
const SLICE_WITHIN: Duration = Duration::from_secs(600);
