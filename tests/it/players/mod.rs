//! Pictures for players, by RTP and RTSP: read by a client made here, and by the players
//! that are installed.

mod ending;
mod hostile;
mod installed;
#[cfg(unix)]
mod vlc;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::{Buf, BytesMut};
use sockkit::{
    latest::{self, Publisher},
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    rtp::{
        RtpHeader,
        jpeg::{Depacketizer, NotCarried},
    },
    sink::rtp::{CompressedAgain, RtpConfig, RtpSender, RtspServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use crate::wait::{soon, until};

/// A picture that no other number has, with its number in its pixels.
fn picture(number: u64) -> Picture {
    let mut random = fastrand::Rng::with_seed(number);
    let (width, height) = (320, 240);
    let shade = random.u8(40..200);
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        let wave = u8::try_from((x * y / 97 + at / 1_000) % 50).unwrap();
        [shade ^ wave, wave.wrapping_mul(3), shade]
    });
    let pixels: Vec<u8> = pixels.collect();
    let raw = Picture::new(PixelFormat::Rgb, width, height, pixels).unwrap();
    jpeg::encode(&raw, 85)
        .unwrap()
        .numbered(number)
        .captured_at(Timestamp::from_micros(
            1_700_000_000_000_000 + number * 40_000,
        ))
}

#[track_caller]
fn check_same_pixels(arrived: bytes::Bytes, sent: &Picture) {
    let arrived = jpeg::decode(&Picture::from_jpeg(arrived).unwrap()).unwrap();
    let sent = jpeg::decode(sent).unwrap();
    assert!(arrived.data() == sent.data(), "other pixels");
}

async fn serve(config: RtpConfig) -> (Publisher<Picture>, RtspServer, SocketAddr) {
    let (camera, pictures) = latest::channel();
    let at = "rtsp://127.0.0.1:0".parse().unwrap();
    let server = RtspServer::bind(&at, config, pictures).await.unwrap();
    let to = (Ipv4Addr::LOCALHOST, server.address().port()).into();
    (camera, server, to)
}

/// A client of RTSP.
struct Player {
    stream: TcpStream,
    inbound: BytesMut,
    number: u32,
    url: String,
    session: String,
}

impl Player {
    async fn connect(to: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(to).await.unwrap(),
            inbound: BytesMut::new(),
            number: 0,
            url: format!("rtsp://{to}/"),
            session: String::new(),
        }
    }

    /// The response to a request; packets before it are dropped.
    async fn ask(&mut self, method: &str, headers: &str) -> String {
        self.number += 1;
        let Self {
            url,
            session,
            number,
            ..
        } = self;
        let request =
            format!("{method} {url} RTSP/1.0\r\nCSeq: {number}\r\n{session}{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            if let Some(response) = self.take_response() {
                return response;
            }
            if self.take_packet().is_none() {
                assert!(self.read().await.unwrap() > 0, "closed after {request}");
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        soon(self.stream.read_buf(&mut self.inbound)).await
    }

    fn take_response(&mut self) -> Option<String> {
        if self.inbound.first() == Some(&b'$') {
            return None;
        }
        let head = self.inbound.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = String::from_utf8(self.inbound[..head].to_vec()).unwrap();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let body: usize = length.map_or(0, |length| length.parse().unwrap());
        if self.inbound.len() < head + body {
            return None;
        }
        Some(String::from_utf8(self.inbound.split_to(head + body).to_vec()).unwrap())
    }

    /// The channel and the bytes of the next packet.
    fn take_packet(&mut self) -> Option<(u8, BytesMut)> {
        let &[b'$', channel, l1, l0] = self.inbound.first_chunk()? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if self.inbound.len() < 4 + length {
            return None;
        }
        self.inbound.advance(4);
        Some((channel, self.inbound.split_to(length)))
    }

    /// Sets the stream up, and plays it.
    async fn play(&mut self, transport: &str) -> String {
        let set_up = self
            .ask("SETUP", &format!("Transport: {transport}\r\n"))
            .await;
        assert!(set_up.starts_with("RTSP/1.0 200 "), "{set_up}");
        let session = set_up
            .lines()
            .find_map(|line| line.strip_prefix("Session: "));
        let session = session.unwrap().split(';').next().unwrap();
        self.session = format!("Session: {session}\r\n");
        let playing = self.ask("PLAY", "").await;
        assert!(playing.starts_with("RTSP/1.0 200 "), "{playing}");
        set_up
    }

    /// The next picture on the connection.
    async fn picture(&mut self) -> bytes::Bytes {
        let mut pictures = Depacketizer::new(MAX_PICTURE_BYTES);
        loop {
            while let Some((channel, packet)) = self.take_packet() {
                if channel == 0
                    && let Some(picture) = pictures.handle_packet(&packet).unwrap()
                {
                    return picture;
                }
            }
            assert!(self.read().await.unwrap() > 0, "closed before a picture");
        }
    }

    /// Waits until the server has closed the connection.
    async fn is_closed(&mut self) {
        loop {
            self.inbound.clear();
            if matches!(self.read().await, Ok(0) | Err(_)) {
                return;
            }
        }
    }
}

