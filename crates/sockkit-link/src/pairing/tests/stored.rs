//! When each side is stored: a dialler that takes itself for paired is known to the listener.

use std::{net::SocketAddr, sync::Arc};

use futures::future::join_all;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    sockets::{Liar, SCHEMES, identity, listen, node, soon, store, typed, why},
    *,
};
use crate::{
    Address, Scheme,
    identity::Identity,
    pairing::{Offer, PairingError, ProvedBy, Uses, driver::EXPORTER, protocol, wire::name},
    quic,
    tls::{
        TlsConnector,
        rustls::{ConnectionCommon, pki_types::ServerName},
    },
    trust::{Right, Trust},
};

/// As a viewer does that pairs first, and then connects for its pictures.
async fn pair_and_dial_again(to: &Address, code: Code) {
    let (_home, known) = store();
    let trust = typed(Some(code)).known(known, Right::Take);
    let viewer = node(&identity("viewer"), trust);
    let paired = viewer.dial(to).await.unwrap();
    assert_eq!(paired.peer().unwrap().by, ProvedBy::Code);
    drop(paired);
    let by_key = viewer.dial(to).await.unwrap();
    assert_eq!(by_key.peer().unwrap().by, ProvedBy::Known);
}

#[tokio::test]
async fn those_that_pair_at_once_are_known_at_once() {
    for scheme in SCHEMES {
        let (_home, known) = store();
        let (offer, _news) = Offer::new(Uses::Many).unwrap();
        let code = offer.code().unwrap();
        let trust = Trust::none()
            .known(known.clone(), Right::Watch)
            .offer(offer);
        let camera = node(&identity("camera"), trust).max_connections(256);
        let camera = camera.max_connections_per_address(128);
        let mut acceptor = listen(scheme, &camera).await;
        let to = acceptor.address();
        // They are kept: the end of one over QUIC discards what is on its way.
        let mut accepted = Vec::new();
        let accepts = async {
            loop {
                accepted.push(acceptor.accept().await);
            }
        };
        // As many as one host may have exchanges at a time.
        let viewers = async {
            for _ in 0..8 {
                join_all((0..4).map(|_| pair_and_dial_again(&to, code.clone()))).await;
            }
        };
        tokio::select! {
            () = soon(viewers) => {}
            () = accepts => {}
        }
        assert_eq!(known.peers().unwrap().len(), 32);
    }
}

/// A dialler by hand, up to the listener's name: its own one is to be sent.
async fn dial_by_hand(own: &Identity, at: SocketAddr, code: &Code) -> TlsStream<TcpStream> {
    let keys = Arc::new(own.dialler(&protocol(quic::PROTOCOL)).unwrap());
    let (name, tcp) = (ServerName::try_from("any").unwrap(), TcpStream::connect(at));
    let connecting = TlsConnector::from(keys).connect(name, tcp.await.unwrap());
    let mut stream = connecting.await.unwrap();
    let (listener, binding) = ends(stream.get_ref().1);
    let bound = Bound {
        dialler: own.fingerprint(),
        listener,
        binding,
    };
    let typed = TypedCode::new(code.clone());
    let (asking, first) = Asking::new(&bound, &typed, [1; 64]);
    stream.write_all(&first).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 0);
    let element = read(&mut stream).await;
    let (confirming, tag) = asking.answer(&element).unwrap();
    stream.write_all(&tag).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 0);
    confirming.confirm(&read(&mut stream).await).unwrap();
    skip_name(&mut stream).await;
    stream
}

/// The peer's key, and what only the two ends of a connection can derive.
fn ends<T>(tls: &ConnectionCommon<T>) -> (Fingerprint, [u8; 32]) {
    let peer = &tls.peer_certificates().unwrap()[0];
    let binding = tls.export_keying_material([0; 32], EXPORTER.as_bytes(), None);
    (Fingerprint::of(peer).unwrap(), binding.unwrap())
}

