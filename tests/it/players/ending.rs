//! How players learn of an end: of the camera, of the server, or of their own requests.

use std::time::{Duration, Instant};

use sockkit::{
    picture::{Picture, PixelFormat, jpeg},
    rtp::jpeg::Depacketizer,
    sink::rtp::RtpConfig,
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
async fn a_picture_under_way_arrives_after_the_camera_has_ended() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut player = Player::connect(to).await;
    player.play(ON_THE_CONNECTION).await;
    let sent = large_picture();
    camera.publish(sent.clone());
    until(|| server.stats().sent == 1).await;
    drop(camera);
    let mut rest = player.rest().await;
    assert_eq!(rest.pictures.len(), 1);
    check_same_pixels(rest.pictures.remove(0), &sent);
    check_bye(rest.reports.last().unwrap());
    server.shutdown().await;
}

#[tokio::test]
async fn a_picture_under_way_arrives_while_the_server_shuts_down() {
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut player = Player::connect(to).await;
    player.play(ON_THE_CONNECTION).await;
    let sent = large_picture();
    camera.publish(sent.clone());
    until(|| server.stats().sent == 1).await;
    let begun = Instant::now();
    let shutdown = async {
        server.shutdown().await;
        begun.elapsed()
    };
    // What takes longer is cut off, as a player that does not read is.
    let reading = tokio::spawn(player.rest());
    let (took, rest) = join!(shutdown, reading);
    if took < Duration::from_secs(1) {
        let mut rest = rest.unwrap();
        assert_eq!(rest.pictures.len(), 1);
        check_same_pixels(rest.pictures.remove(0), &sent);
        check_bye(rest.reports.last().unwrap());
    }
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
