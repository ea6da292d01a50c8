//! Responses, and the header of interleaved packets.

use std::fmt::Write as _;

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "it is to be sent"]
pub struct Response {
    status: Status,
    /// Number of the request, if it could be read.
    number: Option<u32>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// As asked.
    Ok,
    /// The request is malformed.
    BadRequest,
    /// There is no such stream.
    NotFound,
    /// The method is unknown.
    MethodNotAllowed,
    /// There is no such session.
    SessionNotFound,
    /// The method needs another state, such as PLAY before SETUP.
    NotValidInThisState,
    /// No offered transport is possible.
    UnsupportedTransport,
    /// Packets are sent to the client's own address only.
    DestinationProhibited,
    /// No ports, or too many clients.
    ServiceUnavailable,
    /// Not RTSP/1.0.
    VersionNotSupported,
    /// An extension is unknown.
    OptionNotSupported,
}

impl Status {
    /// Its number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.parts().0
    }

    const fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "OK"),
            Self::BadRequest => (400, "Bad Request"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::SessionNotFound => (454, "Session Not Found"),
            Self::NotValidInThisState => (455, "Method Not Valid in This State"),
            Self::UnsupportedTransport => (461, "Unsupported Transport"),
            Self::DestinationProhibited => (463, "Destination Prohibited"),
            Self::ServiceUnavailable => (503, "Service Unavailable"),
            Self::VersionNotSupported => (505, "RTSP Version Not Supported"),
            Self::OptionNotSupported => (551, "Option Not Supported"),
        }
    }
}

impl Response {
    /// A response to the request of that number.
    pub fn new(status: Status, number: Option<u32>) -> Self {
        Self {
            status,
            number,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// The last response on a connection whose requests cannot be followed.
    pub fn to_error(error: &super::RequestError) -> Self {
        let status = match error {
            super::RequestError::Version => Status::VersionNotSupported,
            _ => Status::BadRequest,
        };
        Self::new(status, None).header("Connection", "close".to_owned())
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(mut self, kind: &'static str, body: String) -> Self {
        self.body = body;
        self.header("Content-Type", kind.to_owned())
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (code, reason) = self.status.parts();
        let mut text = format!("RTSP/1.0 {code} {reason}\r\n");
        let mut header = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string does not fail.
            let _ = write!(text, "{name}: {value}\r\n");
        };
        if let Some(number) = self.number {
            header("CSeq", &number);
        }
        for (name, value) in &self.headers {
            header(name, value);
        }
        if !self.body.is_empty() {
            header("Content-Length", &self.body.len());
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }
}

/// What precedes a packet of this length between responses.
#[must_use]
pub const fn interleaved_header(channel: u8, bytes: u16) -> [u8; 4] {
    let [l1, l0] = bytes.to_be_bytes();
    [b'$', channel, l1, l0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::RequestError;

    #[test]
    fn a_response_has_its_headers_in_order() {
        let response = Response::new(Status::Ok, Some(7))
            .header("Session", "a".into())
            .body("application/sdp", "v=0\r\n".into());
        let expected = "RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: a\r\n\
            Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
        assert_eq!(response.to_bytes(), expected.as_bytes());
    }

    #[test]
    fn the_last_response_says_that_it_is() {
        let response = Response::to_error(&RequestError::NoNumber);
        let expected = b"RTSP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n";
        assert_eq!(response.to_bytes(), expected);
        let response = Response::to_error(&RequestError::Version);
        assert_eq!(response.status().code(), 505);
    }
}
