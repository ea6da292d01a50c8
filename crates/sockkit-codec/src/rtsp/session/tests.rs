use super::*;
use crate::rtsp::{Inbound, RequestReader};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const SERVER: Ports = Ports {
    rtp: 6_000,
    rtcp: 6_001,
};

/// A session, and the requests to it.
struct Client {
    session: Session,
    now: Instant,
    number: u32,
}

impl Client {
    fn new() -> Self {
        let now = Instant::now();
        let config = SessionConfig::new(PEER, 0xabc).ssrc(0x1234);
        let mut session = Session::new(config, now);
        session.set_sequence(99);
        Self {
            session,
            now,
            number: 0,
        }
    }

    /// The response to a request with these further headers.
    fn ask(&mut self, method: &str, url: &str, headers: &str) -> String {
        self.number += 1;
        let number = self.number;
        let text = format!("{method} {url} RTSP/1.0\r\nCSeq: {number}\r\n{headers}\r\n");
        let mut reader = RequestReader::default();
        reader.push(text.as_bytes());
        let Ok(Some(Inbound::Request(request))) = reader.poll() else {
            panic!("{text}");
        };
        let camera = Description::new("camera", [192, 0, 2, 1].into());
        let reply = match self.session.handle_request(self.now, &request, &camera) {
            Handled::Reply(reply) => reply,
            Handled::Bind { .. } => self.session.bound(Some(SERVER)),
        };
        String::from_utf8(reply.to_bytes()).unwrap()
    }

    #[track_caller]
    fn check(&mut self, method: &str, headers: &str, expected: u16) -> String {
        let response = self.ask(method, "rtsp://cam:8554/", headers);
        let expected = format!("RTSP/1.0 {expected} ");
        assert!(response.starts_with(&expected), "{method}: {response}");
        let number = format!("\r\nCSeq: {}\r\n", self.number);
        assert!(response.contains(&number), "{response}");
        response
    }

    fn set_up(&mut self) {
        let response = self.check("SETUP", UDP, 200);
        assert!(response.contains("\r\nSession: 0000000000000abc;timeout=60\r\n"));
    }
}

const UDP: &str = "Transport: RTP/AVP/UDP;unicast;client_port=5000-5001\r\n";
const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
const SESSION: &str = "Session: 0000000000000abc\r\n";

#[test]
fn a_player_over_udp_is_served() {
    let mut client = Client::new();
    let options = client.check("OPTIONS", "", 200);
    assert!(options.contains(&format!("\r\nPublic: {METHODS}\r\n")));
    let described = client.check("DESCRIBE", "Accept: application/sdp\r\n", 200);
    assert!(described.contains("\r\nContent-Base: rtsp://cam:8554/\r\n"));
    assert!(described.contains("\r\n\r\nv=0\r\n"), "{described}");
    assert!(described.ends_with("a=control:track1\r\n"), "{described}");
    let set_up = client.ask("SETUP", "rtsp://cam:8554/track1", UDP);
    let transport = "\r\nTransport: RTP/AVP;unicast;client_port=5000-5001;\
        server_port=6000-6001;ssrc=00001234\r\n";
    assert!(set_up.contains(transport), "{set_up}");
    assert_eq!(client.session.playing(), None);
    let playing = client.check("PLAY", SESSION, 200);
    let info = "\r\nRTP-Info: url=rtsp://cam:8554/track1;seq=99\r\n";
    assert!(playing.contains(info), "{playing}");
    let client_ports = Ports {
        rtp: 5_000,
        rtcp: 5_001,
    };
    let expected = Transport::Udp {
        client: client_ports,
        server: SERVER,
    };
    assert_eq!(client.session.playing(), Some(expected));
    client.check("GET_PARAMETER", SESSION, 200);
    client.session.set_sequence(105);
    client.check("PAUSE", SESSION, 200);
    assert_eq!(client.session.playing(), None);
    let playing = client.check("PLAY", SESSION, 200);
    assert!(playing.contains("/track1;seq=105\r\n"), "{playing}");
    client.check("TEARDOWN", SESSION, 200);
    assert_eq!(client.session.playing(), None);
    assert!(client.session.is_over());
}

#[test]
fn a_player_over_its_connection_is_served() {
    let mut client = Client::new();
    let set_up = client.check("SETUP", TCP, 200);
    let transport = "\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00001234\r\n";
    assert!(set_up.contains(transport), "{set_up}");
    client.check("PLAY", SESSION, 200);
    let expected = Transport::Interleaved { rtp: 0, rtcp: 1 };
    assert_eq!(client.session.playing(), Some(expected));
}

