//! The response to each URL.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, Request, State, ws::WebSocketUpgrade},
    http::{
        HeaderMap, HeaderValue, StatusCode, Version,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERER,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use sockkit_core::server::{ConnectionLimiter, Permit};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::Client,
    connection::now,
    feed::{JpegBroadcaster, Signal},
    figures,
    guard::{Asking, Audience, HostPolicy, Refusal},
    multipart::{self, Head},
    page, pull,
};
use crate::log_limit::LogLimit;

/// State shared by the handlers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) feeds: Vec<Arc<JpegBroadcaster>>,
    pub(super) guard: HostPolicy,
    pub(super) log_limit: LogLimit,
    /// One permit for each viewer.
    pub(super) places: Arc<ConnectionLimiter>,
    /// How far behind a client may be.
    pub(super) write_timeout: Duration,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/stream", get(stream))
        .route("/stream.sdp", get(description))
        .route("/streams", get(all_streams))
        .route("/pull", get(pull))
        .route("/snapshot", get(snapshot))
        .route("/qr", get(qr))
        .route("/state", get(state))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            only_ours,
        ))
        .with_state(shared)
}

/// Selects a stream by name; the first one by default.
#[derive(Debug, Deserialize)]
struct Which {
    name: Option<String>,
}

impl Which {
    fn of<'a>(
        &self,
        feeds: &'a [Arc<JpegBroadcaster>],
    ) -> Result<&'a Arc<JpegBroadcaster>, Failure> {
        let feed = match &self.name {
            Some(name) => feeds.iter().find(|feed| feed.name == *name),
            None => feeds.first(),
        };
        feed.ok_or(Failure::NoSuchStream)
    }
}

/// mjpg-streamer's URLs: `/?action=stream`, or `stream_1` for the second.
#[derive(Debug, Deserialize)]
struct Action {
    action: Option<String>,
}

/// `?head=late` or `early`; depends on the client by default.
#[derive(Debug, Deserialize)]
struct Form {
    head: Option<Head>,
}

impl Form {
    fn for_client(&self, headers: &HeaderMap) -> Head {
        self.head.unwrap_or_else(|| match shows_itself(headers) {
            true => Head::Early,
            false => Head::Late,
        })
    }
}

/// Whether a browser requests it for an `<img>` or a tab, as opposed to a
/// script or another program that reads the parts.
fn shows_itself(headers: &HeaderMap) -> bool {
    match text(headers, "sec-fetch-dest") {
        Some(dest) => matches!(dest, "image" | "document"),
        // Over plain HTTP, browsers omit it except on loopback. But they
        // request images with a list of formats, and data for scripts with
        // `*/*`.
        None => text(headers, ACCEPT.as_str()).is_some_and(|accept| accept.contains("image/webp")),
    }
}

async fn root(
    State(shared): State<Arc<Shared>>,
    client: Client,
    Query(query): Query<Action>,
    Query(form): Query<Form>,
    headers: HeaderMap,
) -> Response {
    let Some(action) = query.action else {
        return page::page().into_response();
    };
    let (verb, index) = match action.split_once('_') {
        Some((verb, index)) => (verb, index.parse().unwrap_or(usize::MAX)),
        None => (action.as_str(), 0),
    };
    let Some(feed) = shared.feeds.get(index) else {
        return Failure::NoSuchStream.into_response();
    };
    match verb {
        "stream" => {
            let head = form.for_client(&headers);
            stream_of(&shared, std::slice::from_ref(feed), head, client).into_response()
        }
        "snapshot" => snapshot_of(feed).await.into_response(),
        _ => Failure::NoSuchAction.into_response(),
    }
}

async fn stream(
    State(shared): State<Arc<Shared>>,
    client: Client,
    Query(which): Query<Which>,
    Query(form): Query<Form>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let feed = which.of(&shared.feeds)?;
    let head = form.for_client(&headers);
    stream_of(&shared, std::slice::from_ref(feed), head, client)
}

