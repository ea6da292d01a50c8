//! Whole nodes over TCP and QUIC, and liars that speak by hand.

use std::{net::SocketAddr, time::Duration};

use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;
use crate::{
    Acceptor, Address, Connection, DialError, Node, Scheme,
    identity::{Identity, StateFolder},
    pairing::{News, Offer, OfferEvent, PairingError, ProvedBy, Uses, protocol},
    quic,
    trust::{PeerStore, Right, Trust},
};

pub(super) const SCHEMES: [Scheme; 2] = [Scheme::Tcp, Scheme::Quic];

pub(super) fn identity(name: &str) -> Identity {
    Identity::throw_away().unwrap().named(name)
}

pub(super) fn node(identity: &Identity, trust: Trust) -> Node {
    Node::default().authenticate(identity.clone(), trust)
}

pub(super) async fn listen(scheme: Scheme, node: &Node) -> Acceptor {
    let at = Address::new(scheme, SocketAddr::from(([127, 0, 0, 1], 0)).into(), 0);
    node.listen(&at).await.unwrap()
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what)
        .await
        .expect("in time")
}

pub(super) fn typed(code: Option<Code>) -> Trust {
    Trust::none().code(TypedCode::new(code.expect("one is shown")))
}

pub(super) fn store() -> (TempDir, PeerStore) {
    let home = tempdir().unwrap();
    let store = PeerStore::new(&StateFolder::at(home.path().join("state")));
    (home, store)
}

/// Why the peer was not talked to.
pub(super) fn why(dialled: Result<Connection, DialError>) -> PairingError {
    match dialled.expect_err("it was talked to") {
        DialError::NotTrusted { source, .. } => source,
        error => panic!("{error:?}"),
    }
}

fn refused(dialled: Result<Connection, DialError>) -> Refusal {
    match why(dialled) {
        PairingError::Refused(refusal) => refusal,
        error => panic!("{error:?}"),
    }
}

async fn event(news: &mut News) -> OfferEvent {
    soon(news.next()).await.unwrap()
}

#[tokio::test]
async fn a_code_pairs_and_from_then_on_the_keys_do() {
    for scheme in SCHEMES {
        let (_here, here) = store();
        let (_there, there) = store();
        let (desk, laptop) = (identity("desk"), identity("me@laptop"));
        let (offer, mut news) = Offer::new(Uses::Once).unwrap();
        let by_code = typed(offer.code());
        let shows = Trust::none()
            .known(there.clone(), Right::Give)
            .offer(offer.clone());
        let mut acceptor = listen(scheme, &node(&desk, shows)).await;
        let to = acceptor.address();
        assert_eq!(to.scheme(), scheme);

        let dials = node(&laptop, by_code.known(here.clone(), Right::Take));
        let (dialled, accepted) =
            soon(async { tokio::join!(dials.dial(&to), acceptor.accept()) }).await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        let (listener, dialler) = (dialled.peer().unwrap(), accepted.peer().unwrap());
        assert_eq!(listener.fingerprint, desk.fingerprint());
        assert_eq!(listener.name.as_deref(), Some("desk"));
        assert_eq!(listener.by, ProvedBy::Code);
        assert_eq!(dialler.fingerprint, laptop.fingerprint());
        assert_eq!(dialler.name.as_deref(), Some("me@laptop"));
        assert!(dialled.is_encrypted() && accepted.is_encrypted());
        dialled.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        assert_eq!(event(&mut news).await, OfferEvent::Paired);
        assert_eq!(offer.code(), None, "it was used");
        // Who showed the code grants; who typed it does not.
        assert_eq!(there.named("me@laptop").unwrap().rights.to_string(), "give");
        assert_eq!(here.named("desk").unwrap().rights.to_string(), "none");

        let later = node(&laptop, Trust::none().known(here, Right::Take));
        let (again, accepted) =
            soon(async { tokio::join!(later.dial(&to), acceptor.accept()) }).await;
        assert_eq!(again.unwrap().peer().unwrap().by, ProvedBy::Known);
        assert_eq!(accepted.unwrap().peer().unwrap().by, ProvedBy::Known);
    }
}

