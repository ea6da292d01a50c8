//! A QR code made of characters.

use qrcode::{Color, EcLevel, QrCode};

/// The lines of a code for `text`, black on white whatever the terminal's colours are; `None`
/// if it is too long for a code.
pub(super) fn lines(text: &str) -> Option<impl Iterator<Item = String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (width, modules) = (code.width(), code.into_colors());
    let is_dark = move |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET_MODULES).filter(|at| *at < width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => modules[y * width + x] == Color::Dark,
            _ => false,
        }
    };
    let side = width + 2 * QUIET_MODULES;
    // Two modules in one character.
    Some((0..side).step_by(2).map(move |y| {
        let row = (0..side).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        format!("{BLACK_ON_WHITE}{}{RESET}", row.collect::<String>())
    }))
}

/// Half of what the standard asks for; readers need no more.
const QUIET_MODULES: usize = 2;
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_fits_a_terminal() {
        let url = "https://192.168.100.200:65535/abcdefghijkmnpqrstuvwxyz23/";
        let lines: Vec<_> = lines(url).unwrap().collect();
        let columns = lines[0].chars().count() - BLACK_ON_WHITE.len() - RESET.len();
        assert!(
            columns <= 40 && lines.len() <= 20,
            "{columns} {}",
            lines.len()
        );
        // The corner of a finder pattern, after the quiet zone.
        assert!(lines[1].contains("  █▀▀▀▀▀█ "), "{}", lines[1]);
    }

    #[test]
    fn what_is_too_long_has_none() {
        assert!(lines(&"x".repeat(4_000)).is_none());
    }
}
