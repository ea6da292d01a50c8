//! One player's connection.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use sockkit_codec::{
    rtp::sdp::Description,
    rtsp::{
        self, Inbound, Ports, Request, RequestError, RequestReader, Response, Session,
        SessionConfig, Transport,
    },
};
use sockkit_core::server::Stream;
use sockkit_link::{Connection, channel::Flushed};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::{sleep_until, timeout},
};

use super::{
    datagrams::Datagrams, feed::Prepared, now, outbound::Outbound, packets::Packets,
    server::Players, wall,
};
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

impl<'a> Client<'a> {
    pub(super) fn new(
        players: &'a Players,
        session: SessionConfig,
        random: u64,
        ends: [SocketAddr; 2],
    ) -> Self {
        let packets = Packets::new(random);
        let session = session.ssrc(packets.ssrc());
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
                    // What it has asked for is still answered.
                    0 => self.outbound.is_last = true,
                    bytes => self.handle_input(&input[..bytes]).await,
                },
                written = self.outbound.write(&mut writer), if !self.outbound.is_flushed => {
                    if written? && self.session.playing().is_some() && self.datagrams.is_none() {
                        self.session.handle_sign_of_life(now());
                    }
                }
                picture = next(&mut self.pictures), if self.takes_pictures() => match picture {
                    Some(picture) => self.send(&picture).await,
                    None => self.end().await,
                },
                () = sleep_until(deadline.into()) => return Err(io::ErrorKind::TimedOut.into()),
                () = &mut draining, if !self.outbound.is_last => self.end().await,
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
            Some(_) if self.outbound.is_last => false,
            Some(Transport::Interleaved { .. }) => self.outbound.is_flushed,
            Some(_) => true,
        }
    }

    async fn handle_input(&mut self, bytes: &[u8]) {
        self.requests.push(bytes);
        while !self.outbound.is_last {
            match self.requests.poll() {
                Ok(Some(Inbound::Request(request))) => self.handle_request(&request).await,
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

    async fn handle_request(&mut self, request: &Request) {
        self.session.set_sequence(self.packets.sequence());
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
        self.follow_session().await;
    }

    /// Subscribes when it begins to play, and no longer holds what it does not need.
    async fn follow_session(&mut self) {
        let playing = self.session.playing();
        if let Some(Transport::Interleaved { .. }) = playing {
            self.datagrams = None;
        }
        match playing {
            Some(_) if self.pictures.is_none() => {
                let broadcaster = self.players.broadcaster.upgrade();
                self.pictures = broadcaster.map(|broadcaster| broadcaster.subscribe());
                self.missed = 0;
                // The camera may have ended, of which a player that was paused is not told.
                if self.pictures.is_none() {
                    self.end().await;
                }
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

    /// The camera or the server ends: a player that plays is told, and the connection ends
    /// when all that is queued has left.
    async fn end(&mut self) {
        self.outbound.is_last = true;
        match (self.session.playing(), &self.datagrams) {
            (Some(Transport::Interleaved { rtcp, .. }), _) => {
                if let Some(bye) = self.packets.bye(wall()) {
                    self.outbound.push_report(rtcp, &bye);
                }
            }
            (Some(Transport::Udp { .. }), Some(datagrams)) => datagrams.end(&self.packets).await,
            _ => {}
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

/// The newest picture, for a player that plays; `None` if the camera has ended. Cancel safe.
async fn next(pictures: &mut Option<Subscriber<Prepared>>) -> Option<Prepared> {
    match pictures {
        Some(pictures) => pictures.next().await,
        None => std::future::pending().await,
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

/// How long a client may take to close.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

const MAX_LAST_READS: u32 = 32;
