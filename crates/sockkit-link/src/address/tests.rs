use super::*;

const FILES: AddressDefaults = AddressDefaults::new(&[Scheme::Tcp, Scheme::Quic], 5010);

#[test]
fn what_is_left_out_is_filled_in() {
    for (text, full) in [
        ("desk.lan", "tcp://desk.lan:5010"),
        ("desk.lan.", "tcp://desk.lan.:5010"),
        ("my_pc-2:7000", "tcp://my_pc-2:7000"),
        ("192.168.1.20", "tcp://192.168.1.20:5010"),
        ("192.168.1.20:0", "tcp://192.168.1.20:0"),
        ("quic://192.168.1.20", "quic://192.168.1.20:5010"),
        ("7000", "tcp://:7000"),
        (":7000", "tcp://:7000"),
        ("*:7000", "tcp://:7000"),
        ("", "tcp://:5010"),
        ("quic://", "quic://:5010"),
        ("::1", "tcp://[::1]:5010"),
        ("[::1]", "tcp://[::1]:5010"),
        ("[::1]:7000", "tcp://[::1]:7000"),
        ("fe80::1%eth0", "tcp://[fe80::1%eth0]:5010"),
        ("quic://[fe80::1%2]:7000", "quic://[fe80::1%2]:7000"),
        ("::ffff:10.0.0.1", "tcp://[::ffff:10.0.0.1]:5010"),
    ] {
        assert_eq!(FILES.parse(text).unwrap().to_string(), full, "{text:?}");
    }
}

#[test]
fn the_full_form_is_read_back() {
    for text in [
        "tcp://desk.lan:5010",
        "tls://[::1]:0",
        "quic://[fe80::1%eth0]:7000",
        "udp://239.1.2.3:5006",
        "udp://:5006",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_address_says_what_is() {
    let error = |text| FILES.parse(text).unwrap_err();
    for text in ["udp://desk.lan:5010", "http://desk.lan", "TCP://desk.lan"] {
        let AddressError::Scheme { allowed, .. } = error(text) else {
            panic!("{text}: {}", error(text));
        };
        assert_eq!(allowed, "tcp:// or quic://");
    }
    for text in [
        "desk.lan:",
        "desk.lan:65536",
        "desk.lan:+1",
        "65536",
        "[::1]:x",
    ] {
        assert!(matches!(error(text), AddressError::Port(_)), "{text}");
    }
    for text in [
        "a b",
        "user@desk",
        "desk/path",
        "-desk",
        "desk-",
        "a..b",
        ".",
        "256.1.1.1",
        "1.2.3",
        "[desk.lan]:1",
        "[::1",
        "[::1]7000",
        ":::",
        "::1%",
        "::1%a/b",
        "한글",
        "desk\u{1b}[31m",
        &"a".repeat(64),
        &["abcdefg"; 33].join("."),
    ] {
        assert!(matches!(error(text), AddressError::Host(_)), "{text}");
    }
    let error = "tcp://desk.lan".parse::<Address>().unwrap_err();
    assert!(matches!(error, AddressError::NoPort(_)), "{error}");
}

#[test]
fn a_socket_address_is_a_host_with_its_zone() {
    for (text, shown) in [
        ("10.0.0.1:1", "10.0.0.1"),
        ("[::1]:1", "[::1]"),
        ("[fe80::1%7]:1", "[fe80::1%7]"),
    ] {
        let address: SocketAddr = text.parse().unwrap();
        assert_eq!(Host::from(address).to_string(), shown);
    }
}

#[test]
fn a_router_has_a_port_of_its_own_and_a_path() {
    const PICTURES: AddressDefaults = AddressDefaults::new(&[Scheme::Udp, Scheme::Zenoh], 5006);

    for (text, full, path) in [
        ("zenoh://hub/porch", "zenoh://hub:7447/porch", "porch"),
        ("zenoh://hub:7000/a/*", "zenoh://hub:7000/a/*", "a/*"),
        ("zenoh://[::1]/porch", "zenoh://[::1]:7447/porch", "porch"),
        ("zenoh:///porch", "zenoh://:7447/porch", "porch"),
        ("zenoh://hub", "zenoh://hub:7447", ""),
        ("zenoh://hub/", "zenoh://hub:7447", ""),
    ] {
        let read = PICTURES.parse(text).unwrap();
        assert_eq!((&*read.to_string(), read.path().as_str()), (full, path));
        assert_eq!(read.to_string().parse::<Address>().unwrap(), read);
    }
    let error = |text| PICTURES.parse(text).unwrap_err();
    assert!(matches!(error("zenoh://hub/a b"), AddressError::Path(_)));
    assert!(matches!(error("zenoh://a b/porch"), AddressError::Host(_)));
    assert!(matches!(error("udp://hub/porch"), AddressError::Host(_)));
}

#[test]
fn groups_and_unspecified_addresses_are_told_apart() {
    let read = |text: &str| text.parse::<Address>().unwrap();
    assert!(read("udp://239.1.2.3:1").group().is_some());
    assert!(read("udp://[ff02::1%lo]:1").group().is_some());
    assert!(read("udp://10.0.0.1:1").group().is_none());
    for text in ["tcp://:1", "tcp://0.0.0.0:1", "tcp://[::]:1"] {
        assert!(read(text).is_unspecified(), "{text}");
    }
    assert!(!read("tcp://localhost:1").is_unspecified());
}

#[tokio::test]
async fn names_and_zones_are_resolved() {
    let resolve = async |text: &str| text.parse::<Address>().unwrap().resolve().await;
    let found = resolve("tcp://localhost:5010").await.unwrap();
    assert!(found.iter().all(|found| found.ip().is_loopback()));
    assert_eq!(
        resolve("tcp://[fe80::1%7]:1").await.unwrap()[0].to_string(),
        "[fe80::1%7]:1"
    );
    let error = resolve("tcp://[fe80::1%no-such-interface]:1").await;
    assert!(matches!(error, Err(ResolveError::Zone { .. })), "{error:?}");
    let error = resolve("tcp://:1").await;
    assert!(
        matches!(error, Err(ResolveError::NoHost { .. })),
        "{error:?}"
    );
    let any: Address = "tcp://:1".parse().unwrap();
    assert_eq!(any.to_bind().await.unwrap().len(), 2);
}
