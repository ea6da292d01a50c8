//! Players that mean harm, or do not read.

use std::time::Duration;

use sockkit::sink::rtp::RtpConfig;
use tokio::io::AsyncWriteExt;

use super::{ON_THE_CONNECTION, Player, check_same_pixels, picture, serve};
use crate::wait::soon;

#[tokio::test]
async fn malformed_requests_are_refused_and_end_the_connection() {
    let (_camera, server, to) = serve(RtpConfig::default()).await;
    for (said, status) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"PLAY / RTSP/2.0\r\nCSeq: 1\r\n\r\n".to_vec(), 505),
        (b"PLAY / RTSP/1.0\r\n\r\n".to_vec(), 400),
        (
            [&b"PLAY / RTSP/1.0\r\nA: "[..], &[b'a'; 5_000]].concat(),
            400,
        ),
        (
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n\n".to_vec(),
            400,
        ),
    ] {
        let mut player = Player::connect(to).await;
        player.stream.write_all(&said).await.unwrap();
        let response = loop {
            if let Some(response) = player.take_response() {
                break response;
            }
            assert!(
                player.read().await.unwrap() > 0,
                "closed without a response"
            );
        };
        let expected = format!("RTSP/1.0 {status} ");
        assert!(response.starts_with(&expected), "{response}");
        player.is_closed().await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn no_other_host_is_sent_to() {
    let (_camera, server, to) = serve(RtpConfig::default()).await;
    let mut player = Player::connect(to).await;
    for (transport, status) in [
        (
            "RTP/AVP;unicast;destination=192.0.2.1;client_port=5000-5001",
            463,
        ),
        ("RTP/AVP;unicast;client_port=53-54", 461),
        ("RTP/AVP;multicast", 461),
    ] {
        let response = player
            .ask("SETUP", &format!("Transport: {transport}\r\n"))
            .await;
        let expected = format!("RTSP/1.0 {status} ");
        assert!(response.starts_with(&expected), "{response}");
    }
    server.shutdown().await;
}

/// The one that reads gets every picture; the other is disconnected.
#[tokio::test]
async fn a_player_that_never_reads_disturbs_no_other() {
    let config = RtpConfig::default().write_timeout(Duration::from_millis(300));
    let (camera, server, to) = serve(config).await;
    let mut silent = Player::connect(to).await;
    silent.play(ON_THE_CONNECTION).await;
    let mut player = Player::connect(to).await;
    player.play(ON_THE_CONNECTION).await;
    assert_eq!(server.stats().players, 2);
    let mut number = 0;
    soon(async {
        while server.stats().players == 2 {
            let sent = picture(number);
            camera.publish(sent.clone());
            check_same_pixels(player.picture().await, &sent);
            number += 1;
        }
    })
    .await;
    let sent = picture(number);
    camera.publish(sent.clone());
    check_same_pixels(player.picture().await, &sent);
    server.shutdown().await;
}

#[tokio::test]
async fn a_player_at_its_ports_that_is_silent_is_given_up() {
    let config = RtpConfig::default().session_timeout(Duration::from_millis(50));
    let (_camera, server, to) = serve(config).await;
    let mut player = Player::connect(to).await;
    player.play("RTP/AVP;unicast;client_port=50000-50001").await;
    player.is_closed().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_host_has_its_share_of_players() {
    let config = RtpConfig::default().max_players(8).max_players_per_host(2);
    let (_camera, server, to) = serve(config).await;
    let mut players = Vec::new();
    for _ in 0..2 {
        let mut player = Player::connect(to).await;
        player.ask("OPTIONS", "").await;
        players.push(player);
    }
    let mut third = Player::connect(to).await;
    while third.take_response().is_none() {
        // Refused by a response, or by a reset that overtakes it.
        match third.read().await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    third.is_closed().await;
    for player in &mut players {
        player.ask("OPTIONS", "").await;
    }
    server.shutdown().await;
}
