//! What is announced, as DNS carries it: a label and a few texts. Pure.

use std::net::IpAddr;

use super::Hint;
use crate::{Address, Host, Scheme};

/// What a machine offers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Role {
    /// It shows pictures to viewers that connect.
    Camera,
    /// It waits for files.
    Receiver,
    /// It offers files.
    Sender,
}

/// What others shall find.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "an announcement does nothing until it is started"]
pub struct Announcement {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// The only address, if it is bound to one.
    pub(super) ip: Option<IpAddr>,
    pub(super) identity: Option<[u8; 32]>,
    pub(super) code_number: Option<u16>,
}

impl Announcement {
    /// Under this name, what is to be dialled at the scheme and the port of `at`.
    ///
    /// Of the name remain letters, digits, `-` and `_`, 40 bytes at most.
    pub fn new(role: Role, name: &str, at: &Address) -> Self {
        Self {
            role,
            name: tidy_name(name),
            scheme: at.scheme(),
            port: at.port(),
            ip: bound_ip(at),
            identity: None,
            code_number: None,
        }
    }

    /// With a [`Hint`] for those who know this identity. Default: none.
    pub fn by(mut self, identity: [u8; 32]) -> Self {
        self.identity = Some(identity);
        self
    }

    /// With the number of the code that is shown, which is no secret; 0 for a code
    /// without one. Default: none, as without a code.
    pub fn code_number(mut self, number: u16) -> Self {
        self.code_number = Some(number);
        self
    }

    /// The name made unique: two programs of one name on one host would answer
    /// for each other.
    pub(super) fn label(&self, suffix: u16) -> String {
        format!("{}-{suffix:04x}", self.name)
    }

    /// The texts beside the name.
    pub(super) fn texts(&self, hint: Option<Hint>) -> Vec<(&'static str, String)> {
        let mut texts = vec![
            (VERSION_KEY, VERSION.to_owned()),
            (ROLE_KEY, self.role.word().to_owned()),
            (SCHEME_KEY, self.scheme.as_str().to_owned()),
        ];
        texts.extend(hint.map(|hint| (HINT_KEY, hint.emit())));
        let number = self.code_number;
        texts.extend(number.map(|number| (CODE_KEY, number.to_string())));
        texts
    }
}

impl Role {
    const ALL: [Self; 3] = [Self::Camera, Self::Receiver, Self::Sender];

    /// As people and the network read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Receiver => "receiver",
            Self::Sender => "sender",
        }
    }
}

/// What a stranger announces, as far as it makes sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Read {
    pub(super) role: Role,
    pub(super) label: String,
    pub(super) scheme: Scheme,
    pub(super) hint: Option<Hint>,
    pub(super) code_number: Option<u16>,
}

impl Read {
    /// Reads a service's full name and its texts; `None` if a program like this one
    /// would not have written them.
    pub(super) fn parse<'a>(
        full_name: &str,
        text: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<Self> {
        let label = full_name.strip_suffix(super::SERVICE)?.strip_suffix('.')?;
        let role = text(ROLE_KEY)?;
        let schemes = [Scheme::Tcp, Scheme::Quic, Scheme::Udp];
        let scheme = text(SCHEME_KEY)?;
        Some(Self {
            role: Role::ALL.into_iter().find(|known| known.word() == role)?,
            label: (text(VERSION_KEY)? == VERSION && is_label(label)).then(|| label.to_owned())?,
            scheme: schemes.into_iter().find(|known| known.as_str() == scheme)?,
            hint: text(HINT_KEY).and_then(Hint::parse),
            code_number: text(CODE_KEY).and_then(|number| number.parse().ok()),
        })
    }
}

/// The name without what makes it unique.
pub(super) fn short_name(label: &str) -> &str {
    let is_suffix = |end: &str| end.len() == 4 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    match label.rsplit_once('-') {
        Some((name, end)) if !name.is_empty() && is_suffix(end) => name,
        _ => label,
    }
}

/// What can be typed without quotes, and deceives no terminal.
fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&text.len()) && text.chars().all(is_plain)
}

fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || char == '-' || char == '_'
}

fn tidy_name(name: &str) -> String {
    // The rest of a host's name says where it is, not which it is.
    let first = name.split('.').next().unwrap_or_default();
    let mut tidy = String::new();
    for char in first.chars() {
        let char = if is_plain(char) { char } else { '-' };
        if tidy.len() + char.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        tidy.push(char);
    }
    match tidy.is_empty() {
        true => "sockkit".to_owned(),
        false => tidy,
    }
}

