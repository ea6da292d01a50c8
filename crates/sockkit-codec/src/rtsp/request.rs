//! One request.
#![warn(clippy::indexing_slicing)]

use crate::rtp::sdp::TRACK;

/// A request: its method, its URL, and the headers that are used here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Path of the URL, without the host and without a slash at its end.
    pub(super) path: String,
    /// The URL as it came, in printable ASCII.
    pub(super) url: String,
    /// Number of the request, which the response repeats.
    pub(super) number: u32,
    pub(super) session: Option<String>,
    pub(super) transport: Option<String>,
    /// An extension that the client needs.
    pub(super) required: Option<String>,
    /// Length of the body, which is skipped.
    pub(super) body_bytes: usize,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Which methods there are.
    Options,
    /// The SDP of a stream.
    Describe,
    /// How packets travel.
    Setup,
    /// Start to send.
    Play,
    /// Stop to send, for a while.
    Pause,
    /// Stop to send, and forget the session.
    Teardown,
    /// Keeps the session alive.
    GetParameter,
    /// Anything else.
    Other,
}

/// Why bytes are no request; the connection is of no further use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The header does not end within the limit.
    #[error("request is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There are more headers than the limit.
    #[error("request has more than {limit} headers")]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// The announced body is longer than the limit.
    #[error("request announces a body of more than {limit} bytes")]
    BodyTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The version is not 1.0.
    #[error("request is not RTSP/1.0")]
    Version,
    /// It is malformed.
    #[error("line {line} of the request is malformed")]
    Line {
        /// Which line, counted from 1.
        line: usize,
    },
    /// There is no number to answer it with.
    #[error("request has no CSeq")]
    NoNumber,
}

impl Request {
    /// Reads the header of a request, from its first line to the last one before the
    /// empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self, RequestError> {
        // Text from a peer: no control characters, and nothing beyond ASCII.
        let lines = || head.split(|&byte| byte == b'\n');
        let line = |number: usize, line| text(line).ok_or(RequestError::Line { line: number });
        let first = line(1, lines().next().unwrap_or_default())?;
        let mut request = Self::from_line(first)?;
        let mut number = None;
        for (index, bytes) in (2..).zip(lines().skip(1)) {
            if index - 1 > MAX_HEADERS {
                let limit = MAX_HEADERS;
                return Err(RequestError::TooManyHeaders { limit });
            }
            let malformed = RequestError::Line { line: index };
            let Some((name, value)) = line(index, bytes)?.split_once(':') else {
                return Err(malformed);
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "cseq" => number = Some(decimal(value).ok_or(malformed)?),
                "session" => request.session = Some(before_parameters(value).to_owned()),
                "transport" => request.transport = Some(value.to_owned()),
                "require" | "proxy-require" => request.required = Some(value.to_owned()),
                "content-length" => {
                    let bytes: u32 = decimal(value).ok_or(malformed)?;
                    request.body_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                }
                _ => {}
            }
        }
        if request.body_bytes > MAX_BODY_BYTES {
            let limit = MAX_BODY_BYTES;
            return Err(RequestError::BodyTooLong { limit });
        }
        request.number = number.ok_or(RequestError::NoNumber)?;
        Ok(request)
    }

    /// The URL of the stream, to which `/` and the name of its track can be appended:
    /// clients ask for the track by either URL.
    pub(super) fn stream_url(&self) -> &str {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        let url = self.url.get(..end).unwrap_or_default();
        let url = url.trim_end_matches('/');
        // A host may have the name of the track.
        let stream = match self.path.trim_matches('/') {
            TRACK => url.strip_suffix(TRACK),
            _ => None,
        };
        stream.unwrap_or(url).trim_end_matches('/')
    }

    /// Reads the method, the URL and the version.
    fn from_line(line: &str) -> Result<Self, RequestError> {
        let malformed = RequestError::Line { line: 1 };
        let mut words = line.split(' ');
        let (Some(method), Some(url), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed);
        };
        if !version.starts_with("RTSP/") {
            return Err(malformed);
        }
        if version != "RTSP/1.0" {
            return Err(RequestError::Version);
        }
        if method.is_empty() || url.is_empty() {
            return Err(malformed);
        }
        Ok(Self {
            method: Method::named(method),
            path: path(url).trim_end_matches('/').to_owned(),
            url: url.to_owned(),
            number: 0,
            session: None,
            transport: None,
            required: None,
            body_bytes: 0,
        })
    }
}

impl Method {
    /// Methods are case-sensitive.
    fn named(name: &str) -> Self {
        match name {
            "OPTIONS" => Self::Options,
            "DESCRIBE" => Self::Describe,
            "SETUP" => Self::Setup,
            "PLAY" => Self::Play,
            "PAUSE" => Self::Pause,
            "TEARDOWN" => Self::Teardown,
            "GET_PARAMETER" => Self::GetParameter,
            _ => Self::Other,
        }
    }
}