#[tokio::test]
async fn without_a_code_or_a_known_key_nothing_is_said() {
    for scheme in SCHEMES {
        let (desk, laptop) = (identity("desk"), identity("laptop"));
        let acceptor = listen(scheme, &node(&desk, Trust::none())).await;
        let to = acceptor.address();
        let stranger = soon(node(&laptop, Trust::none()).dial(&to)).await;
        match why(stranger) {
            PairingError::Unknown { fingerprint } => assert_eq!(fingerprint, desk.fingerprint()),
            error => panic!("{error:?}"),
        }
        let pinned = Trust::none().pinned(desk.fingerprint());
        let one_sided = soon(node(&laptop, pinned).dial(&to)).await;
        assert_eq!(refused(one_sided), Refusal::Unknown);
        let offers_none = soon(node(&laptop, typed(Some(code("7-coral-lamp")))).dial(&to)).await;
        assert_eq!(refused(offers_none), Refusal::NoCode);
    }
}

#[tokio::test]
async fn a_key_that_may_give_files_may_not_watch() {
    for scheme in SCHEMES {
        let (_home, known) = store();
        let (desk, laptop) = (identity("desk"), identity("laptop"));
        known
            .remember(laptop.fingerprint(), "laptop", Some(Right::Give))
            .unwrap();
        let trust = Trust::none().known(known.clone(), Right::Watch);
        let mut acceptor = listen(scheme, &node(&desk, trust)).await;
        let to = acceptor.address();
        let dials = node(&laptop, Trust::none().pinned(desk.fingerprint()));
        assert_eq!(refused(soon(dials.dial(&to)).await), Refusal::NotAllowed);
        // Its user may change that while the program runs.
        known
            .set_rights(laptop.fingerprint(), "give,watch".parse().unwrap())
            .unwrap();
        let (dialled, accepted) =
            soon(async { tokio::join!(dials.dial(&to), acceptor.accept()) }).await;
        assert!(dialled.is_ok() && accepted.is_ok());
    }
}

#[tokio::test]
async fn three_wrong_codes_burn_it_and_the_next_one_is_shown() {
    for scheme in SCHEMES {
        let (offer, mut news) = Offer::of(code("7-coral-lamp"), Uses::Once).unwrap();
        let desk = identity("desk");
        let acceptor = listen(scheme, &node(&desk, Trust::none().offer(offer.clone()))).await;
        let to = acceptor.address();
        let laptop = identity("laptop");
        let wrong = node(&laptop, typed(Some(code("7-coral-river"))));
        for _ in 0..3 {
            assert_eq!(refused(soon(wrong.dial(&to)).await), Refusal::Wrong);
        }
        // The dialler's own count ends it before the listener's does.
        assert!(matches!(
            why(soon(wrong.dial(&to)).await),
            PairingError::Spent
        ));
        let from = acceptor.local_addr().ip();
        let burnt = OfferEvent::Burnt {
            from: vec![from],
            next: None,
        };
        assert_eq!(event(&mut news).await, burnt);
        let right = node(&laptop, typed(Some(code("7-coral-lamp"))));
        assert_eq!(refused(soon(right.dial(&to)).await), Refusal::NoCode);
    }
}

#[tokio::test]
async fn a_burnt_code_that_was_drawn_is_replaced() {
    let (offer, mut news) = Offer::new(Uses::Once).unwrap();
    let first = offer.code().unwrap();
    for _ in 0..3 {
        drop(
            offer
                .begin(first.wire_number(), [127, 0, 0, 1].into())
                .unwrap(),
        );
    }
    assert_eq!(offer.code(), None);
    let OfferEvent::Burnt { next: burnt, .. } = event(&mut news).await else {
        panic!("it is burnt");
    };
    assert_eq!(burnt, offer.code());
    assert_ne!(burnt, Some(first));
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_another_code_is_shown() {
    let began = tokio::time::Instant::now();
    let (offer, mut news) = Offer::new(Uses::Once).unwrap();
    let first = offer.code();
    let OfferEvent::Expired { next } = news.next().await.unwrap() else {
        panic!("it has expired");
    };
    // The clock of a paused runtime counts milliseconds.
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_secs(600) && elapsed < Duration::from_secs(601));
    assert_eq!(next, offer.code());
    assert_ne!(next, first);
}

/// Twenty that guess at the same time, over connections of their own.
#[tokio::test]
async fn side_by_side_no_more_are_answered_than_there_are_guesses() {
    for scheme in SCHEMES {
        let (offer, _news) = Offer::of(code("7-coral-lamp"), Uses::Once).unwrap();
        let desk = node(&identity("desk"), Trust::none().offer(offer));
        let acceptor = listen(
            scheme,
            &desk.max_connections(64).max_connections_per_address(64),
        )
        .await;
        let to = acceptor.address();
        let guess = async |_| {
            let laptop = node(&identity("x"), typed(Some(code("7-coral-river"))));
            refused(laptop.dial(&to).await)
        };
        let told = soon(futures::future::join_all((0..20).map(guess))).await;
        let answered = told
            .iter()
            .filter(|refusal| **refusal == Refusal::Wrong)
            .count();
        assert_eq!(answered, 3, "{told:?}");
        let left = told
            .iter()
            .filter(|refusal| matches!(refusal, Refusal::Busy | Refusal::NoCode));
        assert_eq!(left.count(), 17, "{told:?}");
    }
}

