//! What each URL answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Query, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Outlet,
    feed::{Feed, Signal},
    figures,
    guard::Guard,
    multipart,
};

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) feeds: Vec<Arc<Feed>>,
    pub(super) guard: Guard,
    /// One permit for each client that watches.
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/stream", get(stream))
        .route("/streams", get(all_streams))
        .route("/snapshot", get(snapshot))
        .route("/state", get(state))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            only_ours,
        ))
        .with_state(shared)
}

/// Which stream, by name; without one, the first.
#[derive(Debug, Deserialize)]
struct Which {
    name: Option<String>,
}

impl Which {
    fn of<'a>(&self, feeds: &'a [Arc<Feed>]) -> Result<&'a Arc<Feed>, Failure> {
        let feed = match &self.name {
            Some(name) => feeds.iter().find(|feed| feed.name == *name),
            None => feeds.first(),
        };
        feed.ok_or(Failure::NoSuchStream)
    }
}

/// mjpg-streamer's way to ask: `/?action=stream`, or `stream_1` for the second.
#[derive(Debug, Deserialize)]
struct Action {
    action: Option<String>,
}

async fn root(
    State(shared): State<Arc<Shared>>,
    Extension(outlet): Extension<Outlet>,
    Query(query): Query<Action>,
) -> Response {
    let Some(action) = query.action else {
        return page().into_response();
    };
    let (verb, index) = match action.split_once('_') {
        Some((verb, index)) => (verb, index.parse().unwrap_or(usize::MAX)),
        None => (action.as_str(), 0),
    };
    let Some(feed) = shared.feeds.get(index) else {
        return Failure::NoSuchStream.into_response();
    };
    match verb {
        "stream" => stream_of(&shared, std::slice::from_ref(feed), outlet).into_response(),
        "snapshot" => snapshot_of(feed).await.into_response(),
        _ => Failure::NoSuchAction.into_response(),
    }
}

fn page() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}

async fn stream(
    State(shared): State<Arc<Shared>>,
    Extension(outlet): Extension<Outlet>,
    Query(which): Query<Which>,
) -> Result<Response, Failure> {
    let feed = which.of(&shared.feeds)?;
    stream_of(&shared, std::slice::from_ref(feed), outlet)
}

/// All streams in one answer, each part with its `X-Stream`: browsers open six
/// connections to a host at most, and the page may show more streams.
async fn all_streams(
    State(shared): State<Arc<Shared>>,
    Extension(outlet): Extension<Outlet>,
) -> Result<Response, Failure> {
    stream_of(&shared, &shared.feeds, outlet)
}

fn stream_of(shared: &Shared, feeds: &[Arc<Feed>], outlet: Outlet) -> Result<Response, Failure> {
    let place = Arc::clone(&shared.places)
        .try_acquire_owned()
        .map_err(|_| Failure::TooManyViewers)?;
    let body = multipart::body(feeds, place, outlet, shared.stop.clone());
    let headers = [
        (CONTENT_TYPE, multipart::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

async fn snapshot(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Response, Failure> {
    snapshot_of(which.of(&shared.feeds)?).await
}

async fn snapshot_of(feed: &Feed) -> Result<Response, Failure> {
    let picture = timeout(SNAPSHOT_WITHIN, feed.watch().next())
        .await
        .ok()
        .flatten()
        .ok_or(Failure::NoPicture)?;
    let status = match picture.signal {
        Signal::Live => StatusCode::OK,
        Signal::None => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [
        (CONTENT_TYPE.as_str(), "image/jpeg".to_owned()),
        (CACHE_CONTROL.as_str(), "no-store".to_owned()),
        ("x-timestamp", multipart::seconds(picture.captured)),
        ("x-number", picture.number.to_string()),
    ];
    Ok((status, headers, picture.jpeg).into_response())
}

async fn state(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(CACHE_CONTROL, "no-store")];
    (headers, Json(figures::State::of(&shared.feeds)))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    (headers, figures::metrics(&shared.feeds))
}

/// Refuses what a web page elsewhere may have sent; see [`Guard`].
async fn only_ours(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // An absolute URI counts more than the header (RFC 9112, 3.2.2).
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => text(request.headers(), HOST.as_str()),
    };
    let origin = request
        .headers()
        .get(ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    if let Err(refusal) = shared.guard.check(host, origin) {
        tracing::warn!(?host, ?origin, %refusal, "request refused");
        return (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Why a request that may ask gets nothing.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Failure {
    #[error("no stream of that name: /state lists them")]
    NoSuchStream,
    #[error("no such action: stream and snapshot there are")]
    NoSuchAction,
    #[error("too many watch already")]
    TooManyViewers,
    #[error("no picture came in time")]
    NoPicture,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchStream | Self::NoSuchAction => StatusCode::NOT_FOUND,
            Self::TooManyViewers | Self::NoPicture => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

const PAGE: &str = include_str!("page.html");

/// The page needs nothing from elsewhere, and may not be framed by others.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src 'self' data:; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A little longer than the silence that makes a placeholder.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(3);
