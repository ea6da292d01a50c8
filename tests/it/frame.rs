//! Frames over streams: whole, in order, whatever the pieces and the drops.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use sockkit::frame::{FrameConfig, FrameReadError, FrameReader, FrameWriteError, FrameWriter};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

#[tokio::test]
async fn frames_of_all_sizes_arrive_whole() {
    let payloads: Vec<_> = [0, 1, 64, 2047, 2048, 65_528, 65_536, 1 << 20, 5_000_000, 3]
        .map(|length| Bytes::from_iter((0..=250_u8).cycle().take(length)))
        .into();
    let (client, server) = tokio::io::duplex(100_000);
    let sent = payloads.clone();
    let sender = tokio::spawn(async move {
        let mut writer = FrameWriter::new(client);
        for payload in sent.clone() {
            writer.send(payload).await.unwrap();
        }
        for payload in sent {
            writer.feed(payload).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut reader = FrameReader::new(server);
    for payload in payloads.iter().chain(&payloads) {
        assert_eq!(reader.recv().await.unwrap().as_ref(), Some(payload));
    }
    assert_eq!(reader.recv().await.unwrap(), None);
    sender.await.unwrap();
}

/// A byte at a time, and `Pending` before each: every await there can be.
struct Trickle {
    wire: Vec<u8>,
    at: usize,
    ready: bool,
}

impl Trickle {
    fn new(wire: Vec<u8>) -> Self {
        Self {
            wire,
            at: 0,
            ready: true,
        }
    }

    fn turn(&mut self) -> bool {
        self.ready = !self.ready;
        self.ready
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.turn() {
            return Poll::Pending;
        }
        buffer.put_slice(self.wire.get(self.at..=self.at).unwrap_or_default());
        self.at += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.turn() {
            return Poll::Pending;
        }
        self.wire.extend(bytes.first());
        Poll::Ready(Ok(bytes.len().min(1)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turn() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// Polls once and drops: what `select!` does to the branch that loses.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

const PAYLOADS: [&[u8]; 4] = [b"first", b"", &[7; 3000], b"last"];

fn wire() -> Vec<u8> {
    let frame = |payload: &&[u8]| [&(payload.len() as u64).to_be_bytes()[..], payload].concat();
    PAYLOADS.iter().flat_map(frame).collect()
}

#[test]
fn recv_dropped_at_every_await_loses_nothing() {
    let mut reader = FrameReader::new(Trickle::new(wire()));
    let (mut frames, mut drops) = (Vec::new(), 0);
    loop {
        match poll_once(reader.recv()) {
            Some(Ok(Some(frame))) => frames.push(frame),
            Some(end) => break assert_eq!(end.unwrap(), None),
            None => drops += 1,
        }
    }
    assert_eq!(frames, PAYLOADS);
    assert_eq!(
        drops,
        wire().len() + 1,
        "dropped before every byte and the end"
    );
}

#[test]
fn send_dropped_at_every_await_sends_once() {
    let mut writer = FrameWriter::new(Trickle::new(Vec::new()));
    let mut drops = 0;
    for payload in PAYLOADS {
        if poll_once(writer.send(Bytes::from_static(payload))).is_none() {
            drops += 1;
        }
        // One byte further each time, then dropped again.
        while poll_once(writer.flush()).is_none() {
            drops += 1;
        }
    }
    assert_eq!(writer.get_ref().wire, wire());
    assert!(drops >= wire().len(), "{drops} drops");

    // All four begun and dropped before any has left.
    let mut writer = FrameWriter::new(Trickle::new(Vec::new()));
    for payload in PAYLOADS {
        let _ = poll_once(writer.send(Bytes::from_static(payload)));
    }
    while poll_once(writer.flush()).is_none() {}
    assert_eq!(writer.get_ref().wire, wire());
}

#[tokio::test]
async fn a_stream_cut_anywhere_ends_or_says_so() {
    let wire = wire();
    let borders = [0, 13, 21, 3029, wire.len()];
    for cut in 0..=wire.len() {
        let mut reader = FrameReader::new(&wire[..cut]);
        let end = loop {
            match reader.recv().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        match end {
            Ok(_) => assert!(borders.contains(&cut), "cut at {cut} went unnoticed"),
            Err(FrameReadError::Truncated {
                offset, received, ..
            }) => assert_eq!(offset + received as u64, cut as u64),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_absurd_length_is_refused_while_the_peer_stays() {
    for announced in [1 << 63, u64::MAX, (64 << 20) + 1] {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_u64(announced).await.unwrap();
        let mut reader = FrameReader::new(server);
        let error = reader.recv().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&announced.to_string()), "{text}");
        assert!(text.contains("limit is 67108864"), "{text}");
    }
}

#[tokio::test]
async fn a_payload_over_the_send_limit_costs_only_itself() {
    let (client, server) = tokio::io::duplex(64);
    let config = FrameConfig::default().max_send_bytes(3);
    let mut writer = FrameWriter::with_config(client, config);
    let error = writer.send("four".into()).await.unwrap_err();
    assert!(matches!(
        error,
        FrameWriteError::TooLong {
            length: 4,
            limit: 3
        }
    ));
    writer.send("ok!".into()).await.unwrap();
    let mut reader = FrameReader::new(server);
    assert_eq!(reader.recv().await.unwrap().unwrap(), "ok!");
}

#[tokio::test]
async fn a_send_to_a_peer_that_left_is_an_error() {
    let (client, server) = tokio::io::duplex(64);
    drop(server);
    let error = FrameWriter::new(client)
        .send("hi".into())
        .await
        .unwrap_err();
    assert!(matches!(error, FrameWriteError::Io(_)), "{error:?}");
}