const ON_THE_CONNECTION: &str = "RTP/AVP/TCP;unicast;interleaved=0-1";

/// Two neighbouring ports of this machine.
async fn two_ports() -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let next = rtp.local_addr().unwrap().port().checked_add(1);
        if let Some(next) = next
            && let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, next)).await
        {
            return (rtp, rtcp);
        }
    }
}

async fn picture_from(socket: &UdpSocket) -> bytes::Bytes {
    numbered_picture_from(socket).await.0
}

/// A picture, and the sequence numbers of its first and last packet.
async fn numbered_picture_from(socket: &UdpSocket) -> (bytes::Bytes, [u16; 2]) {
    let mut pictures = Depacketizer::new(MAX_PICTURE_BYTES);
    let mut packet = [0; 2_048];
    let mut first = None;
    loop {
        let bytes = soon(socket.recv(&mut packet)).await.unwrap();
        let (header, _) = RtpHeader::parse(&packet[..bytes]).unwrap();
        let first = *first.get_or_insert(header.sequence);
        if let Some(picture) = pictures.handle_packet(&packet[..bytes]).unwrap() {
            return (picture, [first, header.sequence]);
        }
    }
}

/// Checks that the sender leaves by a compound packet: its report, its name, and BYE.
#[track_caller]
fn check_bye(compound: &[u8]) {
    let (before, bye) = compound.split_last_chunk::<8>().unwrap();
    assert_eq!((before[1], before[29]), (200, 202), "{compound:?}");
    assert_eq!(bye[..4], [0x81, 203, 0, 1], "{compound:?}");
    assert_eq!(bye[4..], before[4..8], "another sender");
}

const MAX_PICTURE_BYTES: usize = 8 << 20;

#[tokio::test]
async fn pictures_sent_to_a_host_arrive_with_the_same_pixels() {
    let (rtp, rtcp) = two_ports().await;
    let port = rtp.local_addr().unwrap().port();
    let (camera, pictures) = latest::channel();
    let to = format!("rtp://127.0.0.1:{port}").parse().unwrap();
    let sender = RtpSender::open(&to, RtpConfig::default(), pictures)
        .await
        .unwrap();
    let sdp = sender.description().to_string();
    assert!(sdp.contains("\r\nc=IN IP4 127.0.0.1\r\n"), "{sdp}");
    assert!(
        sdp.contains(&format!("\r\nm=video {port} RTP/AVP 26\r\n")),
        "{sdp}"
    );
    for number in 0..5 {
        let sent = picture(number);
        camera.publish(sent.clone());
        check_same_pixels(picture_from(&rtp).await, &sent);
    }
    let mut report = [0; 100];
    let bytes = soon(rtcp.recv(&mut report)).await.unwrap();
    assert_eq!((report[1], bytes % 4), (200, 0), "a sender report");
    drop(camera);
    soon(sender.finished()).await;
    let bytes = soon(rtcp.recv(&mut report)).await.unwrap();
    check_bye(&report[..bytes]);
    let stats = sender.stats();
    assert_eq!((stats.sent, stats.failed, stats.skipped), (5, 0, 0));
    assert_eq!(stats.compressed_again, None);
    sender.shutdown().await;
}

#[tokio::test]
async fn a_player_on_its_connection_gets_the_same_pixels() {
    let (camera, server, to) = serve(RtpConfig::default().name("porch")).await;
    let mut player = Player::connect(to).await;
    assert!(player.ask("OPTIONS", "").await.contains("\r\nPublic: "));
    let described = player.ask("DESCRIBE", "").await;
    assert!(described.contains("\r\ns=porch\r\n"), "{described}");
    player.play(ON_THE_CONNECTION).await;
    for number in 0..5 {
        let sent = picture(number);
        camera.publish(sent.clone());
        check_same_pixels(player.picture().await, &sent);
        // Requests are answered between the pictures.
        let alive = player.ask("GET_PARAMETER", "").await;
        assert!(alive.starts_with("RTSP/1.0 200 "), "{alive}");
    }
    let over = player.ask("TEARDOWN", "").await;
    assert!(over.starts_with("RTSP/1.0 200 "), "{over}");
    player.is_closed().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_player_at_its_ports_gets_the_same_pixels() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let (rtp, rtcp) = two_ports().await;
    let [one, other] = [&rtp, &rtcp].map(|socket| socket.local_addr().unwrap().port());
    let mut player = Player::connect(to).await;
    let transport = format!("RTP/AVP;unicast;client_port={one}-{other}");
    let set_up = player.play(&transport).await;
    let ports = set_up.split("server_port=").nth(1).unwrap();
    let (first, rest) = ports.split_once('-').unwrap();
    let first: u16 = first.parse().unwrap();
    assert!(first.is_multiple_of(2) && rest.starts_with(&(first + 1).to_string()));
    for number in 0..5 {
        let sent = picture(number);
        camera.publish(sent.clone());
        check_same_pixels(picture_from(&rtp).await, &sent);
    }
    let mut report = [0; 100];
    soon(rtcp.recv(&mut report)).await.unwrap();
    server.shutdown().await;
    player.is_closed().await;
}

