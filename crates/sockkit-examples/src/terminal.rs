//! What comes from the network, made fit to be printed.
//!
//! The course prints it as it comes, and a terminal obeys it: `\x1b[2J` from any
//! stranger clears the screen.

use sockkit::text::escape;

/// What one of many peers sent, in one line: a line break inside it could pretend to
/// be another peer's line. The one at its end is left out.
pub fn line(bytes: &[u8]) -> String {
    escape(String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']))
}

/// What the only peer sent, with its line breaks.
pub fn lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split('\n');
    let lines = lines.map(|line| escape(line.strip_suffix('\r').unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_stay_where_there_is_one_peer() {
        assert_eq!(line(b"one\r\n"), "one");
        assert_eq!(line(b"one\n127.0.0.1:9: two"), r"one\u{a}127.0.0.1:9: two");
        assert_eq!(lines(b"one\r\ntwo\n"), "one\ntwo\n");
        assert_eq!(lines(b"\x1b[2J\rx"), r"\u{1b}[2J\u{d}x");
    }
}
