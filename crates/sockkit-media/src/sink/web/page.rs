//! The page, which loads nothing from elsewhere, and the code of its address.

use std::sync::LazyLock;

use axum::{
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::{Html, IntoResponse},
};
use qrcode::{Color, EcLevel, QrCode};

pub(super) fn page() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE.as_str()))
}

/// A QR code of a text as SVG; `None` if it is too long.
pub(super) fn qr(text: &str) -> Option<impl IntoResponse + use<>> {
    if text.len() > MAX_QR_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let headers = [(CONTENT_TYPE, "image/svg+xml")];
    Some((headers, svg(code.width(), &code.into_colors())))
}

/// Each row's dark modules, on white with a margin.
fn svg(width: usize, modules: &[Color]) -> String {
    let side = width + 2 * QUIET_MODULES;
    let mut path = String::new();
    for (at, _) in modules
        .iter()
        .enumerate()
        .filter(|(_, module)| **module == Color::Dark)
    {
        let (x, y) = (at % width + QUIET_MODULES, at / width + QUIET_MODULES);
        path += &format!("M{x} {y}h1v1h-1z");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/>\
         <path d=\"{path}\"/></svg>"
    )
}

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let scripts = [
        include_str!("page/pace.js"),
        include_str!("page/tile.js"),
        include_str!("page/parts.js"),
        include_str!("page/page.js"),
    ];
    include_str!("page/page.html")
        .replace("/* page.css */", include_str!("page/page.css"))
        .replace("/* scripts */", &scripts.join("\n"))
});

/// The page loads nothing from elsewhere, and must not be framed.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src 'self' data:; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Longer than any address that a camera reads well.
const MAX_QR_BYTES: usize = 512;

/// The margin that the standard asks for.
const QUIET_MODULES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole() {
        for part in [
            "class Tile",
            "class Pace",
            "async function readParts",
            "#sharing {",
        ] {
            assert!(PAGE.contains(part), "{part}");
        }
    }

    #[test]
    fn a_code_has_its_modules_inside_a_margin() {
        let svg = svg(2, &[Color::Dark, Color::Light, Color::Light, Color::Dark]);
        assert!(svg.contains("viewBox=\"0 0 10 10\""), "{svg}");
        assert!(svg.contains("d=\"M4 4h1v1h-1zM5 5h1v1h-1z\""), "{svg}");
    }

    #[test]
    fn a_text_has_a_code_up_to_a_limit() {
        assert!(qr(&"x".repeat(MAX_QR_BYTES)).is_some());
        assert!(qr(&"x".repeat(MAX_QR_BYTES + 1)).is_none());
    }
}
