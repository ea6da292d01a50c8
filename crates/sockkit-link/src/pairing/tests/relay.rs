//! Someone who sits in between, and speaks for each to the other.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    net::TcpStream,
};

use super::{
    sockets::{Liar, SCHEMES, identity, listen, node, soon, store, typed, why},
    *,
};
use crate::{
    Address, Scheme,
    identity::Identity,
    pairing::{Offer, PairingError, Uses, protocol},
    quic,
    tls::{TlsConnector, rustls::pki_types::ServerName},
    trust::{Right, Trust},
};

/// All that it saw in the clear, of both directions.
type Seen = Arc<Mutex<Vec<u8>>>;

/// Keeps what is read by it.
struct Tapped<S> {
    stream: S,
    seen: Seen,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.seen
            .lock()
            .unwrap()
            .extend_from_slice(&buf.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Takes connections with its own certificate, dials `to` with it, and passes on
/// every byte. Returns where it listens, and what it sees.
async fn relay(scheme: Scheme, to: SocketAddr) -> (Address, Seen) {
    let (own, seen) = (identity("relay"), Seen::default());
    let at = match scheme {
        Scheme::Quic => relay_quic(own, to, Arc::clone(&seen)),
        _ => relay_tcp(own, to, Arc::clone(&seen)).await,
    };
    (Address::new(scheme, at.into(), at.port()), seen)
}

async fn relay_tcp(own: Identity, to: SocketAddr, seen: Seen) -> SocketAddr {
    let (liar, at) = Liar::new(&own).await;
    let keys = Arc::new(own.dialler(&protocol(quic::PROTOCOL)).unwrap());
    tokio::spawn(async move {
        loop {
            let here = liar.accept().await;
            let tcp = TcpStream::connect(to).await.unwrap();
            let name = ServerName::try_from("relay").unwrap();
            let there = TlsConnector::from(Arc::clone(&keys))
                .connect(name, tcp)
                .await;
            tokio::spawn(pass_on(here, there.unwrap(), Arc::clone(&seen)));
        }
    });
    at
}

fn relay_quic(own: Identity, to: SocketAddr, seen: Seen) -> SocketAddr {
    let config = quic::QuicConfig::default().identity(own);
    let listener = quic::Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (here, _) = listener.accept().await.unwrap();
            let there = quic::connect_with(to, &config).await.unwrap();
            tokio::spawn(pass_on(here, there, Arc::clone(&seen)));
        }
    });
    at
}

async fn pass_on<A, B>(here: A, there: B, seen: Seen)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut here = Tapped {
        stream: here,
        seen: Arc::clone(&seen),
    };
    let mut there = Tapped {
        stream: there,
        seen,
    };
    let _ = copy_bidirectional(&mut here, &mut there).await;
}

/// That it passes on what it gets is what the others rest on.
#[tokio::test]
async fn the_relay_relays() {
    for scheme in SCHEMES {
        let desk = node(&identity("desk"), Trust::anyone());
        let mut acceptor = listen(scheme, &desk).await;
        let (to, _seen) = relay(scheme, acceptor.local_addr()).await;
        let laptop = node(&identity("laptop"), Trust::anyone());
        let (dialled, accepted) =
            soon(async { tokio::join!(laptop.dial(&to), acceptor.accept()) }).await;
        assert!(dialled.is_ok() && accepted.is_ok(), "who trusts anyone");
    }
}

#[tokio::test]
async fn a_right_code_through_a_relay_is_a_wrong_one() {
    for scheme in SCHEMES {
        let (_home, known) = store();
        let (offer, mut news) = Offer::new(Uses::Once).unwrap();
        let shown = offer.code();
        let trust = Trust::none()
            .known(known.clone(), Right::Give)
            .offer(offer.clone());
        let mut acceptor = listen(scheme, &node(&identity("name of desk"), trust)).await;
        let (to, seen) = relay(scheme, acceptor.local_addr()).await;
        let laptop = node(&identity("name of laptop"), typed(shown));
        tokio::select! {
            biased;
            accepted = acceptor.accept() => panic!("{accepted:?}"),
            dialled = soon(laptop.dial(&to)) => assert!(matches!(
                why(dialled),
                PairingError::Refused(Refusal::Wrong)
            )),
        }
        // The listener says so as well.
        let told = soon(news.next()).await.unwrap();
        assert!(
            matches!(told, crate::pairing::OfferEvent::Wrong { .. }),
            "{told:?}"
        );
        assert_eq!(known.peers().unwrap(), []);
        // Two elements and one tag, of which none says anything of the code.
        let seen = seen.lock().unwrap();
        assert_eq!(
            seen.len(),
            Hello::BYTES + 32 + 1 + 32 + 32 + 1,
            "{seen:02x?}"
        );
        assert!(!seen.windows(4).any(|bytes| bytes == b"name"));
    }
}

#[tokio::test]
async fn known_peers_say_nothing_to_a_relay() {
    for scheme in SCHEMES {
        let (_here, here) = store();
        let (_there, there) = store();
        let (desk, laptop) = (identity("desk"), identity("laptop"));
        here.remember(desk.fingerprint(), "desk", None).unwrap();
        there
            .remember(laptop.fingerprint(), "laptop", Some(Right::Give))
            .unwrap();
        let mut acceptor = listen(
            scheme,
            &node(&desk, Trust::none().known(there, Right::Give)),
        )
        .await;
        let (to, seen) = relay(scheme, acceptor.local_addr()).await;
        let dials = node(&laptop, Trust::none().known(here, Right::Take));
        tokio::select! {
            biased;
            accepted = acceptor.accept() => panic!("{accepted:?}"),
            dialled = soon(dials.dial(&to)) => {
                let error = why(dialled);
                assert!(matches!(error, PairingError::Unknown { .. }), "{error:?}");
                let told = error.to_string();
                assert!(told.contains("its key has changed"), "{told}");
            }
        }
        assert_eq!(*seen.lock().unwrap(), b"");
    }
}