/// A line in printable ASCII, without the carriage return at its end.
fn text(line: &[u8]) -> Option<&str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_printable = |&byte: &u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    // A space at the front continues the line before, which RFC 7826 has dropped.
    let is_plain =
        line.iter().all(is_printable) && !line.starts_with(b" ") && !line.starts_with(b"\t");
    is_plain.then(|| str::from_utf8(line).ok()).flatten()
}

/// Only digits: `parse` alone would accept a sign.
pub(super) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The path of a URL; `*`, which means the server, is none.
fn path(url: &str) -> &str {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)),
        None => Some(url),
    };
    let path = rest.unwrap_or_default();
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}

/// What stands before the first semicolon.
fn before_parameters(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

const MAX_HEADERS: usize = 32;
const MAX_BODY_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Request, RequestError> {
        Request::parse(head.as_bytes())
    }

    #[test]
    fn the_headers_in_use_are_read_in_any_case() {
        let request = parse(
            "SETUP rtsp://cam:8554/a/track1/?x=1 RTSP/1.0\r\ncseq: 7\r\nSESSION: abc;timeout=60\r\n\
             Transport: RTP/AVP\nUser-Agent: : odd\r\ncontent-length: 4096\r\nRequire: x",
        );
        let expected = Request {
            method: Method::Setup,
            path: "/a/track1".into(),
            url: "rtsp://cam:8554/a/track1/?x=1".into(),
            number: 7,
            session: Some("abc".into()),
            transport: Some("RTP/AVP".into()),
            required: Some("x".into()),
            body_bytes: 4_096,
        };
        assert_eq!(request, Ok(expected));
    }

    #[test]
    fn each_url_has_a_path() {
        for (url, expected) in [
            ("rtsp://cam", ""),
            ("rtsp://cam/", "/"),
            ("rtsp://cam/a/b", "/a/b"),
            ("rtsp://cam?a=/b", "/b"),
            ("/a#b", "/a"),
            ("*", "*"),
        ] {
            assert_eq!(path(url), expected, "{url}");
        }
    }

    #[test]
    fn the_track_is_no_part_of_the_streams_url() {
        for (url, expected) in [
            ("rtsp://cam:8554", "rtsp://cam:8554"),
            ("rtsp://cam:8554/", "rtsp://cam:8554"),
            ("rtsp://cam/track1", "rtsp://cam"),
            ("rtsp://cam//track1//?x=1#y", "rtsp://cam"),
            ("rtsp://track1", "rtsp://track1"),
            ("rtsp://track1/track1", "rtsp://track1"),
            ("rtsp://cam/attrack1", "rtsp://cam/attrack1"),
        ] {
            let request = parse(&format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1")).unwrap();
            assert_eq!(request.stream_url(), expected, "{url}");
        }
    }

    #[test]
    fn malformed_lines_are_counted() {
        for (head, line) in [
            ("", 1),
            ("PLAY", 1),
            ("PLAY  RTSP/1.0", 1),
            (" / RTSP/1.0", 1),
            ("PLAY / HTTP/1.1", 1),
            ("PLAY / RTSP/1.0 x", 1),
            ("PLAY / RTSP/1.0\r\nCSeq", 2),
            ("PLAY / RTSP/1.0\r\nCSeq: 1\r\n folded: x", 3),
            ("PLAY / RTSP/1.0\r\nCSeq: +1", 2),
            ("PLAY / RTSP/1.0\r\nCSeq: 4294967296", 2),
            ("PLAY / RTSP/1.0\r\nCSeq: 1\r\nA: \x1b[2J", 3),
            ("PLAY / RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1", 3),
            ("PL\u{e4}Y / RTSP/1.0", 1),
            ("PLAY / RTSP/1.0\rCSeq: 1", 1),
        ] {
            assert_eq!(parse(head), Err(RequestError::Line { line }), "{head:?}");
        }
    }

    #[test]
    fn other_versions_and_missing_numbers_are_told() {
        assert_eq!(parse("PLAY / RTSP/2.0"), Err(RequestError::Version));
        assert_eq!(parse("PLAY / RTSP/1.0"), Err(RequestError::NoNumber));
    }

    #[test]
    fn limits_are_reached_and_not_exceeded() {
        let with = |headers: usize| {
            let rest = "A: b\r\n".repeat(headers - 1);
            parse(&format!(
                "PLAY / RTSP/1.0\r\nCSeq: 1\r\n{}",
                rest.trim_end()
            ))
        };
        assert!(with(MAX_HEADERS).is_ok());
        let limit = MAX_HEADERS;
        assert_eq!(with(limit + 1), Err(RequestError::TooManyHeaders { limit }));
        let limit = MAX_BODY_BYTES;
        let body = parse("PLAY / RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4097");
        assert_eq!(body, Err(RequestError::BodyTooLong { limit }));
    }
}
