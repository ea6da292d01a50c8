//! Escapes text from the network before it is printed.
//!
//! The course prints it unchanged, and terminals interpret control sequences:
//! `\x1b[2J` from any host clears the screen.

use sockkit::text::escape;

/// Escapes text of one of several peers, as one line: a line break inside it
/// could imitate another peer's line. A line break at the end is removed.
pub fn line(bytes: &[u8]) -> String {
    escape(String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']))
}

/// Escapes text of the only peer, keeping its line breaks.
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
