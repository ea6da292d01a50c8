//! The state of one client: what it may ask for next, and until when.
//!
//! Pure: the caller passes `now` in and does the waiting.
#![warn(clippy::indexing_slicing)]

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Method, Ports, Request, Response, Status, Transport, transport::Offer};
use crate::rtp::sdp::{Description, TRACK};

/// One client's session, which lives as long as its connection.
///
/// Pass each request to [`handle_request`](Self::handle_request). If it returns
/// [`Handled::Bind`], bind two ports and call [`bound`](Self::bound). After each request
/// look at [`playing`](Self::playing), which says whether and how to send packets, and
/// close the connection at [`deadline`](Self::deadline), or once it
/// [is over](Self::is_over).
///
/// ```text
///             SETUP            PLAY
///   waiting ────────▶ ready ──────────▶ playing
///                      ▲      PAUSE       │
///                      └──────────────────┘     TEARDOWN ends each
/// ```
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: State,
    /// Sequence number of the next packet.
    sequence: u16,
    /// Of the SETUP that waits for ports.
    binding: Option<(u32, Ports)>,
    /// When the client was last heard.
    heard: Instant,
}

/// What a session is about.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a session is given it"]
pub struct SessionConfig {
    peer: IpAddr,
    id: u64,
    ssrc: u32,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waiting,
    Ready(Transport),
    Playing(Transport),
    Over,
}

/// What a request leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "the client waits for the response"]
#[non_exhaustive]
pub enum Handled {
    /// Send this.
    Reply(Response),
    /// Bind two ports for datagrams to the client, and call [`Session::bound`].
    Bind {
        /// The client's ports.
        client: Ports,
    },
}

impl SessionConfig {
    /// For a client at `peer`. The `id` must be hard to guess.
    pub fn new(peer: IpAddr, id: u64) -> Self {
        Self {
            peer,
            id,
            ssrc: 0,
            timeout: Duration::from_secs(60),
        }
    }

    /// The identifier of the stream, which clients are told. Default: zero.
    pub fn ssrc(mut self, ssrc: u32) -> Self {
        self.ssrc = ssrc;
        self
    }

    /// How long a client that has set up a stream may send no request, at most a year.
    /// Default: 60 s. Clients are told, in seconds, and send one in half of that time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // A deadline must not overflow.
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }
}

