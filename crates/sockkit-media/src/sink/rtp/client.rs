//! One player's connection.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use sockkit_codec::{
    rtp::sdp::Description,
    rtsp::{
        self, Inbound, Ports, Request, RequestError, RequestReader, Response, Session,
        SessionConfig, Transport, interleaved_header,
    },
};
use sockkit_core::server::Stream;
use sockkit_link::{
    Connection,
    channel::{Flushed, LagLimit},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::{sleep_until, timeout},
};

use super::{datagrams::Datagrams, feed::Prepared, now, packets::Packets, server::Players, wall};
use crate::latest::Subscriber;

/// A player: its requests, and what it is sent.
pub(super) struct Client<'a> {
    players: &'a Players,
    /// While it plays: without a player nothing is prepared.
    pictures: Option<Subscriber<Prepared>>,
    /// Pictures that this player missed, as far as they are counted.
    missed: u64,
    /// This side of the connection, and the other.
    ends: [SocketAddr; 2],
    description: Description,
    requests: RequestReader,
    session: Session,
    packets: Packets,
    /// Where packets go if not through the connection.
    datagrams: Option<Datagrams>,
    outbound: Outbound,
}

/// What is to be written, and how slowly the player takes it.
struct Outbound {
    bytes: BytesMut,
    /// Of which these are responses.
    response_bytes: usize,
    /// Whether all that was written has left this machine.
    is_flushed: bool,
    lag: LagLimit,
    /// Whether nothing more is read, and the connection ends when all is written.
    is_last: bool,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        players: &'a Players,
        session: SessionConfig,
        random: u64,
        ends: [SocketAddr; 2],
    ) -> Self {
        let packets = Packets::new(random);
        let session = session.stream(packets.ssrc(), packets.sequence());
        Self {
            pictures: None,
            missed: 0,
            description: Description::new(&players.config.name, ends[0].ip())
                .session_id(random >> 1),
            requests: RequestReader::default(),
            session: Session::new(session, now()),
            packets,
            datagrams: None,
            outbound: Outbound::new(players.config.write_timeout),
            ends,
            players,
        }
    }

    /// Serves the player until it has ended the session, or `draining` completes.
    pub(super) async fn run(
        &mut self,
        stream: Stream<Connection>,
        draining: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let (mut reader, mut writer) = split(Flushed::from(stream));
        let mut draining = pin!(draining);
        let mut input = [0; INPUT_BYTES];
        while !self.outbound.is_over() {
            let deadline = self.deadline();
            tokio::select! {
                read = reader.read(&mut input), if self.outbound.takes_requests() => match read? {
                    0 => return Ok(()),
                    bytes => self.handle_input(&input[..bytes]),
                },
                written = self.outbound.write(&mut writer), if !self.outbound.is_flushed => {
                    if written? && self.session.playing().is_some() && self.datagrams.is_none() {
                        self.session.handle_sign_of_life(now());
                    }
                }
                picture = next(&mut self.pictures), if self.takes_pictures() => {
                    let Some(picture) = picture else { return Ok(()) };
                    self.send(&picture).await;
                }
                () = sleep_until(deadline.into()) => return Err(io::ErrorKind::TimedOut.into()),
                () = &mut draining => return Ok(()),
            }
        }
        close(reader, writer).await;
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let now = now();
        let by_lag = now.checked_add(self.outbound.lag.left(now));
        let by_session = self.session.deadline();
        by_lag.map_or(by_session, |by_lag| by_lag.min(by_session))
    }

    fn takes_pictures(&self) -> bool {
        match self.session.playing() {
            None => false,
            Some(Transport::Interleaved { .. }) => self.outbound.is_flushed,
            Some(_) => true,
        }
    }

    fn handle_input(&mut self, bytes: &[u8]) {
        self.requests.push(bytes);
        while !self.outbound.is_last {
            match self.requests.poll() {
                Ok(Some(Inbound::Request(request))) => self.handle_request(&request),
                // A report of the receiver, which nothing follows from.
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => return self.refuse(&error),
            }
        }
    }

    fn refuse(&mut self, error: &RequestError) {
        let peer = self.ends[1];
        if let Some(untold) = self.players.log_limit.note(now(), "request", peer.ip()) {
            tracing::warn!(%peer, %error, untold, "player refused");
        }
        self.outbound.push_response(&Response::to_error(error));
        self.outbound.is_last = true;
    }

    fn handle_request(&mut self, request: &Request) {
        let handled = self
            .session
            .handle_request(now(), request, &self.description);
        let response = match handled {
            rtsp::Handled::Bind { client } => {
                let server = self.bind(client);
                self.session.bound(server)
            }
            rtsp::Handled::Reply(response) => response,
            // No other kind needs anything.
            _ => return,
        };
        self.outbound.push_response(&response);
        if self.session.is_over() {
            self.outbound.is_last = true;
        }
        self.follow_session();
    }

    /// Subscribes when it begins to play, and no longer holds what it does not need.
    fn follow_session(&mut self) {
        let playing = self.session.playing();
        if let Some(Transport::Interleaved { .. }) = playing {
            self.datagrams = None;
        }
        match playing {
            Some(_) if self.pictures.is_none() => {
                self.pictures = Some(self.players.newest.subscribe());
                self.missed = 0;
            }
            Some(_) => {}
            None => self.pictures = None,
        }
    }

    /// Binds ports for datagrams to this player; `None` if there are none.
    fn bind(&mut self, client: Ports) -> Option<Ports> {
        let [local, peer] = self.ends;
        match Datagrams::to_player(local, peer, client) {
            Ok((datagrams, server)) => {
                self.datagrams = Some(datagrams);
                Some(server)
            }
            Err(error) => {
                if let Some(untold) = self.players.log_limit.note(now(), "ports", peer.ip()) {
                    tracing::warn!(%peer, %error, untold, "no ports for a player");
                }
                None
            }
        }
    }

    /// Sends a picture as datagrams, or queues it for the connection.
    async fn send(&mut self, picture: &Prepared) {
        let sent = match (self.session.playing(), &mut self.datagrams) {
            (Some(Transport::Interleaved { rtp, rtcp }), _) => {
                Ok(self
                    .outbound
                    .push_picture(picture, &mut self.packets, [rtp, rtcp]))
            }
            (Some(Transport::Udp { .. }), Some(datagrams)) => {
                datagrams.send(&mut self.packets, picture).await
            }
            _ => return,
        };
        let missed = self.pictures.as_ref().map_or(0, Subscriber::missed);
        let shared = &self.players.shared;
        match sent {
            Ok(bytes) => {
                let mut stats = shared.stats();
                stats.sent += 1;
                stats.bytes += bytes;
            }
            Err(error) => shared.count_failed(&error),
        }
        shared.stats().skipped += missed - self.missed;
        self.missed = missed;
    }
}