/// Many may use one code, while one guesses.
#[tokio::test]
async fn a_room_is_paired_by_one_code() {
    let (offer, _news) = Offer::new(Uses::Many).unwrap();
    let shown = offer.code();
    assert_eq!(shown.as_ref().unwrap().number(), None);
    let desk = node(&identity("desk"), Trust::none().offer(offer));
    let mut acceptor = listen(Scheme::Tcp, &desk.max_connections_per_address(40)).await;
    let to = acceptor.address();
    for _ in 0..30 {
        let member = node(&identity("member"), typed(shown.clone()));
        let (dialled, accepted) =
            soon(async { tokio::join!(member.dial(&to), acceptor.accept()) }).await;
        assert!(dialled.is_ok() && accepted.is_ok());
        let wrong = node(&identity("x"), typed(Some(code("coral-lamp-orbit"))));
        assert_eq!(refused(soon(wrong.dial(&to)).await), Refusal::Wrong);
    }
}

/// A listener by hand, which takes part in the encryption.
pub(super) struct Liar {
    tls: tokio_rustls::TlsAcceptor,
    tcp: tokio::net::TcpListener,
}

impl Liar {
    pub(super) async fn new(identity: &Identity) -> (Self, SocketAddr) {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = tcp.local_addr().unwrap();
        let keys = identity.listener(&protocol(quic::PROTOCOL)).unwrap();
        let tls = std::sync::Arc::new(keys).into();
        (Self { tls, tcp }, at)
    }

    pub(super) async fn accept(&self) -> tokio_rustls::server::TlsStream<tokio::net::TcpStream> {
        let (tcp, _) = self.tcp.accept().await.unwrap();
        self.tls.accept(tcp).await.unwrap()
    }
}

/// It sends an element, takes the tag, by which it can check one guess, and hangs
/// up; or it hangs up before.
#[tokio::test]
async fn a_listener_that_hangs_up_after_the_tag_has_had_its_guess() {
    for (after_tag, dials) in [(false, 10), (true, 3)] {
        let laptop = node(&identity("laptop"), typed(Some(code("7-coral-lamp"))));
        let (liar, at) = Liar::new(&identity("liar")).await;
        let to = Address::new(Scheme::Tcp, at.into(), at.port());
        let answering = tokio::spawn(async move {
            for _ in 0..dials {
                let mut stream = liar.accept().await;
                let mut hello = [0; Hello::BYTES + ELEMENT_BYTES];
                stream.read_exact(&mut hello).await.unwrap();
                if after_tag {
                    let own = element(Role::Listener, &bound(1), &code("7-coral-river"));
                    stream.write_all(&[&[0], &own[..]].concat()).await.unwrap();
                    stream.read_exact(&mut [0; 32]).await.unwrap();
                }
            }
            liar
        });
        for _ in 0..dials {
            assert!(matches!(
                why(soon(laptop.dial(&to)).await),
                PairingError::Io(_)
            ));
        }
        let liar = soon(answering).await.unwrap();
        if after_tag {
            let (dialled, mut stream) =
                soon(async { tokio::join!(laptop.dial(&to), liar.accept()) }).await;
            assert!(matches!(why(dialled), PairingError::Spent));
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert_eq!(said, b"", "not a byte of the code");
        }
    }
}

#[tokio::test]
async fn a_peer_in_the_clear_is_told_from_one_that_encrypts() {
    let plain = listen(Scheme::Tcp, &Node::default()).await;
    let to = plain.address();
    let laptop = node(&identity("laptop"), typed(Some(code("7-coral-lamp"))));
    let mut plain = plain;
    let answers = async {
        let mut accepted = plain.accept().await.unwrap();
        accepted
            .write_all(b"\0\0\0\0\0\0\0\x08\x01SKFT\0\x02\0")
            .await
            .unwrap();
        let _ = accepted.read_to_end(&mut Vec::new()).await;
    };
    let dialled = soon(async { tokio::join!(laptop.dial(&to), answers).0 }).await;
    assert!(matches!(why(dialled), PairingError::Plain));
}