#[tokio::test]
async fn a_paused_player_is_sent_nothing_and_told_where_packets_continue() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let (rtp, rtcp) = two_ports().await;
    let [one, other] = [&rtp, &rtcp].map(|socket| socket.local_addr().unwrap().port());
    let mut paused = Player::connect(to).await;
    paused
        .play(&format!("RTP/AVP;unicast;client_port={one}-{other}"))
        .await;
    let mut playing = Player::connect(to).await;
    playing.play(ON_THE_CONNECTION).await;
    camera.publish(picture(0));
    check_same_pixels(playing.picture().await, &picture(0));
    let (_, [_, last]) = numbered_picture_from(&rtp).await;
    paused.ask("PAUSE", "").await;
    camera.publish(picture(1));
    check_same_pixels(playing.picture().await, &picture(1));
    for _ in 0..3 {
        paused.ask("GET_PARAMETER", "").await;
    }
    let sent = rtp.try_recv(&mut [0; 2_048]).map_err(|error| error.kind());
    assert_eq!(sent, Err(io::ErrorKind::WouldBlock));
    // A packet while it was paused would have had this number.
    let next = last.wrapping_add(1);
    let response = paused.ask("PLAY", "").await;
    assert!(
        response.contains(&format!("/track1;seq={next}\r\n")),
        "{response}"
    );
    let (arrived, [first, _]) = numbered_picture_from(&rtp).await;
    check_same_pixels(arrived, &picture(1));
    assert_eq!(first, next);
    server.shutdown().await;
}

/// From the first player or from a later one, which nothing new is published for.
#[tokio::test]
async fn a_still_is_seen_by_every_player_that_connects() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    camera.publish(picture(0));
    for _ in 0..3 {
        let mut player = Player::connect(to).await;
        player.play(ON_THE_CONNECTION).await;
        check_same_pixels(player.picture().await, &picture(0));
        player.ask("TEARDOWN", "").await;
    }
    assert_eq!(server.stats().sent, 3);
    server.shutdown().await;
}

/// Nothing was compressed again, so nothing is said about it.
#[tokio::test]
async fn what_can_be_neither_carried_nor_decoded_is_counted_as_failed() {
    let mut arithmetic = picture(0).data().to_vec();
    let frame = arithmetic
        .windows(2)
        .position(|marker| marker == b"\xff\xc0");
    arithmetic[frame.unwrap() + 1] = 0xc9;
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut player = Player::connect(to).await;
    player.play(ON_THE_CONNECTION).await;
    camera.publish(Picture::from_jpeg(arithmetic).unwrap());
    until(|| server.stats().failed == 1).await;
    assert_eq!(server.stats().compressed_again, None);
    camera.publish(picture(1));
    check_same_pixels(player.picture().await, &picture(1));
    server.shutdown().await;
}

#[tokio::test]
async fn the_last_port_has_none_after_it_for_reports() {
    let (_camera, pictures) = latest::channel();
    let to = "rtp://127.0.0.1:65535".parse().unwrap();
    let error = RtpSender::open(&to, RtpConfig::default(), pictures).await;
    let source = std::error::Error::source(&error.unwrap_err())
        .unwrap()
        .to_string();
    assert!(
        source.starts_with("127.0.0.1:65535 has no port after it"),
        "{source}"
    );
}

#[tokio::test]
async fn what_rtp_cannot_carry_is_compressed_again_and_told() {
    let gray = Picture::new(PixelFormat::Gray, 64, 48, vec![99; 64 * 48]).unwrap();
    let wide = Picture::new(PixelFormat::Rgb, 4_080, 16, vec![50; 4_080 * 16 * 3]).unwrap();
    let (width_px, height_px) = (4_080, 16);
    for (sent, why, size_px) in [
        (gray.clone(), CompressedAgain::NotJpeg, (64, 48)),
        (
            jpeg::encode(&gray, 90).unwrap(),
            NotCarried::Components(1).into(),
            (64, 48),
        ),
        (
            jpeg::encode(&wide, 90).unwrap(),
            NotCarried::Size {
                width_px,
                height_px,
            }
            .into(),
            (2_040, 8),
        ),
    ] {
        let (camera, server, to) = serve(RtpConfig::default()).await;
        let mut player = Player::connect(to).await;
        player.play(ON_THE_CONNECTION).await;
        camera.publish(sent);
        let arrived = Picture::from_jpeg(player.picture().await).unwrap();
        assert_eq!((arrived.width_px(), arrived.height_px()), size_px);
        jpeg::decode(&arrived).unwrap();
        assert_eq!(server.stats().compressed_again, Some(why));
        server.shutdown().await;
    }
}