/// The newest picture, for a player that plays. Cancel safe.
async fn next(pictures: &mut Option<Subscriber<Prepared>>) -> Option<Prepared> {
    match pictures {
        Some(pictures) => pictures.next().await,
        None => std::future::pending().await,
    }
}

impl Outbound {
    fn new(write_timeout: Duration) -> Self {
        Self {
            bytes: BytesMut::new(),
            response_bytes: 0,
            is_flushed: true,
            lag: LagLimit::new(write_timeout),
            is_last: false,
        }
    }

    /// A client that does not read its responses is not asked for more.
    fn takes_requests(&self) -> bool {
        !self.is_last && self.response_bytes < MAX_RESPONSE_BYTES
    }

    fn is_over(&self) -> bool {
        self.is_last && self.is_flushed
    }

    fn push_response(&mut self, response: &Response) {
        if self.is_flushed {
            self.lag.handle_reply(now());
        }
        let bytes = response.to_bytes();
        self.response_bytes += bytes.len();
        self.bytes.extend_from_slice(&bytes);
        self.is_flushed = false;
    }

    /// Called when all before it has left. Returns the number of bytes.
    fn push_picture(
        &mut self,
        picture: &Prepared,
        packets: &mut Packets,
        [rtp, rtcp]: [u8; 2],
    ) -> u64 {
        let headers = packets.headers(picture);
        for (header, fragment) in headers.iter().zip(picture.fragments.iter()) {
            self.push_packet(rtp, &[header, fragment.data()]);
        }
        if let Some(report) = packets.report(now(), wall()) {
            self.push_packet(rtcp, &[&report]);
        }
        self.lag.handle_message(now(), self.bytes.len());
        self.is_flushed = false;
        self.bytes.len() as u64
    }

    fn push_packet(&mut self, channel: u8, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u16::try_from(length).expect("a packet is shorter than a datagram");
        self.bytes
            .extend_from_slice(&interleaved_header(channel, length));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Writes some, or waits until what was written has left. Returns whether all has.
    ///
    /// # Cancel safety
    /// Cancel safe.
    async fn write(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<bool> {
        if self.bytes.has_remaining() {
            writer.write_buf(&mut self.bytes).await?;
            return Ok(false);
        }
        writer.flush().await?;
        self.lag.handle_taken(now())?;
        self.response_bytes = 0;
        self.is_flushed = true;
        Ok(true)
    }
}

/// Closes so that the last response arrives: unread data would reset the connection.
async fn close(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
    let closing = async {
        writer.shutdown().await?;
        let mut rest = [0; INPUT_BYTES];
        for _ in 0..MAX_LAST_READS {
            if reader.read(&mut rest).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(())
    };
    let _ = timeout(CLOSE_WITHIN, closing).await;
}

/// A request has a few hundred bytes.
const INPUT_BYTES: usize = 2_048;

/// Responses that wait to be read.
const MAX_RESPONSE_BYTES: usize = 16 << 10;

/// How long a client may take to close.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

const MAX_LAST_READS: u32 = 32;