/// The address alone that others can reach it at, if it is bound to one.
fn bound_ip(at: &Address) -> Option<IpAddr> {
    let ip = match at.host() {
        Host::V4(ip) => IpAddr::from(*ip),
        Host::V6 { ip, .. } => IpAddr::from(*ip),
        Host::Unspecified | Host::Name(_) => return None,
    };
    (!ip.is_unspecified()).then_some(ip)
}

const VERSION_KEY: &str = "v";
const ROLE_KEY: &str = "is";
const SCHEME_KEY: &str = "by";
const HINT_KEY: &str = "hint";
const CODE_KEY: &str = "code";
const VERSION: &str = "1";

const MAX_NAME_BYTES: usize = 40;

/// A label of DNS.
const MAX_LABEL_BYTES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn porch() -> Announcement {
        let at = "quic://0.0.0.0:5006".parse().unwrap();
        Announcement::new(Role::Camera, "porch", &at)
    }

    fn read(label: &str, texts: &[(&str, &str)]) -> Option<Read> {
        let full_name = format!("{label}.{}", super::super::SERVICE);
        Read::parse(&full_name, |wanted| {
            let text = texts.iter().find(|(key, _)| *key == wanted);
            text.map(|(_, text)| *text)
        })
    }

    #[test]
    fn what_is_announced_is_read_back() {
        let hint = Hint::new(&[7; 32], [1; 8]);
        for hint in [None, Some(hint)] {
            let texts = porch().texts(hint);
            let texts: Vec<_> = texts.iter().map(|(key, text)| (*key, &text[..])).collect();
            let read = read(&porch().label(0xa1), &texts).unwrap();
            let expected = Read {
                role: Role::Camera,
                label: "porch-00a1".to_owned(),
                scheme: Scheme::Quic,
                hint,
                code_number: None,
            };
            assert_eq!(read, expected);
            assert_eq!(short_name(&read.label), "porch");
        }
    }

    #[test]
    fn the_number_of_a_code_is_read_back() {
        for number in [0, 7, u16::MAX] {
            let texts = porch().code_number(number).texts(None);
            let texts: Vec<_> = texts.iter().map(|(key, text)| (*key, &text[..])).collect();
            assert_eq!(
                read("porch-00a1", &texts).unwrap().code_number,
                Some(number)
            );
        }
        for bad in ["", "-1", "65536", "7-coral"] {
            let texts = [("v", "1"), ("is", "sender"), ("by", "tcp"), ("code", bad)];
            assert_eq!(
                read("porch-00a1", &texts).unwrap().code_number,
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_never_announced_is_passed_over() {
        for scheme in ["tls", "zenoh"] {
            let texts = [("v", "1"), ("is", "camera"), ("by", scheme)];
            assert_eq!(read("porch-00a1", &texts), None, "{scheme}");
        }
    }

    #[test]
    fn nothing_of_the_identity_is_told() {
        let identity = [0xab; 32];
        let texts = porch()
            .by(identity)
            .texts(Some(Hint::new(&identity, [1; 8])));
        let all = format!("{texts:?}");
        assert!(!all.contains("abab") && !all.contains("porch"), "{all}");
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        let good = [("v", "1"), ("is", "camera"), ("by", "tcp")];
        assert!(read("porch-00a1", &good).is_some());
        let long = "x".repeat(64);
        for label in ["", "a b", "a\x1b[31m", "a\u{202e}b", "a.b", "a/b", &long] {
            assert_eq!(read(label, &good), None, "{label:?}");
        }
        for place in 0..3 {
            let mut texts = good;
            texts[place].1 = "other";
            assert_eq!(read("porch-00a1", &texts), None, "{texts:?}");
            texts[place].0 = "absent";
            assert_eq!(read("porch-00a1", &texts), None, "{texts:?}");
        }
        let bad_hint = [("v", "1"), ("is", "camera"), ("by", "tcp"), ("hint", "?")];
        assert_eq!(read("porch-00a1", &bad_hint).unwrap().hint, None);
    }

    #[test]
    fn names_are_tidied_and_bounded() {
        let long = "é".repeat(100);
        for (name, expected) in [
            ("porch", "porch"),
            ("Anna's Mac", "Anna-s-Mac"),
            ("desk.lan", "desk"),
            ("", "sockkit"),
            ("책상", "책상"),
            (&long, &"é".repeat(20)),
        ] {
            assert_eq!(tidy_name(name), expected);
        }
    }

    #[test]
    fn a_suffix_is_told_from_a_name() {
        for (label, short) in [
            ("porch-00a1", "porch"),
            ("my-desk-beef", "my-desk"),
            ("porch", "porch"),
            ("my-desk", "my-desk"),
            ("-00a1", "-00a1"),
            ("my-desks", "my-desks"),
        ] {
            assert_eq!(short_name(label), short, "{label}");
        }
    }
}
