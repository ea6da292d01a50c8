//! How players learn of an end: of the camera, of the server, or of their own requests.

use std::time::{Duration, Instant};

use sockkit::{
    latest::Publisher,
    picture::{Picture, PixelFormat, jpeg},
    rtp::jpeg::Depacketizer,
    sink::rtp::{RtpConfig, RtspServer},
};
use tokio::{io::AsyncWriteExt, join};

use super::{
    MAX_PICTURE_BYTES, ON_THE_CONNECTION, Player, check_bye, check_same_pixels, picture,
    picture_from, serve, two_ports,
};
use crate::wait::{soon, until};

/// What arrives up to the end of the connection, which must be in order.
struct Rest {
    pictures: Vec<bytes::Bytes>,
    reports: Vec<bytes::BytesMut>,
}

impl Player {
    /// Reads to the end, and closes.
    async fn rest(mut self) -> Rest {
        let mut depacketizer = Depacketizer::new(MAX_PICTURE_BYTES);
        let (mut pictures, mut reports) = (Vec::new(), Vec::new());
        loop {
            while let Some((channel, packet)) = self.take_packet() {
                match channel {
                    0 => pictures.extend(depacketizer.handle_packet(&packet).unwrap()),
                    _ => reports.push(packet),
                }
            }
            if self.read().await.unwrap() == 0 {
                assert!(self.inbound.is_empty(), "ends within a packet");
                return Rest { pictures, reports };
            }
        }
    }
}

/// A picture that no buffers of a connection hold as a whole.
fn large_picture() -> Picture {
    let (width, height) = (2_040, 1_360);
    let mut pixels = vec![0; width * height * 3];
    fastrand::Rng::with_seed(1).fill(&mut pixels);
    let side = |side| u32::try_from(side).unwrap();
    let raw = Picture::new(PixelFormat::Rgb, side(width), side(height), pixels).unwrap();
    let large = jpeg::encode(&raw, 90).unwrap();
    assert!(large.data().len() > 2 << 20);
    large
}

#[tokio::test]
async fn the_end_of_the_camera_is_the_end_of_each_player() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut connected = Player::connect(to).await;
    connected.play(ON_THE_CONNECTION).await;
    let (rtp, rtcp) = two_ports().await;
    let [one, other] = [&rtp, &rtcp].map(|socket| socket.local_addr().unwrap().port());
    let mut at_ports = Player::connect(to).await;
    at_ports
        .play(&format!("RTP/AVP;unicast;client_port={one}-{other}"))
        .await;
    camera.publish(picture(0));
    check_same_pixels(connected.picture().await, &picture(0));
    check_same_pixels(picture_from(&rtp).await, &picture(0));
    drop(camera);
    let rest = connected.rest().await;
    check_bye(rest.reports.last().unwrap());
    assert_eq!(at_ports.read().await.unwrap(), 0);
    let mut report = [0; 100];
    soon(rtcp.recv(&mut report)).await.unwrap();
    let bytes = soon(rtcp.recv(&mut report)).await.unwrap();
    check_bye(&report[..bytes]);
    let mut late = Player::connect(to).await;
    late.play(ON_THE_CONNECTION).await;
    assert!(late.rest().await.pictures.is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn a_player_that_was_paused_learns_of_the_end_when_it_plays() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut playing = Player::connect(to).await;
    playing.play(ON_THE_CONNECTION).await;
    let mut paused = Player::connect(to).await;
    paused.play(ON_THE_CONNECTION).await;
    camera.publish(picture(0));
    check_same_pixels(paused.picture().await, &picture(0));
    paused.ask("PAUSE", "").await;
    drop(camera);
    // By then the server knows.
    playing.rest().await;
    let response = paused.ask("PLAY", "").await;
    assert!(response.starts_with("RTSP/1.0 200 "), "{response}");
    let rest = paused.rest().await;
    assert!(rest.pictures.is_empty());
    check_bye(rest.reports.last().expect("a BYE"));
    server.shutdown().await;
}

/// A picture on its way to a player that has not read it.
struct UnderWay {
    camera: Publisher<Picture>,
    server: RtspServer,
    player: Player,
    picture: Picture,
}

impl UnderWay {
    async fn begin() -> Self {
        let (camera, server, to) = serve(RtpConfig::default()).await;
        let mut player = Player::connect(to).await;
        player.play(ON_THE_CONNECTION).await;
        let picture = large_picture();
        camera.publish(picture.clone());
        until(|| server.stats().sent == 1).await;
        Self {
            camera,
            server,
            player,
            picture,
        }
    }
}

impl Rest {
    #[track_caller]
    fn check_last(mut self, sent: &Picture) {
        assert_eq!(self.pictures.len(), 1);
        check_same_pixels(self.pictures.remove(0), sent);
        check_bye(self.reports.last().unwrap());
    }
}

#[tokio::test]
async fn a_picture_under_way_arrives_after_the_camera_has_ended() {
    let under_way = UnderWay::begin().await;
    drop(under_way.camera);
    under_way.player.rest().await.check_last(&under_way.picture);
    under_way.server.shutdown().await;
}

#[tokio::test]
async fn a_picture_under_way_arrives_while_the_server_shuts_down() {
    for _ in 0..20 {
        let under_way = UnderWay::begin().await;
        let begun = Instant::now();
        let shutdown = async {
            under_way.server.shutdown().await;
            begun.elapsed()
        };
        let reading = tokio::spawn(under_way.player.rest());
        let (took, rest) = join!(shutdown, reading);
        // What takes longer is cut off, as a player that does not read is.
        if took < Duration::from_secs(1) {
            return rest.unwrap().check_last(&under_way.picture);
        }
    }
    panic!("each shutdown took a second");
}

#[tokio::test]
async fn after_a_shutdown_no_picture_is_taken() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut player = Player::connect(to).await;
    player.play(ON_THE_CONNECTION).await;
    soon(server.shutdown()).await;
    assert_eq!(camera.subscribers(), 0);
}

#[tokio::test]
async fn a_client_that_asks_and_closes_its_side_is_answered() {
    let (_camera, server, to) = serve(RtpConfig::default()).await;
    for _ in 0..20 {
        let mut client = Player::connect(to).await;
        let requests: String = (0..20)
            .map(|number| format!("OPTIONS * RTSP/1.0\r\nCSeq: {number}\r\n\r\n"))
            .collect();
        client.stream.write_all(requests.as_bytes()).await.unwrap();
        client.stream.shutdown().await.unwrap();
        while client.read().await.unwrap() > 0 {}
        let responses = std::iter::from_fn(|| client.take_response());
        assert_eq!(responses.count(), 20);
    }
    server.shutdown().await;
}
