//! Each way in which one connection ends, and what it is called.

use std::{
    error::Error as _,
    io::{IoSlice, Write as _},
};

use sockkit::{
    options::SocketOptions,
    tcp::{End, Timeout},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PATIENCE, SOON, pair};

#[tokio::test]
async fn a_fin_between_bytes_is_finished() {
    let (mut ours, mut theirs) = pair().await;
    theirs.write_all(b"that was all").await.unwrap();
    drop(theirs);
    let mut heard = Vec::new();
    ours.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"that was all");
    assert_eq!(ours.end(), Some(End::Finished));
}

#[tokio::test]
async fn a_half_closed_connection_still_brings_the_answer() {
    let (mut ours, mut theirs) = pair().await;
    ours.write_all(b"question").await.unwrap();
    ours.shutdown().await.unwrap();

    let mut question = Vec::new();
    theirs.read_to_end(&mut question).await.unwrap();
    assert_eq!(theirs.end(), Some(End::Finished));
    theirs.write_all(b"answer").await.unwrap();

    let mut answer = [0; 6];
    ours.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
    // This side has closed, the peer has not: nothing has ended here.
    assert_eq!(ours.end(), None);
}

#[tokio::test]
async fn a_reset_is_a_reset_even_after_a_fin() {
    let (mut ours, mut theirs) = pair().await;
    theirs.shutdown().await.unwrap();
    assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(ours.end(), Some(End::Finished));
    assert_eq!(theirs.abort(), End::Aborted);
    // The kernel says so once the RST is there; a write asks it.
    let failed = loop {
        if let Err(error) = ours.write_all(b"are you there").await {
            break error;
        }
    };
    assert_eq!(End::from_io(&failed), End::Reset);
    assert_eq!(ours.end(), Some(End::Reset));
}

#[tokio::test]
async fn an_abort_here_is_a_reset_there() {
    let (ours, mut theirs) = pair().await;
    assert_eq!(ours.abort(), End::Aborted);
    let error = theirs.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(End::from_io(&error), End::Reset);
    assert_eq!(theirs.end(), Some(End::Reset));
}

#[tokio::test]
async fn a_read_timeout_leaves_the_connection_usable() {
    let (mut ours, mut theirs) = pair().await;
    ours.set_read_timeout(Some(SOON));
    for _ in 0..2 {
        let error = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(End::from_io(&error), End::TimedOut(Timeout::Read));
    }
    let error = ours.peek(&mut [0; 8]).await.unwrap_err();
    assert_eq!(End::from_io(&error), End::TimedOut(Timeout::Read));
    assert_eq!(ours.end(), None);

    ours.set_read_timeout(None);
    theirs.write_all(b"late").await.unwrap();
    let mut late = [0; 4];
    ours.read_exact(&mut late).await.unwrap();
    assert_eq!(&late, b"late");
}

#[tokio::test]
async fn a_write_deadline_passes_while_the_peer_does_not_read() {
    let (mut ours, theirs) = pair().await;
    ours.set_write_timeout(Some(SOON));
    let block = vec![7; 1 << 20];
    let error = loop {
        if let Err(error) = ours.write_all(&block).await {
            break error;
        }
    };
    assert_eq!(End::from_io(&error), End::TimedOut(Timeout::Write));
    assert!(ours.counters().sent_bytes > 0);
    drop(theirs);
}

#[tokio::test]
async fn the_kernels_timeout_options_become_deadlines() {
    let (mut ours, _theirs) = pair().await;
    let options = SocketOptions::new().read_timeout(Some(SOON));
    ours.set_options(&options).unwrap();
    assert_eq!(ours.read_timeout(), Some(SOON));
    let error = ours.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(End::from_io(&error), End::TimedOut(Timeout::Read));
}

#[tokio::test]
async fn closing_in_order_waits_for_the_peers_close() {
    let (mut ours, mut theirs) = pair().await;
    ours.write_all(b"last words").await.unwrap();
    let peer = tokio::spawn(async move {
        // It still talks when it hears that this side is through.
        theirs.write_all(&[1; 100_000]).await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        heard
    });
    assert_eq!(ours.close(PATIENCE).await, End::Finished);
    assert_eq!(peer.await.unwrap(), b"last words");
}

#[tokio::test]
async fn closing_gives_up_on_a_peer_that_does_not_close() {
    let (ours, theirs) = pair().await;
    assert_eq!(ours.close(SOON).await, End::TimedOut(Timeout::Close));
    drop(theirs);

    let (ours, mut theirs) = pair().await;
    let talker = tokio::spawn(async move { while theirs.write_all(&[1; 4096]).await.is_ok() {} });
    assert_eq!(ours.close(SOON).await, End::TimedOut(Timeout::Close));
    // The close reached it, as a reset, because it would not stop.
    talker.await.unwrap();
}

