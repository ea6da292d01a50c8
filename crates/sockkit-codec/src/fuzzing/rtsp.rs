//! What a player sends to an RTSP server.

use std::time::Instant;

use crate::{
    rtp::sdp::Description,
    rtsp::{
        Handled, Inbound, MAX_PARTIAL_BYTES, Ports, RequestReader, Session, SessionConfig,
        Transport,
    },
};

/// What one client sends, in two pieces; it all arrives `now`.
pub fn rtsp(now: Instant, input: &[u8]) {
    let camera = Description::new("camera", [127, 0, 0, 1].into());
    let config = SessionConfig::new([127, 0, 0, 1].into(), 1);
    let mut session = Session::new(config, now);
    let mut reader = RequestReader::default();
    let cut = usize::from(input.last().copied().unwrap_or_default()).min(input.len());
    let (one, other) = input.split_at(cut);
    for part in [one, other] {
        reader.push(part);
        loop {
            let request = match reader.poll() {
                Ok(Some(Inbound::Request(request))) => request,
                Ok(Some(Inbound::Interleaved { .. })) => continue,
                Ok(None) => break,
                Err(_) => return,
            };
            let reply = match session.handle_request(now, &request, &camera) {
                Handled::Reply(reply) => reply,
                Handled::Bind { client } => {
                    assert!(client.rtp.min(client.rtcp) >= 1_024, "{client:?}");
                    session.bound(Some(Ports { rtp: 2, rtcp: 3 }))
                }
            }
            .to_bytes();
            let lines = reply.split(|&byte| byte == b'\n').count();
            assert!(lines < 25, "{}", String::from_utf8_lossy(&reply));
            assert!(reply.len() < 8_000, "a reply of {} bytes", reply.len());
        }
        let kept = reader.buffered_bytes();
        assert!(kept <= MAX_PARTIAL_BYTES, "{kept} bytes are kept");
    }
    if let Some(Transport::Udp { server, .. }) = session.playing() {
        assert_eq!((server.rtp, server.rtcp), (2, 3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::tests::over_garbage;

    #[test]
    fn requests_of_garbage() {
        over_garbage(7, b"PLAY / RTSP/1.0\r\n\r\nCSeq: 1$\0\x03", |input| {
            rtsp(Instant::now(), input);
        });
        // Sound requests, some of them spoilt: these get past the parser.
        let sound = [
            "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
            "DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n",
            "SETUP rtsp://a/track1 RTSP/1.0\r\nCSeq: 3\r\n\
             Transport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\n",
            "SETUP rtsp://a/ RTSP/1.0\r\nCSeq: 3\r\n\
             Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
            "PLAY rtsp://a/ RTSP/1.0\r\nCSeq: 4\r\nSession: 0000000000000001\r\n\r\n",
            "$\0\0\x08\r\n\r\n$$$$",
            "GET_PARAMETER / RTSP/1.0\r\nCSeq: 5\r\nContent-Length: 4\r\n\r\nabcd",
            "TEARDOWN / RTSP/1.0\r\nCSeq: 6\r\nSession: 0000000000000001\r\n\r\n",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..10_000 {
            let mut input = Vec::new();
            for _ in 0..random.usize(1..6) {
                input.extend(random.choice(sound).unwrap().as_bytes());
            }
            for _ in 0..random.usize(..4) {
                let place = random.usize(..input.len().max(1));
                if place + 1 >= input.len() {
                    break;
                }
                match random.u8(..4) {
                    0 => input[place] = random.u8(..),
                    1 => drop(input.remove(place)),
                    2 => drop(input.splice(place..place, vec![b'a'; random.usize(..6_000)])),
                    _ => input.truncate(place.max(1)),
                }
            }
            rtsp(Instant::now(), &input);
        }
    }
}
