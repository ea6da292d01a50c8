//! One JSON object a line, for `--json`.

use std::fmt::{self, Write as _};

/// An object whose first field is `event`.
#[derive(Clone, Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new(event: &'static str) -> Self {
        Self(String::new()).text("event", event)
    }

    pub(crate) fn text(self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = quoted(&value.to_string());
        self.field(name, format_args!("{value}"))
    }

    pub(crate) fn number(self, name: &'static str, value: u64) -> Self {
        self.field(name, format_args!("{value}"))
    }

    /// `null` for an unknown value.
    pub(crate) fn float(self, name: &'static str, value: Option<f64>) -> Self {
        match value.filter(|value| value.is_finite()) {
            Some(value) => self.field(name, format_args!("{value:.3}")),
            None => self.field(name, format_args!("null")),
        }
    }

    fn field(mut self, name: &'static str, value: fmt::Arguments<'_>) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

/// RFC 8259, section 7. Characters that a terminal acts on are escaped as well: a peer
/// chooses some of the text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() => quoted.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_json() {
        let object = Object::new("file")
            .text("path", "한글 \"a\\b\"\n\u{202e}\u{1f600}")
            .number("bytes", u64::MAX)
            .float("age", Some(1.5))
            .float("unknown", None)
            .float("endless", Some(f64::INFINITY));
        assert_eq!(
            object.to_string(),
            "{\"event\":\"file\",\"path\":\"한글 \\\"a\\\\b\\\"\\u000a\\u202e\\ud83d\\ude00\",\
             \"bytes\":18446744073709551615,\"age\":1.500,\"unknown\":null,\"endless\":null}"
        );
    }
}