async fn read<const BYTES: usize>(stream: &mut (impl AsyncRead + Unpin)) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn skip_name(stream: &mut (impl AsyncRead + Unpin)) {
    let [length] = read(stream).await;
    stream
        .read_exact(&mut vec![0; length.into()])
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_status_says_whether_the_dialler_is_stored() {
    for is_damaged in [false, true] {
        let (home, known) = store();
        let first = identity("first").fingerprint();
        known.remember(first, "first", None).unwrap();
        let (offer, _news) = Offer::new(Uses::Once).unwrap();
        let code = offer.code().unwrap();
        let trust = Trust::none().known(known.clone(), Right::Give).offer(offer);
        let mut acceptor = listen(Scheme::Tcp, &node(&identity("desk"), trust)).await;
        let (at, laptop) = (acceptor.local_addr(), identity("laptop"));
        let list = home.path().join("state/peers");
        let good = std::fs::read(&list).unwrap();
        let dials = async {
            let mut stream = dial_by_hand(&laptop, at, &code).await;
            // After the listener has seen that it has room.
            if is_damaged {
                std::fs::write(&list, "damaged").unwrap();
            }
            stream.write_all(&name("laptop")).await.unwrap();
            let status = stream.read_u8().await.unwrap();
            if is_damaged {
                std::fs::write(&list, &good).unwrap();
            }
            (status, known.get(laptop.fingerprint()).unwrap())
        };
        let (status, stored) = tokio::select! {
            done = soon(dials) => done,
            _ = async { loop { drop(acceptor.accept().await) } } => unreachable!("it loops"),
        };
        match is_damaged {
            false => assert_eq!((status, stored.unwrap().name), (0, "laptop".to_owned())),
            true => assert_eq!((status, stored), (Refusal::Internal.byte(), None)),
        }
    }
}

/// A listener by hand that knows the code, and answers the dialler's name with `last`.
async fn answer_by_hand(liar: Liar, own: Identity, code: Code, last: Option<u8>) {
    let mut stream = liar.accept().await;
    let (dialler, binding) = ends(stream.get_ref().1);
    let bound = Bound {
        dialler,
        listener: own.fingerprint(),
        binding,
    };
    let first: [u8; Hello::BYTES + ELEMENT_BYTES] = read(&mut stream).await;
    let answering = Answering::new(&bound, &code, [2; 64], &first_element(&first)).unwrap();
    let element = [&[0], &answering.element()[..]].concat();
    stream.write_all(&element).await.unwrap();
    let own_tag = answering.confirm(&read(&mut stream).await).unwrap();
    let confirmed = [&[0], &own_tag[..], &name("desk")].concat();
    stream.write_all(&confirmed).await.unwrap();
    skip_name(&mut stream).await;
    if let Some(last) = last {
        stream.write_all(&[last]).await.unwrap();
    }
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn a_dialler_stores_only_a_listener_that_has_stored_it() {
    for (last, is_stored) in [(Some(0), true), (Some(9), false), (None, false)] {
        let (_home, known) = store();
        let (desk, code) = (identity("desk"), code("7-coral-lamp"));
        let (liar, at) = Liar::new(&desk).await;
        let to = Address::new(Scheme::Tcp, at.into(), at.port());
        let trust = typed(Some(code.clone())).known(known.clone(), Right::Take);
        let laptop = node(&identity("laptop"), trust);
        let answers = answer_by_hand(liar, desk.clone(), code, last);
        let (dialled, ()) = soon(async { tokio::join!(laptop.dial(&to), answers) }).await;
        match last {
            Some(0) => drop(dialled.unwrap()),
            Some(_) => assert!(matches!(
                why(dialled),
                PairingError::Refused(Refusal::Internal)
            )),
            None => assert!(matches!(why(dialled), PairingError::Io(_))),
        }
        let stored = known.get(desk.fingerprint()).unwrap();
        assert_eq!(stored.is_some(), is_stored, "{last:?}");
    }
}
