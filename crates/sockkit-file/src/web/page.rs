//! The page, which loads nothing from elsewhere.

use axum::{
    http::header::CONTENT_SECURITY_POLICY,
    response::{Html, IntoResponse},
};

/// What the page does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Download,
    Upload,
}

pub(super) fn page(kind: Kind) -> impl IntoResponse {
    let mode = match kind {
        Kind::Download => "download",
        Kind::Upload => "upload",
    };
    let page = PAGE.replace("data-mode=\"\"", &format!("data-mode=\"{mode}\""));
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(page))
}

const PAGE: &str = include_str!("page.html");

const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