#[tokio::test]
async fn what_moved_is_counted_and_peeking_moves_nothing() {
    let (mut ours, mut theirs) = pair().await;
    let pieces = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    assert_eq!(ours.write_vectored(&pieces).await.unwrap(), 8);
    let mut seen = [0; 4];
    assert_eq!(theirs.peek(&mut seen).await.unwrap(), 4);
    assert_eq!(theirs.counters().received_bytes, 0);
    let mut all = [0; 8];
    theirs.read_exact(&mut all).await.unwrap();
    assert_eq!((&seen, &all), (b"head", b"headbody"));
    assert_eq!(theirs.counters().received_bytes, 8);
    assert_eq!(ours.counters().sent_bytes, 8);
}

#[tokio::test]
async fn a_file_goes_through_the_kernel_from_any_offset() {
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(3 << 20).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();

    for (offset, asked, expected) in [
        (0, bytes.len() as u64, bytes.len()),
        (1000, 5000, 5000),
        (bytes.len() as u64 - 10, 100, 10),
        (bytes.len() as u64 + 10, 100, 0),
        (0, 0, 0),
    ] {
        let (mut ours, mut theirs) = pair().await;
        let reading = tokio::spawn(async move {
            let mut arrived = Vec::new();
            theirs.read_to_end(&mut arrived).await.unwrap();
            arrived
        });
        let sent = ours.send_file(&file, offset, asked).await.unwrap();
        assert_eq!(sent, expected as u64);
        assert_eq!(ours.counters().sent_bytes, sent);
        drop(ours);
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        assert_eq!(reading.await.unwrap(), bytes[from..from + expected]);
    }
}

#[tokio::test]
async fn a_file_to_a_peer_that_does_not_read_meets_the_write_deadline() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 30).unwrap();
    let (mut ours, _theirs) = pair().await;
    ours.set_write_timeout(Some(SOON));
    let error = ours.send_file(&file, 0, 1 << 30).await.unwrap_err();
    assert_eq!(End::from_io(&error), End::TimedOut(Timeout::Write));
    assert!(error.source().is_none());
    let sent = ours.counters().sent_bytes;
    assert!((1..1 << 30).contains(&sent), "{sent}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_reports_on_the_connection() {
    use std::time::Duration;

    use sockkit::{
        options::{Live, OptionError, TcpState},
        udp::UdpEndpoint,
    };

    let (mut ours, mut theirs) = pair().await;
    ours.write_all(&[1; 5000]).await.unwrap();
    theirs.read_exact(&mut [0; 5000]).await.unwrap();
    theirs.write_all(&[2; 70]).await.unwrap();
    ours.read_exact(&mut [0; 70]).await.unwrap();

    let live = ours.options().unwrap();
    let info = live.tcp_info().unwrap();
    assert_eq!(info.state, TcpState::Established);
    assert_eq!(info.received_bytes, 70);
    // Linux counts the SYN too.
    assert_eq!(info.acknowledged_bytes, 5001);
    assert_eq!((info.not_sent_bytes, info.retransmits), (0, 0));
    assert_eq!(info.send_segment_bytes, live.max_segment_bytes().unwrap());
    assert!(info.rtt > Duration::ZERO && info.rtt < Duration::from_secs(1));
    assert!(info.rtt_min <= info.rtt * 10, "{info:?}");
    assert!(info.delivery_bytes_per_second > 0, "{info:?}");

    // A peer that does not read: what it has no room for is not sent.
    ours.set_write_timeout(Some(SOON));
    while ours.write_all(&[3; 1 << 20]).await.is_ok() {}
    let info = ours.options().unwrap().tcp_info().unwrap();
    assert!(info.not_sent_bytes > 0, "{info:?}");

    theirs.shutdown().await.unwrap();
    drop(theirs);
    let udp = UdpEndpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let error = Live::of(&udp).unwrap().tcp_info().unwrap_err();
    assert!(matches!(
        error,
        OptionError::WrongSocket {
            option: "TCP_INFO",
            ..
        }
    ));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_the_peer_does_not_take_is_not_sent() {
    use futures::FutureExt;
    use sockkit::tcp::unsent_below_lowat;

    let (mut ours, mut theirs) = pair().await;
    let low = SocketOptions::new().not_sent_low_water_bytes(8_192_u32);
    ours.set_options(&low).unwrap();
    assert!(
        unsent_below_lowat(ours.get_ref()).await.is_ok(),
        "nothing was written"
    );

    let mut written = 0;
    while let Ok(bytes) = ours.get_ref().try_write(&[7; 65_536]) {
        written += bytes;
    }
    assert!(unsent_below_lowat(ours.get_ref()).now_or_never().is_none());
    let mut taken = vec![0; written];
    let (sent, read) = tokio::join!(
        unsent_below_lowat(ours.get_ref()),
        theirs.read_exact(&mut taken)
    );
    sent.unwrap();
    read.unwrap();
    let info = ours.options().unwrap().tcp_info().unwrap();
    assert!(info.not_sent_bytes < 4_096, "{info:?}");
}