/// Where a player finds the stream's packets.
async fn description(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, Failure> {
    let feed = which.of(&shared.feeds)?;
    let sdp = feed.sdp.clone().ok_or(Failure::NoDescription)?;
    Ok(([(CONTENT_TYPE, "application/sdp")], sdp))
}

/// All streams in one response, each part with its `X-Stream`: browsers open at
/// most six connections to a host, and the page may show more streams.
async fn all_streams(
    State(shared): State<Arc<Shared>>,
    client: Client,
) -> Result<Response, Failure> {
    stream_of(&shared, &shared.feeds, Head::Late, client)
}

fn stream_of(
    shared: &Shared,
    feeds: &[Arc<JpegBroadcaster>],
    head: Head,
    client: Client,
) -> Result<Response, Failure> {
    let place = shared.place(&client)?;
    let body = multipart::body(shared, feeds, head, place, client);
    let headers = [
        (CONTENT_TYPE, multipart::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

/// All streams, a picture whenever the client asks for one.
async fn pull(
    State(shared): State<Arc<Shared>>,
    client: Client,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let place = shared.place(&client)?;
    Ok(pull::answer(upgrade, &shared, place, &client))
}

async fn snapshot(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Response, Failure> {
    snapshot_of(which.of(&shared.feeds)?).await
}

async fn snapshot_of(feed: &JpegBroadcaster) -> Result<Response, Failure> {
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

/// What a QR code is to say.
#[derive(Debug, Deserialize)]
struct Code {
    text: String,
}

/// The page knows its own address, the server may be behind a proxy.
async fn qr(Query(code): Query<Code>) -> Result<Response, Failure> {
    let svg = page::qr(&code.text).ok_or(Failure::TooLong)?;
    Ok(svg.into_response())
}

async fn state(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(CACHE_CONTROL, "no-store")];
    (headers, Json(figures::State::of(&shared.feeds)))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    (headers, figures::metrics(&shared.feeds))
}

/// Refuses requests that another web site may have caused; see [`HostPolicy`].
async fn only_ours(
    State(shared): State<Arc<Shared>>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let asking = asking(&request);
    let (response, policy) = match shared.guard.check(asking) {
        Ok(audience) => (next.run(request).await, resource_policy(audience)),
        Err(refusal) => {
            shared.tell(refusal, asking, client.logged_ip());
            let refused = (StatusCode::FORBIDDEN, format!("{refusal}\n"));
            (refused.into_response(), resource_policy(Audience::Ours))
        }
    };
    kept_apart(response, policy)
}

fn asking(request: &Request) -> Asking<'_> {
    let headers = request.headers();
    // What is there twice is of no origin and no host: others may read the other one.
    let header = |name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        match values.next() {
            Some(_) => Some(""),
            None => Some(value.to_str().unwrap_or_default()),
        }
    };
    let uri = request.uri();
    Asking {
        // An absolute URI takes precedence over the header (RFC 9112, 3.2.2).
        host: match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => header(HOST.as_str()),
        },
        origin: header(ORIGIN.as_str()),
        referer: header(REFERER.as_str()),
        site: header("sec-fetch-site"),
        mode: header("sec-fetch-mode"),
        dest: header("sec-fetch-dest"),
        is_page: uri.path() == "/" && uri.query().is_none(),
        is_http_1_0: request.version() == Version::HTTP_10,
    }
}

impl Shared {
    /// For one more viewer.
    fn place(&self, client: &Client) -> Result<Permit, Failure> {
        self.places.take(client.ip()).ok_or(Failure::TooManyViewers)
    }

    /// One line a minute for each host: any page can make a browser send
    /// requests.
    fn tell(&self, refusal: Refusal, asking: Asking<'_>, peer: IpAddr) {
        let kind = refusal.kind();
        let Some(untold) = self.log_limit.note(now(), kind, peer) else {
            return;
        };
        let [host, origin, referer] =
            [asking.host, asking.origin, asking.referer].map(|value| value.map(beginning));
        let host = host.unwrap_or_default();
        let more = match untold {
            0 => String::new(),
            untold => format!(", and {untold} more"),
        };
        tracing::warn!("a request of {peer} for host {host:?}{more} was refused: {refusal}");
        tracing::debug!(%peer, ?origin, ?referer, "request refused");
    }
}

/// A prefix of a peer's text that fits a line.
fn beginning(text: &str) -> &str {
    match text.char_indices().nth(MAX_TOLD_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn resource_policy(audience: Audience) -> HeaderValue {
    HeaderValue::from_static(match audience {
        Audience::Ours => "same-origin",
        Audience::Embedder => "cross-origin",
    })
}

/// Forbids framing and content sniffing, and allows embedding according to
/// `policy`.
fn kept_apart(mut response: Response, policy: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-resource-policy", policy);
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Error of a permitted request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Failure {
    #[error("no stream of that name: /state lists them")]
    NoSuchStream,
    #[error("the stream is not sent to players: rtp:// is not among its destinations")]
    NoDescription,
    #[error("unknown action; use stream or snapshot")]
    NoSuchAction,
    #[error("too many viewers, of this host or in total; try again later")]
    TooManyViewers,
    #[error("no picture arrived in time")]
    NoPicture,
    #[error("too long for a QR code")]
    TooLong,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchStream | Self::NoSuchAction | Self::NoDescription => StatusCode::NOT_FOUND,
            Self::TooLong => StatusCode::BAD_REQUEST,
            Self::TooManyViewers | Self::NoPicture => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// Per header, in the log.
const MAX_TOLD_CHARS: usize = 100;

/// A little longer than the silence that produces a placeholder.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(3);