/// By whichever URL it is described, the control beside it leads to the track.
#[test]
fn a_description_of_the_track_leads_to_the_track() {
    let mut client = Client::new();
    for url in ["rtsp://cam", "rtsp://cam/track1", "rtsp://cam/track1/?x=1"] {
        let described = client.ask("DESCRIBE", url, "");
        assert!(described.contains("\r\na=control:track1\r\n"));
        let mut headers = described.lines();
        let base = headers.find_map(|line| line.strip_prefix("Content-Base: "));
        let set_up = client.ask("SETUP", &format!("{}track1", base.unwrap()), UDP);
        assert!(set_up.starts_with("RTSP/1.0 200 "), "{url}: {set_up}");
    }
}

#[test]
fn a_session_without_an_end_has_a_deadline() {
    let now = Instant::now();
    let config = SessionConfig::new(PEER, 0xabc).timeout(Duration::MAX);
    let mut client = Client::new();
    client.session = Session::new(config, now);
    let set_up = client.check("SETUP", UDP, 200);
    assert!(set_up.contains(";timeout=31536000\r\n"), "{set_up}");
    assert!(client.session.deadline() > now + Duration::from_secs(86_400));
}

#[test]
fn what_is_out_of_turn_changes_nothing() {
    let mut client = Client::new();
    for method in ["PLAY", "PAUSE", "TEARDOWN"] {
        client.check(method, "", 455);
    }
    client.check("SETUP", "", 400);
    client.check("SETUP", "Transport: RTP/SAVP\r\n", 461);
    client.set_up();
    client.check("PLAY", "", 454);
    client.check("PLAY", "Session: 1\r\n", 454);
    client.check("GET_PARAMETER", "Session: 1\r\n", 454);
    client.check("TEARDOWN", "Session: 1\r\n", 454);
    assert_eq!(client.session.playing(), None);
    client.check("PLAY", SESSION, 200);
    client.check("SETUP", &[SESSION, TCP].concat(), 455);
    client.check("TEARDOWN", SESSION, 200);
    client.check("PLAY", SESSION, 455);
}

#[test]
fn other_streams_methods_and_extensions_are_refused() {
    let mut client = Client::new();
    for method in ["DESCRIBE", "SETUP"] {
        let response = client.ask(method, "rtsp://cam/attic", UDP);
        assert!(response.starts_with("RTSP/1.0 404 "), "{response}");
    }
    for method in ["RECORD", "ANNOUNCE", "SET_PARAMETER", "options", "REDIRECT"] {
        let response = client.check(method, "", 405);
        assert!(response.contains(&format!("\r\nAllow: {METHODS}\r\n")));
    }
    let response = client.check("OPTIONS", "Require: funky\r\n", 551);
    assert!(response.contains("\r\nUnsupported: funky\r\n"));
}

#[test]
fn datagrams_go_to_no_other_host() {
    let mut client = Client::new();
    let aimed = "Transport: RTP/AVP;unicast;destination=192.0.2.8;client_port=5000-5001\r\n";
    client.check("SETUP", aimed, 463);
    client.check("PLAY", SESSION, 455);
}

#[test]
fn without_ports_there_is_no_session() {
    let mut client = Client::new();
    let request = "SETUP rtsp://cam/ RTSP/1.0\r\nCSeq: 5\r\n".to_owned() + UDP + "\r\n";
    let mut reader = RequestReader::default();
    reader.push(request.as_bytes());
    let Ok(Some(Inbound::Request(request))) = reader.poll() else {
        panic!("it is whole");
    };
    let camera = Description::new("camera", PEER);
    let handled = client.session.handle_request(client.now, &request, &camera);
    assert!(matches!(handled, Handled::Bind { .. }), "{handled:?}");
    let reply = client.session.bound(None);
    assert_eq!(reply.status(), Status::ServiceUnavailable);
    client.check("PLAY", SESSION, 455);
    let reply = client.session.bound(Some(SERVER));
    assert_eq!(reply.status(), Status::NotValidInThisState);
    assert_eq!(client.session.playing(), None);
}

#[test]
fn only_requests_prolong_a_session() {
    let mut client = Client::new();
    let begun = client.now;
    assert_eq!(client.session.deadline(), begun + Duration::from_secs(15));
    client.now += Duration::from_secs(10);
    client.set_up();
    assert_eq!(client.session.deadline(), begun + Duration::from_secs(70));
    client.now += Duration::from_secs(59);
    client.check("GET_PARAMETER", SESSION, 200);
    assert_eq!(client.session.deadline(), begun + Duration::from_secs(129));
    client
        .session
        .handle_sign_of_life(begun + Duration::from_secs(80));
    assert_eq!(client.session.deadline(), begun + Duration::from_secs(140));
}
