//! Who gets a response: holders of the secret path, from this server's own page.
//!
//! Another page cannot know the path, as no response names it to others
//! (`Referrer-Policy`). If one does, it still cannot use it: browsers say where a
//! request comes from.
//!
//! # Source
//! Fetch Metadata Request Headers, <https://www.w3.org/TR/fetch-metadata/>.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::SecretPath;

/// Answers in place of the routes, unless the request may reach them.
pub(super) async fn guard(
    State(secret): State<Arc<SecretPath>>,
    request: Request,
    next: Next,
) -> Response {
    if !secret.begins(request.uri().path()) {
        let closing = [(CONNECTION, "close")];
        return kept_apart((StatusCode::NOT_FOUND, closing, "not found\n").into_response());
    }
    let is_page = request.method() == Method::GET
        && request.uri().path().matches('/').count() == 2
        && request.uri().path().ends_with('/');
    let host = request.uri().authority().map(ToString::to_string);
    let response = match comes_from_us(request.headers(), host.as_deref(), is_page) {
        true => next.run(request).await,
        false => {
            let refused = "the request comes from another site's page\n";
            (StatusCode::FORBIDDEN, refused).into_response()
        }
    };
    kept_apart(response)
}

/// Whether this server's page, the address bar or a program other than a browser asks; or
/// the page itself is opened by a link.
fn comes_from_us(headers: &HeaderMap, authority: Option<&str>, is_page: bool) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let host = authority.or_else(|| text(HOST)).unwrap_or_default();
    if let Some(origin) = text(ORIGIN) {
        let ours = ["http://", "https://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme))
            .is_some_and(|origin| origin.eq_ignore_ascii_case(host));
        if !ours {
            return false;
        }
    }
    let fetch = |name| text(HeaderName::from_static(name));
    match fetch("sec-fetch-site") {
        // Over plain HTTP, browsers omit it except on loopback. A page of another origin
        // then sends `Origin` with everything but an image or a link.
        None | Some("same-origin" | "none") => true,
        Some(_) => {
            is_page
                && fetch("sec-fetch-mode") == Some("navigate")
                && fetch("sec-fetch-dest") == Some("document")
        }
    }
}

/// No other page may frame, read or embed it or learn the path from it, and no cache keeps
/// it.
fn kept_apart(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], is_page: bool) -> bool {
        let mut map = HeaderMap::new();
        map.insert(HOST, HeaderValue::from_static("192.168.1.7:8089"));
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        comes_from_us(&map, None, is_page)
    }

    #[test]
    fn our_page_and_programs_may_ask() {
        assert!(check(&[], false));
        assert!(check(&[("origin", "http://192.168.1.7:8089")], false));
        assert!(check(&[("origin", "https://192.168.1.7:8089")], false));
        assert!(check(&[("sec-fetch-site", "same-origin")], false));
        assert!(check(&[("sec-fetch-site", "none")], true));
    }

    #[test]
    fn other_pages_may_not() {
        for origin in ["http://evil.example", "null", "http://192.168.1.7", ""] {
            assert!(!check(&[("origin", origin)], false), "{origin}");
        }
        for site in ["cross-site", "same-site", "?"] {
            assert!(!check(&[("sec-fetch-site", site)], false), "{site}");
            assert!(!check(&[("sec-fetch-site", site)], true), "{site}");
        }
        let framed = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ];
        assert!(!check(&framed, true));
    }

    #[test]
    fn a_link_opens_the_page_alone() {
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(check(&link, true));
        assert!(!check(&link, false));
    }
}