impl Session {
    /// A client has connected.
    #[must_use]
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        Self {
            sequence: 0,
            config,
            state: State::Waiting,
            binding: None,
            heard: now,
        }
    }

    /// Answers a request about the stream that `description` describes.
    pub fn handle_request(
        &mut self,
        now: Instant,
        request: &Request,
        description: &Description,
    ) -> Handled {
        self.heard = now;
        match self.answer(request, description) {
            Ok(handled) => handled,
            Err(status) => {
                let reply = Response::new(status, Some(request.number));
                Handled::Reply(match status {
                    Status::MethodNotAllowed => reply.header("Allow", METHODS.to_owned()),
                    Status::OptionNotSupported => {
                        let unsupported = request.required.clone().unwrap_or_default();
                        reply.header("Unsupported", unsupported)
                    }
                    _ => reply,
                })
            }
        }
    }

    /// The ports are bound, or `None` if there are none.
    pub fn bound(&mut self, server: Option<Ports>) -> Response {
        let Some((number, client)) = self.binding.take() else {
            return Response::new(Status::NotValidInThisState, None);
        };
        match server {
            Some(server) => self.set_up(number, Transport::Udp { client, server }),
            None => Response::new(Status::ServiceUnavailable, Some(number)),
        }
    }

    /// The next packet will have this sequence number, which the response to PLAY names.
    pub fn set_sequence(&mut self, next: u16) {
        self.sequence = next;
    }

    /// The client has read packets from the connection, or has sent one.
    pub fn handle_sign_of_life(&mut self, now: Instant) {
        self.heard = now;
    }

    /// How packets are to be sent now, if at all.
    #[must_use]
    pub fn playing(&self) -> Option<Transport> {
        match self.state {
            State::Playing(transport) => Some(transport),
            _ => None,
        }
    }

    /// Whether the client has ended it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// When to give the client up.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.heard
            + match self.state {
                State::Waiting | State::Over => SET_UP_WITHIN,
                State::Ready(_) | State::Playing(_) => self.config.timeout,
            }
    }

    fn answer(&mut self, request: &Request, description: &Description) -> Result<Handled, Status> {
        if request.required.is_some() {
            return Err(Status::OptionNotSupported);
        }
        let ok = Response::new(Status::Ok, Some(request.number));
        let reply = match request.method {
            Method::Options => ok.header("Public", METHODS.to_owned()),
            Method::Describe => {
                Self::check_path(request)?;
                ok.header("Content-Base", format!("{}/", request.stream_url()))
                    .body("application/sdp", description.to_string())
            }
            Method::Setup => {
                Self::check_path(request)?;
                return self.handle_setup(request);
            }
            Method::Play | Method::Pause | Method::Teardown => {
                self.check_session(request)?;
                self.change(request.method)?;
                self.changed(request, ok)
            }
            Method::GetParameter => {
                if request.session.is_some() {
                    self.check_session(request)?;
                }
                ok
            }
            Method::Other => return Err(Status::MethodNotAllowed),
        };
        Ok(Handled::Reply(reply))
    }

    /// There is one stream, with one track.
    fn check_path(request: &Request) -> Result<(), Status> {
        match request.path.trim_matches('/') {
            "" | TRACK => Ok(()),
            _ => Err(Status::NotFound),
        }
    }

    fn check_session(&self, request: &Request) -> Result<(), Status> {
        match (&request.session, self.state) {
            (Some(session), _) if *session != self.name() => Err(Status::SessionNotFound),
            (_, State::Waiting | State::Over) => Err(Status::NotValidInThisState),
            (Some(_), _) => Ok(()),
            (None, _) => Err(Status::SessionNotFound),
        }
    }

    fn handle_setup(&mut self, request: &Request) -> Result<Handled, Status> {
        if request.session.is_some() {
            self.check_session(request)?;
        }
        if matches!(self.state, State::Playing(_) | State::Over) {
            return Err(Status::NotValidInThisState);
        }
        let header = request.transport.as_deref().ok_or(Status::BadRequest)?;
        Ok(match Offer::choose(header, self.config.peer)? {
            Offer::Udp(client) => {
                self.binding = Some((request.number, client));
                Handled::Bind { client }
            }
            Offer::Interleaved { rtp, rtcp } => {
                let transport = Transport::Interleaved { rtp, rtcp };
                Handled::Reply(self.set_up(request.number, transport))
            }
        })
    }

    fn set_up(&mut self, number: u32, transport: Transport) -> Response {
        self.state = State::Ready(transport);
        let ssrc = self.config.ssrc;
        let seconds = self.config.timeout.as_secs().max(1);
        Response::new(Status::Ok, Some(number))
            .header("Session", format!("{};timeout={seconds}", self.name()))
            .header("Transport", format!("{transport};ssrc={ssrc:08X}"))
    }

    fn change(&mut self, method: Method) -> Result<(), Status> {
        self.state = match (method, self.state) {
            (Method::Teardown, _) => State::Over,
            (Method::Play, State::Ready(transport) | State::Playing(transport)) => {
                State::Playing(transport)
            }
            (Method::Pause, State::Ready(transport) | State::Playing(transport)) => {
                State::Ready(transport)
            }
            _ => return Err(Status::NotValidInThisState),
        };
        Ok(())
    }

    fn changed(&self, request: &Request, ok: Response) -> Response {
        let ok = ok.header("Session", self.name());
        if request.method != Method::Play {
            return ok;
        }
        let (stream, sequence) = (request.stream_url(), self.sequence);
        ok.header("Range", "npt=now-".to_owned())
            .header("RTP-Info", format!("url={stream}/{TRACK};seq={sequence}"))
    }

    fn name(&self) -> String {
        format!("{:016x}", self.config.id)
    }
}

/// How long a client may take until its first request, and between requests until it has
/// set up a stream.
const SET_UP_WITHIN: Duration = Duration::from_secs(15);

/// A session that nothing prolongs for longer has long been forgotten.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER";

#[cfg(test)]
mod tests;
