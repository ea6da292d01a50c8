//! UDP request and reply.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use sockkit::{
    server::{Replied, Request, UdpServer, UdpServerConfig},
    udp::{Transmit, UdpEndpoint},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{PATIENCE, SOON};
use crate::wait::until;

fn bind(address: &str) -> UdpEndpoint {
    UdpEndpoint::bind(address.parse().unwrap()).unwrap()
}

fn start<F, Fut>(config: UdpServerConfig, reply: F) -> UdpServer
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Replied> + Send + 'static,
{
    UdpServer::start(bind("127.0.0.1:0"), config, reply).unwrap()
}

async fn echo(request: Request) -> Replied {
    Ok(Some(request.bytes))
}

struct Client {
    endpoint: UdpEndpoint,
    server: SocketAddr,
}

impl Client {
    fn of(server: &UdpServer) -> Self {
        Self {
            endpoint: bind("127.0.0.1:0"),
            server: server.local_addr(),
        }
    }

    async fn say(&self, text: &[u8]) {
        let request = Transmit::new(self.server, text);
        self.endpoint.send(request).await.unwrap();
    }

    async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_535];
        let answer = timeout(PATIENCE, self.endpoint.recv(&mut buffer)).await;
        let answer = answer.expect("no answer").unwrap();
        assert_eq!(answer.from.port(), self.server.port());
        answer.bytes.to_vec()
    }

    async fn ask(&self, text: &[u8]) -> Vec<u8> {
        self.say(text).await;
        self.hear().await
    }
}

#[tokio::test]
async fn every_request_has_its_answer() {
    let server = start(UdpServerConfig::default(), echo);
    let (first, second) = (Client::of(&server), Client::of(&server));
    for size in [0, 1, 1_400, 65_507] {
        let text = vec![b'x'; size];
        assert_eq!(first.ask(&text).await, text);
        assert_eq!(second.ask(b"other").await, b"other");
    }
    let metrics = server.metrics();
    assert_eq!((metrics.requests, metrics.replies), (8, 8));
}

#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    let server = UdpServer::start(bind("0.0.0.0:0"), UdpServerConfig::default(), echo).unwrap();
    let client = Client {
        endpoint: bind("127.0.0.1:0"),
        server: SocketAddr::from(([127, 0, 0, 9], server.local_addr().port())),
    };
    // A connected socket hears that one address only.
    client.endpoint.connect(client.server).unwrap();
    assert_eq!(client.ask(b"you there?").await, b"you there?");
}

#[tokio::test]
async fn a_broadcast_request_is_answered_too() {
    let server = UdpServer::start(bind("0.0.0.0:0"), UdpServerConfig::default(), echo).unwrap();
    let options = sockkit::options::SocketOptions::new().broadcast(true);
    let any = "0.0.0.0:0".parse().unwrap();
    let client = Client {
        endpoint: UdpEndpoint::bind_with(any, &options).unwrap(),
        server: SocketAddr::from(([127, 255, 255, 255], server.local_addr().port())),
    };
    assert_eq!(client.ask(b"anybody?").await, b"anybody?");
}

#[tokio::test]
async fn a_panic_and_an_error_cost_their_own_request_only() {
    let server = start(
        UdpServerConfig::default(),
        async |request: Request| match &request.bytes[..] {
            b"panic" => panic!("asked to"),
            b"fail" => Err("asked to".into()),
            b"silence" => Ok(None),
            _ => Ok(Some(request.bytes)),
        },
    );
    let client = Client::of(&server);
    for text in [b"panic".as_slice(), b"fail", b"silence"] {
        client.say(text).await;
    }
    assert_eq!(client.ask(b"still there?").await, b"still there?");
    until(|| server.metrics().in_flight == 0).await;
    let metrics = server.metrics();
    assert_eq!(
        (metrics.panicked, metrics.failed, metrics.replies),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let config = UdpServerConfig::default().reply_timeout(SOON);
    let server = start(config, async |_| std::future::pending().await);
    Client::of(&server).say(b"hello").await;
    until(|| server.metrics().timed_out == 1).await;
    until(|| server.metrics().in_flight == 0).await;
}

#[tokio::test]
async fn requests_beyond_the_limits_are_dropped() {
    for config in [
        UdpServerConfig::default().max_in_flight(2),
        UdpServerConfig::default().max_in_flight_per_address(2),
    ] {
        let gate = Arc::new(Semaphore::new(0));
        let server = start(config, {
            let gate = Arc::clone(&gate);
            move |request| {
                let gate = Arc::clone(&gate);
                async move {
                    let _pass = gate.acquire().await?;
                    Ok(Some(request.bytes))
                }
            }
        });
        let client = Client::of(&server);
        for text in [b"1".as_slice(), b"2", b"3"] {
            client.say(text).await;
        }
        until(|| server.metrics().dropped == 1).await;
        gate.add_permits(1);
        let mut heard = [client.hear().await, client.hear().await];
        heard.sort();
        assert_eq!(heard, [b"1", b"2"]);
        assert_eq!(client.ask(b"4").await, b"4");
    }
}

#[tokio::test]
async fn a_client_that_has_gone_does_not_stop_the_server() {
    let gate = Arc::new(Semaphore::new(0));
    let server = start(UdpServerConfig::default(), {
        let gate = Arc::clone(&gate);
        move |request| {
            let gate = Arc::clone(&gate);
            async move {
                let _pass = gate.acquire().await?;
                Ok(Some(request.bytes))
            }
        }
    });
    let gone = Client::of(&server);
    gone.say(b"and away").await;
    until(|| server.metrics().in_flight == 1).await;
    drop(gone);
    gate.add_permits(1);
    assert_eq!(Client::of(&server).ask(b"next").await, b"next");
}

#[tokio::test]
async fn a_shutdown_answers_what_was_taken() {
    let gate = Arc::new(Semaphore::new(0));
    let server = start(UdpServerConfig::default(), {
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let _pass = gate.acquire().await?;
                Ok(Some(Bytes::from_static(b"in the end")))
            }
        }
    });
    let address = server.local_addr();
    let client = Client::of(&server);
    client.say(b"hello").await;
    until(|| server.metrics().in_flight == 1).await;
    let shutdown = tokio::spawn(server.shutdown());
    gate.add_permits(1);
    assert_eq!(client.hear().await, b"in the end");
    let drained = timeout(PATIENCE, shutdown).await.unwrap().unwrap();
    assert_eq!((drained.aborted, drained.stuck), (0, 0));
    // The port is free again.
    UdpEndpoint::bind(address).unwrap();
}

#[tokio::test]
async fn a_shutdown_gives_up_what_takes_too_long() {
    let config = UdpServerConfig::default().drain_timeout(SOON);
    let server = start(config, async |_| std::future::pending().await);
    Client::of(&server).say(b"hello").await;
    until(|| server.metrics().in_flight == 1).await;
    let drained = timeout(PATIENCE, server.shutdown()).await.unwrap();
    assert_eq!((drained.aborted, drained.stuck), (1, 0));
}
