//! What was asked before a shutdown is answered, by handlers that know nothing
//! of it: plain loops over frames, over a codec, over TLS.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use sockkit::{
    frame::{FrameReader, FrameWriter, LengthPrefixed},
    server::{Handled, Handler, HandlerEnd, Peer, Server, ServerConfig, Stream},
    tls::{Tls, TlsConnector, server::TlsStream},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
    time::timeout,
};
use tokio_util::codec::Framed;

use super::{PATIENCE, bind, connect, ends, refused, tls};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

async fn echo_frames(stream: impl Duplex) -> Handled {
    let (reader, writer) = tokio::io::split(stream);
    let (mut reader, mut writer) = (FrameReader::new(reader), FrameWriter::new(writer));
    while let Some(request) = reader.recv().await? {
        writer.send(request).await?;
    }
    Ok(())
}

async fn echo_framed(stream: impl Duplex) -> Handled {
    let mut framed = Framed::new(stream, LengthPrefixed::default());
    while let Some(request) = framed.next().await {
        framed.send(request?).await?;
    }
    Ok(())
}

/// Whether the last request of each client is complete when the server begins
/// to drain.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Last {
    Whole,
    Half,
}

/// Sends all requests at once. Those whose last one was cut off send the rest of
/// it when the server drains and waits for it.
async fn ask(client: impl Duplex, last: Last, in_step: &Barrier) {
    let (mut reader, mut writer) = tokio::io::split(client);
    let requests: Vec<Bytes> = (0..REQUESTS_EACH)
        .map(|number| format!("request {number}").into())
        .collect();
    let mut wire = FrameWriter::new(Vec::new());
    for request in &requests {
        wire.send(request.clone()).await.unwrap();
    }
    let wire = wire.get_ref();
    let cut = if last == Last::Half { 5 } else { 0 };
    let (now, later) = wire.split_at(wire.len() - cut);
    writer.write_all(now).await.unwrap();
    writer.flush().await.unwrap();
    // All have sent; then the server drains.
    in_step.wait().await;
    in_step.wait().await;
    let mut replies = FrameReader::new(&mut reader);
    for (number, request) in requests.iter().enumerate() {
        if number == REQUESTS_EACH - 1 {
            writer.write_all(later).await.unwrap();
            writer.flush().await.unwrap();
        }
        let reply = timeout(PATIENCE, replies.recv()).await.expect("no reply");
        assert_eq!(reply.expect("lost").expect("lost"), request);
    }
    if last == Last::Half {
        // The server need not wait until it is quiet.
        let _ = writer.shutdown().await;
    }
    // TLS misses its own farewell.
    match timeout(PATIENCE, reader.read(&mut [0])).await.unwrap() {
        Ok(bytes) => assert_eq!(bytes, 0),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
    }
}

async fn check<C: Duplex + 'static>(
    last: Last,
    handler: impl Handler,
    dial: impl AsyncFn(&Server) -> C,
) {
    let config = match last {
        Last::Whole => ServerConfig::default(),
        // However busy the machine is, the rest comes before that.
        Last::Half => ServerConfig::default()
            .quiet_period(PATIENCE)
            .drain_timeout(PATIENCE * 4),
    };
    let (config, mut ends) = ends(config);
    let server = Server::start_handler(bind().await, config, handler).unwrap();
    let in_step = Arc::new(Barrier::new(CLIENTS + 1));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (client, in_step) = (dial(&server).await, Arc::clone(&in_step));
        clients.push(tokio::spawn(
            async move { ask(client, last, &in_step).await },
        ));
    }
    in_step.wait().await;
    let address = server.local_addr();
    let shutdown = tokio::spawn(server.shutdown());
    refused(address).await;
    in_step.wait().await;
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(shutdown.await.unwrap().aborted, 0);
    for _ in 0..CLIENTS {
        let ended = ends.next().await;
        assert_eq!(ended.handler, HandlerEnd::Returned, "{ended:?}");
    }
}

async fn check_over_tls(last: Last) {
    let (server, client) = tls::certificates();
    let handler = Tls::new(
        Arc::new(server),
        async |stream: TlsStream<Stream>, _: Peer| echo_frames(stream).await,
    );
    let trust = TlsConnector::from(Arc::new(client));
    check(last, handler, async |server| {
        tls::dial(server, &trust, "localhost").await.unwrap()
    })
    .await;
}

async fn over_frames(stream: Stream, _: Peer) -> Handled {
    echo_frames(stream).await
}

async fn over_a_codec(stream: Stream, _: Peer) -> Handled {
    echo_framed(stream).await
}

async fn dial_plain(server: &Server) -> TcpStream {
    connect(server).await
}

#[tokio::test]
async fn a_loop_over_frames_loses_no_request() {
    check(Last::Whole, over_frames, dial_plain).await;
}

#[tokio::test]
async fn a_loop_over_frames_waits_for_the_rest_of_a_request() {
    check(Last::Half, over_frames, dial_plain).await;
}

#[tokio::test]
async fn a_loop_over_a_codec_loses_no_request() {
    check(Last::Whole, over_a_codec, dial_plain).await;
}

#[tokio::test]
async fn a_loop_over_a_codec_waits_for_the_rest_of_a_request() {
    check(Last::Half, over_a_codec, dial_plain).await;
}

#[tokio::test]
async fn a_loop_over_tls_loses_no_request() {
    check_over_tls(Last::Whole).await;
}

#[tokio::test]
async fn a_loop_over_tls_waits_for_the_rest_of_a_request() {
    check_over_tls(Last::Half).await;
}

/// 3,000 requests in all.
const CLIENTS: usize = 30;
const REQUESTS_EACH: usize = 100;