/// A host at its limit does the same: no reason to try it without encryption.
#[tokio::test]
async fn a_peer_that_hangs_up_is_not_called_one_in_the_clear() {
    let laptop = node(&identity("laptop"), typed(Some(code("7-coral-lamp"))));
    for reads in [false, true] {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = tcp.local_addr().unwrap();
        let to = Address::new(Scheme::Tcp, at.into(), at.port());
        let answers = async {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut hello = [0; 4_096];
            // What was not read makes it a reset.
            if reads {
                assert_ne!(stream.read(&mut hello).await.unwrap(), 0);
            } else {
                stream.readable().await.unwrap();
            }
        };
        let dialled = soon(async { tokio::join!(laptop.dial(&to), answers).0 }).await;
        let error = why(dialled);
        assert!(matches!(error, PairingError::Closed), "{error:?}");
        assert!(!error.to_string().contains("--plain"));
    }
}

/// Those who listen in see no name that the user typed.
#[tokio::test]
async fn the_name_in_the_clear_is_the_same_for_all_hosts() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let to: Address = format!("tcp://localhost:{port}").parse().unwrap();
    let laptop = node(&identity("laptop"), typed(Some(code("7-coral-lamp"))));
    let hears = async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut header = [0; 5];
        stream.read_exact(&mut header).await.unwrap();
        let mut hello = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
        stream.read_exact(&mut hello).await.unwrap();
        hello
    };
    let hello = soon(async { tokio::join!(laptop.dial(&to), hears).1 }).await;
    let says = |text: &[u8]| hello.windows(text.len()).any(|part| part == text);
    assert!(says(quic::NAME.as_bytes()) && !says(b"localhost"));
}

/// The list is checked before the peer takes itself for paired, and the code
/// stays valid.
#[tokio::test]
async fn a_peer_that_cannot_be_remembered_is_told_so() {
    for scheme in SCHEMES {
        let (home, known) = store();
        let first = Identity::throw_away().unwrap().fingerprint();
        known.remember(first, "first", None).unwrap();
        let list = home.path().join("state/peers");
        let good = std::fs::read(&list).unwrap();
        std::fs::write(&list, "damaged").unwrap();
        let (offer, _news) = Offer::new(Uses::Once).unwrap();
        let shown = offer.code();
        let trust = Trust::none().known(known, Right::Give).offer(offer.clone());
        let mut acceptor = listen(scheme, &node(&identity("desk"), trust)).await;
        let laptop = node(&identity("laptop"), typed(shown.clone()));
        let to = acceptor.address();
        for _ in 0..5 {
            let typed = node(&identity("laptop"), typed(shown.clone()));
            assert_eq!(refused(soon(typed.dial(&to)).await), Refusal::Internal);
            assert_eq!(offer.code(), shown);
        }
        std::fs::write(&list, good).unwrap();
        let (dialled, accepted) =
            soon(async { tokio::join!(laptop.dial(&to), acceptor.accept()) }).await;
        assert!(dialled.is_ok() && accepted.is_ok());
    }
}

#[tokio::test]
async fn another_service_is_told_of() {
    for scheme in SCHEMES {
        let desk = node(&identity("desk"), Trust::anyone());
        let desk = desk.quic(quic::QuicConfig::default().protocol("other/1"));
        let acceptor = listen(scheme, &desk).await;
        let laptop = node(&identity("laptop"), Trust::anyone());
        let error = soon(laptop.dial(&acceptor.address())).await.unwrap_err();
        match scheme {
            Scheme::Quic => assert!(matches!(error, DialError::OtherProtocol(_)), "{error:?}"),
            _ => assert!(matches!(why(Err(error)), PairingError::OtherService)),
        }
    }
}

/// Without a certificate, or without these messages, there is no connection.
#[tokio::test]
async fn nodes_without_an_identity_are_not_let_in() {
    for scheme in SCHEMES {
        let mut acceptor = listen(scheme, &node(&identity("desk"), Trust::anyone())).await;
        let to = acceptor.address();
        let stranger = async {
            let Ok(mut plain) = Node::default().dial(&to).await else {
                return;
            };
            let _ = plain.write_all(b"hello, in the clear").await;
            let _ = plain.read_to_end(&mut Vec::new()).await;
        };
        tokio::select! {
            biased;
            accepted = acceptor.accept() => panic!("{accepted:?}"),
            () = soon(stranger) => {}
        }
    }
}
