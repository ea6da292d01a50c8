//! What a peer can do before anything moves, under a clock of our own.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, sleep},
};

use super::{
    FileOutcome, OnProgress, Progress, ReceiveConfig, ReceiveError, SendConfig, SendError,
    TransferIoError, greet, receive, send,
};
use crate::{
    Destination, FileSet, Integrity, Manifest, OnConflict, RefuseReason,
    session::{Abort, Limits, ReceiverSession, SenderSession, SessionError, WORKING},
};

/// Says each of `pieces`, with a pause before each, and then nothing more.
async fn say(stream: &mut DuplexStream, pieces: impl IntoIterator<Item = Vec<u8>>, pause: u64) {
    for piece in pieces {
        sleep(Duration::from_secs(pause)).await;
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
    pending().await
}

fn sender_says() -> (SenderSession, Vec<u8>) {
    let mut session = SenderSession::new("", Manifest::default());
    let hello = session.poll_transmit().unwrap();
    (session, hello)
}

fn receiver_says() -> Vec<u8> {
    let mut session = ReceiverSession::new("", Default::default());
    session.poll_transmit().unwrap()
}

/// Hello and offer.
fn offer() -> Vec<u8> {
    let (mut session, mut said) = sender_says();
    session
        .handle_input(&mut receiver_says().as_slice())
        .unwrap();
    said.extend(session.poll_transmit().unwrap());
    said
}

/// Why the receiver fails with a peer that sends `pieces`, and after how long.
async fn given_up(pieces: Vec<Vec<u8>>, pause: u64) -> (ReceiveError, Duration) {
    let (ours, mut theirs) = duplex(1 << 10);
    let began = Instant::now();
    let config = ReceiveConfig::default();
    let error = tokio::select! {
        received = receive(ours, &config) => received.unwrap_err(),
        () = say(&mut theirs, pieces, pause) => unreachable!("it stays silent"),
    };
    (error, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_offers_nothing_is_given_up_in_time_whatever_it_says() {
    let (_, hello) = sender_says();
    let trickled = hello.iter().map(|byte| vec![*byte]).collect();
    let mut alive = vec![hello.clone()];
    alive.extend(vec![WORKING.to_vec(); 100]);
    for (what, pieces, pause) in [
        ("nothing", Vec::new(), 0),
        ("a byte every other second", trickled, 2),
        ("that it is alive", alive, 1),
        ("hello alone", vec![hello], 0),
    ] {
        let (error, after) = given_up(pieces, pause).await;
        assert!(
            matches!(error, ReceiveError::Io(TransferIoError::Slow { .. })),
            "{what}: {error:?}"
        );
        // Two more for the last words.
        let seconds = after.as_secs();
        assert!((10..=12).contains(&seconds), "{what}: {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keep_alives_earns_no_more_than_an_offer_would() {
    let (_, hello) = sender_says();
    let mut pieces = vec![hello];
    pieces.extend(vec![WORKING.repeat((1 << 20) / WORKING.len()); 120]);
    let (error, after) = given_up(pieces, 1).await;
    assert!(
        matches!(error, ReceiveError::Io(TransferIoError::Slow { .. })),
        "{error:?}"
    );
    // 16 MiB earn 64 s.
    assert!((74..=76).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_offer_over_a_slow_link_comes_through() {
    let (ours, mut theirs) = duplex(1 << 10);
    let entry = crate::Entry::folder("a".repeat(4_000));
    let manifest = Manifest::new(vec![entry; 2_000]);
    let mut session = SenderSession::new("", manifest);
    let mut said = session.poll_transmit().unwrap();
    session
        .handle_input(&mut receiver_says().as_slice())
        .unwrap();
    said.extend(session.poll_transmit().unwrap());
    let pieces: Vec<_> = said.chunks(300 << 10).map(<[u8]>::to_vec).collect();
    assert!(pieces.len() > 20);
    let config = ReceiveConfig::default();
    let incoming = tokio::select! {
        received = receive(ours, &config) => received.unwrap(),
        () = say(&mut theirs, pieces, 1) => unreachable!(),
    };
    assert_eq!(incoming.manifest().entries.len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_hears_that_the_receiver_lives_and_its_leaving_is_seen() {
    let (ours, mut theirs) = duplex(1 << 10);
    theirs.write_all(&offer()).await.unwrap();
    let mut incoming = receive(ours, &ReceiveConfig::default()).await.unwrap();
    let mut hello = vec![0; receiver_says().len()];
    theirs.read_exact(&mut hello).await.unwrap();
    // An older sender says nothing while it waits, however long that is.
    let mut heard = Vec::new();
    for _ in 0..100 {
        tokio::select! {
            error = incoming.hold(pending::<()>()) => panic!("{error:?}"),
            read = theirs.read_buf(&mut heard) => assert!(read.unwrap() > 0),
        }
    }
    let beats = heard.chunks(WORKING.len());
    assert!(beats.into_iter().all(|beat| beat == WORKING), "{heard:?}");
    // A peer that has sent a keep-alive has to keep sending them.
    theirs.write_all(WORKING).await.unwrap();
    let held = incoming.hold(sleep(Duration::from_secs(29))).await;
    assert!(held.is_ok(), "{held:?}");
    let error = incoming.hold(pending::<()>()).await.unwrap_err();
    assert!(
        matches!(error, ReceiveError::Io(TransferIoError::Silent { .. })),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_leaves_or_says_why_is_not_waited_for() {
    for gone in [Vec::new(), b"\0\0\0\0\0\0\0\x12\x0a\x0a".to_vec()] {
        let (ours, mut theirs) = duplex(1 << 10);
        theirs.write_all(&offer()).await.unwrap();
        let mut incoming = receive(ours, &ReceiveConfig::default()).await.unwrap();
        let says_why = !gone.is_empty();
        if says_why {
            theirs
                .write_all(&[gone, vec![0; 16]].concat())
                .await
                .unwrap();
        }
        drop(theirs);
        let began = Instant::now();
        let error = incoming.hold(pending::<()>()).await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::ZERO);
        let session = matches!(error, ReceiveError::Session(SessionError::Aborted(_)));
        assert_eq!(session, says_why, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_say_hello_is_given_up_in_time() {
    for pause in [1, 3] {
        let (ours, mut theirs) = duplex(1 << 10);
        let trickled: Vec<_> = receiver_says().iter().map(|byte| vec![*byte]).collect();
        let began = Instant::now();
        let config = SendConfig::default();
        let error = tokio::select! {
            greeted = greet(ours, Manifest::default(), &config) => greeted.unwrap_err(),
            () = say(&mut theirs, trickled, pause) => unreachable!(),
        };
        assert!(
            matches!(error, SendError::Io(TransferIoError::Slow { .. })),
            "{error:?}"
        );
        assert!((10..=12).contains(&began.elapsed().as_secs()));
    }
}

/// How a sender ends whose receiver says `pieces`, and what it told.
async fn unanswered(pieces: Vec<Vec<u8>>, pause: u64) -> (SendError, Duration, Vec<Progress>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let on_progress = OnProgress::new(move |progress| tell.lock().unwrap().push(progress));
    let config = SendConfig::default().on_progress(on_progress);
    let source = FileSet::gather::<&str>([]).unwrap();
    let began = Instant::now();
    let error = tokio::select! {
        sent = send(ours, source, &config) => sent.unwrap_err(),
        () = say(&mut theirs, pieces, pause) => unreachable!(),
    };
    let told = told.lock().unwrap().clone();
    (error, began.elapsed(), told)
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_alive_and_never_answers_is_given_up_after_an_hour() {
    let mut pieces = vec![receiver_says()];
    pieces.extend(vec![WORKING.to_vec(); 1_000]);
    let (error, after, told) = unanswered(pieces, 8).await;
    assert!(
        matches!(error, SendError::Io(TransferIoError::Slow { .. })),
        "{error:?}"
    );
    assert_eq!(after.as_secs() / 60, 60, "{after:?}");
    assert_eq!(told, [Progress::Waiting { busy: false }]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_falls_silent_while_it_is_waited_for_is_noticed() {
    let (error, after, _) = unanswered(vec![receiver_says(), WORKING.to_vec()], 1).await;
    assert!(
        matches!(error, SendError::Io(TransferIoError::Silent { .. })),
        "{error:?}"
    );
    assert_eq!(after.as_secs(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_sender_learns_that_others_come_first() {
    let mut busy = ReceiverSession::busy("", Default::default());
    let mut said = busy.poll_transmit().unwrap();
    busy.abort(Abort::Busy);
    said.extend(busy.poll_transmit().unwrap());
    let hello = receiver_says().len() + 4;
    let pieces = vec![said[..hello].to_vec(), said[hello..].to_vec()];
    let (error, _, told) = unanswered(pieces, 1).await;
    assert!(
        matches!(
            error,
            SendError::Session(SessionError::Aborted(Abort::Busy))
        ),
        "{error:?}"
    );
    assert_eq!(told, [Progress::Waiting { busy: true }]);
}

/// Sends a file to a folder that has one of its name; the outcome, the share of it that the
/// receiver's progress reached, and what the folder has then.
async fn onto(
    there: &[u8],
    offered: &[u8],
    integrity: Integrity,
    on_conflict: OnConflict,
) -> (FileOutcome, f64, Vec<u8>) {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(from.path().join("a"), offered).unwrap();
    std::fs::write(into.path().join("a"), there).unwrap();
    let source = FileSet::gather([from.path().join("a")]).unwrap();
    let source = source.integrity(integrity);
    let reached = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reached);
    let count = move |progress| match progress {
        Progress::Resumed { bytes, .. } | Progress::Moved { bytes, .. } => {
            *counted.lock().unwrap() += bytes;
        }
        _ => {}
    };
    let config = ReceiveConfig::default()
        .limits(Limits::default().integrity(integrity))
        .on_conflict(on_conflict)
        .on_progress(OnProgress::new(count));
    let destination = Destination::open(into.path()).unwrap();
    let (ours, theirs) = duplex(1 << 16);
    let receiving = async {
        let incoming = receive(theirs, &config).await.unwrap();
        incoming.accept(&destination).await.unwrap()
    };
    let config = SendConfig::default();
    let (sent, received) = tokio::join!(send(ours, source, &config), receiving);
    assert_eq!(sent.unwrap().files[0].outcome, received.files[0].outcome);
    let share = *reached.lock().unwrap() as f64 / offered.len() as f64;
    let left = std::fs::read(into.path().join("a")).unwrap();
    (received.files[0].outcome, share, left)
}

#[tokio::test]
async fn progress_of_an_update_ends_at_the_whole_whether_the_file_differs_or_not() {
    let (old, new) = (vec![7; 5_000_000], vec![8; 5_000_000]);
    for there in [&old, &new] {
        let (outcome, share, left) = onto(there, &new, Integrity::Blake3, OnConflict::Update).await;
        assert!(matches!(outcome, FileOutcome::Complete(Some(_))));
        assert_eq!((share, left == new), (1.0, true));
    }
}

#[tokio::test]
async fn without_digests_an_update_replaces_and_a_resume_refuses() {
    let unverified = Integrity::Unverified;
    let (outcome, share, left) = onto(b"old", b"new", unverified, OnConflict::Update).await;
    assert_eq!(outcome, FileOutcome::Complete(None));
    assert_eq!((share, &left[..]), (1.0, &b"new"[..]));
    let (outcome, _, left) = onto(b"old", b"new", unverified, OnConflict::Resume).await;
    assert_eq!(outcome, FileOutcome::Refused(RefuseReason::Exists));
    assert_eq!(left, b"old");
}
