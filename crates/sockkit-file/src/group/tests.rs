//! The drivers, with members in one process and multicast over loopback.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sockkit_core::multicast::Via;
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, duplex},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    GroupError, GroupEvent, GroupOffer, GroupSendConfig, GroupSummary, JoinConfig, JoinedGroup,
    Lack, MemberOutcome, NewMember, OnGroupEvent, ShardId, ToMember, ToSender, Welcome, frames,
    join,
};
use crate::{
    Destination, FileSet, Offer, OnConflict, ReceiveConfig, ReceiveError, Summary, TransferIoError,
    receive, session::Abort,
};

/// A sender that waits for `start`, and for members.
struct Sender {
    admit: Option<mpsc::Sender<NewMember<DuplexStream>>>,
    start: Option<oneshot::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
    over: Arc<Notify>,
    /// Told when a member has accepted.
    ready: Arc<Notify>,
    task: JoinHandle<Result<GroupSummary, GroupError>>,
}

impl Sender {
    fn offering(folder: &Path) -> Self {
        let offer = GroupOffer::prepare(FileSet::gather([folder]).unwrap()).unwrap();
        let over = Arc::new(Notify::new());
        let is_over = Arc::clone(&over);
        let ready = Arc::new(Notify::new());
        let is_ready = Arc::clone(&ready);
        let config = GroupSendConfig::to(random_group())
            .outgoing("127.0.0.1".parse().unwrap())
            .bits_per_second(400_000_000)
            .on_event(OnGroupEvent::new(move |event| match event {
                GroupEvent::Over => is_over.notify_one(),
                GroupEvent::Ready { .. } => is_ready.notify_one(),
                _ => {}
            }));
        let (admit, admitted) = mpsc::channel(4);
        let (start, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(offer.send(config, admitted, told(started), told(stopped)));
        Self {
            admit: Some(admit),
            start: Some(start),
            stop: Some(stop),
            over,
            ready,
            task,
        }
    }

    async fn admit(&self, label: &str) -> DuplexStream {
        let (near, far) = duplex(1 << 16);
        let admit = self.admit.as_ref().unwrap();
        admit.send(NewMember::new(near, label)).await.unwrap();
        far
    }

    /// One that has not accepted yet, and so keeps the transfer from ending.
    async fn admit_silent(&self) -> DuplexStream {
        let mut stream = self.admit("silent").await;
        let hello = ToSender::Hello("silent".into());
        frames::write(&mut stream, &hello).await.unwrap();
        stream
    }

    fn start(&mut self) {
        self.start.take().unwrap().send(()).unwrap();
    }

    async fn stopped(mut self) -> GroupSummary {
        self.stop.take().unwrap().send(()).unwrap();
        self.finish().await
    }

    async fn finish(mut self) -> GroupSummary {
        self.admit = None;
        timeout(LIMIT, self.task).await.unwrap().unwrap().unwrap()
    }
}

/// Returns when it is told, and never if it cannot be any more.
async fn told(told: oneshot::Receiver<()>) {
    if told.await.is_err() {
        std::future::pending().await
    }
}

fn random_group() -> SocketAddr {
    let port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = port.local_addr().unwrap().port();
    let mut ip = [239, 0, 0, 0];
    getrandom::fill(&mut ip[1..]).unwrap();
    SocketAddr::from((ip, port))
}

/// Receives everything into `into`.
async fn member(stream: DuplexStream, into: &Path) -> Result<Summary, String> {
    let destination = Destination::open(into).unwrap();
    let via = Via::Interface("127.0.0.1".parse().unwrap());
    let config = JoinConfig::new(destination.clone()).name("member").via(via);
    let joined = join(stream, config)
        .await
        .map_err(|error| error.to_string())?;
    let day = Duration::from_secs(86_400);
    let receiving = ReceiveConfig::default()
        .on_conflict(OnConflict::Resume)
        .idle_timeout(day)
        .stall_timeout(day);
    let offer = receive(joined.stream, &receiving).await;
    let offer = offer.map_err(|error| error.to_string())?;
    let summary = offer.accept(&destination).await;
    let ended = joined.transfer.await.unwrap();
    ended.map_err(|error| error.to_string())?;
    summary.map_err(|error| error.to_string())
}

fn spawn_member(stream: DuplexStream) -> (TempDir, JoinHandle<Result<Summary, String>>) {
    let into = tempfile::tempdir().unwrap();
    let path = into.path().to_owned();
    (
        into,
        tokio::spawn(async move { member(stream, &path).await }),
    )
}

/// Several files, of a few blocks in all.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(9);
    fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, bytes) in [
        ("a", 5_000_000),
        ("empty", 0),
        ("sub/b", 17),
        ("sub/c", 6_000_001),
    ] {
        let bytes: Vec<u8> = (0..bytes).map(|_| rng.u8(..)).collect();
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[track_caller]
fn assert_same(there: &Path, here: &Path) {
    let here = here.join(there.file_name().unwrap());
    for name in ["a", "empty", "sub/b", "sub/c"] {
        let (there, here) = (there.join(name), here.join(name));
        assert!(
            fs::read(there).unwrap() == fs::read(here).unwrap(),
            "{name}"
        );
    }
}

/// Nothing but the files.
#[track_caller]
fn assert_clean(into: &Path) {
    assert_eq!(fs::read_dir(into).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_gets_the_files_and_one_that_comes_late_fetches_them() {
    let offered = files();
    let mut sender = Sender::offering(offered.path());
    let (first, first_ended) = spawn_member(sender.admit("first").await);
    let (second, second_ended) = spawn_member(sender.admit("second").await);
    let waiting = sender.admit_silent().await;
    sender.start();
    for (into, ended) in [(&first, first_ended), (&second, second_ended)] {
        let summary = timeout(LIMIT, ended).await.unwrap().unwrap().unwrap();
        assert!(summary.is_complete(), "{summary:?}");
        assert_same(offered.path(), into.path());
        assert_clean(into.path());
    }
    let (late, late_ended) = spawn_member(sender.admit("late").await);
    let summary = timeout(LIMIT, late_ended).await.unwrap().unwrap().unwrap();
    assert!(summary.is_complete());
    assert_same(offered.path(), late.path());
    drop(waiting);
    let summary = sender.finish().await;
    let outcomes: Vec<_> = summary
        .members
        .iter()
        .map(|member| &member.outcome)
        .collect();
    assert_eq!(outcomes[..2], [&MemberOutcome::Complete; 2]);
    assert!(
        matches!(outcomes[2], MemberOutcome::Failed(_)),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[3], &MemberOutcome::Complete);
    assert!(summary.fetched_bytes >= 11_000_000, "{summary:?}");
}

fn encoded(said: &[ToSender]) -> Vec<u8> {
    let mut frames = Vec::new();
    said.iter().for_each(|message| message.encode(&mut frames));
    frames
}

/// What a member that breaks the protocol is told to have done.
async fn misbehave(frames: &[u8]) -> MemberOutcome {
    let offered = files();
    let mut sender = Sender::offering(offered.path());
    let mut stream = sender.admit("liar").await;
    frames::write_bytes(&mut stream, frames).await.unwrap();
    let (mut reading, _writing) = tokio::io::split(stream);
    let drain = tokio::spawn(async move {
        while frames::read::<ToMember>(&mut reading, ToMember::MAX_BYTES)
            .await
            .is_ok()
        {}
    });
    sender.start();
    let mut summary = sender.finish().await;
    drain.abort();
    summary.members.remove(0).outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_break_the_protocol_are_given_up() {
    let hello = || ToSender::Hello("liar".into());
    let fetch = |block, end| ToSender::Fetch {
        block,
        ranges: std::iter::once(0..end).collect(),
    };
    let lacks = vec![Lack {
        block: 99,
        shards: 1,
    }];
    for (said, why) in [
        (
            vec![ToSender::Ready],
            "other side broke the protocol: hello comes first",
        ),
        (vec![hello(), hello()], "it said hello again"),
        (
            vec![hello(), fetch(0, 1)],
            "it asked for more before it had an answer",
        ),
        (
            vec![hello(), ToSender::Ready, fetch(99, 1)],
            "it asked for shards that are not there",
        ),
        (
            vec![hello(), ToSender::Ready, fetch(0, u16::MAX)],
            "it asked for shards that are not there",
        ),
        (
            vec![
                hello(),
                ToSender::Ready,
                ToSender::Report { round: 1, lacks },
            ],
            "a report that makes no sense",
        ),
        // Again, without having read the answer.
        (
            vec![hello(), ToSender::Ready, fetch(0, 3_000), fetch(0, 3_000)],
            "it asked for more before it had an answer",
        ),
    ] {
        let outcome = misbehave(&encoded(&said)).await;
        assert_eq!(outcome, MemberOutcome::Failed(why.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_cannot_speak_as_the_sender_does() {
    let poll = ToMember::Poll {
        round: 1,
        blocks: 0..1,
        newest: 0,
    };
    let first = ShardId { block: 0, index: 0 };
    let bytes = vec![0; 1_444];
    for (message, kind) in [
        (poll, 3),
        (ToMember::Over, 4),
        (ToMember::Shards { first, bytes }, 5),
        (ToMember::Finished, 8),
    ] {
        let mut frames = encoded(&[ToSender::Hello("liar".into()), ToSender::Ready]);
        message.encode(&mut frames);
        let why = format!("message of kind {kind} makes no sense");
        assert_eq!(misbehave(&frames).await, MemberOutcome::Failed(why));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_dropped_closes_the_connections() {
    let offered = files();
    let mut sender = Sender::offering(offered.path());
    // It does not read: more is waiting to be written than there is room for.
    let mut stream = sender.admit("member").await;
    for message in [ToSender::Hello("member".into()), ToSender::Ready] {
        frames::write(&mut stream, &message).await.unwrap();
    }
    let ranges = std::iter::once(0..3_000).collect();
    let fetch = ToSender::Fetch { block: 0, ranges };
    frames::write(&mut stream, &fetch).await.unwrap();
    sender.start();
    timeout(LIMIT, sender.over.notified()).await.unwrap();
    sender.task.abort();
    let read_all = async {
        while frames::read::<ToMember>(&mut stream, u32::MAX)
            .await
            .is_ok()
        {}
    };
    timeout(LIMIT, read_all).await.unwrap();
    let sent = frames::write(&mut stream, &ToSender::Working).await;
    assert!(sent.is_err());
}

/// Sends the first block, and disconnects when it is kept: then the next one is asked
/// for.
async fn serve_first_block(offer: &GroupOffer, mut stream: DuplexStream) -> Result<(), GroupError> {
    let manifest = offer.manifest.clone();
    let welcome = Welcome::new("desk", random_group(), [1; 32], offer.layout, manifest);
    frames::write(&mut stream, &ToMember::Welcome(Box::new(welcome))).await?;
    frames::write(&mut stream, &ToMember::Digests(offer.digests.clone())).await?;
    frames::write(&mut stream, &ToMember::Over).await?;
    loop {
        let said = frames::read(&mut stream, 1 << 20).await?;
        let ToSender::Fetch { block, ranges } = said else {
            continue;
        };
        if block > 0 {
            return Ok(());
        }
        let all = 0..offer.layout.block_shards();
        assert_eq!(ranges.first(), Some(&all));
        let bytes = offer.bundle.lock().unwrap().shards(0, all)?;
        let first = ShardId { block, index: 0 };
        frames::write(&mut stream, &ToMember::Shards { first, bytes }).await?;
        frames::write(&mut stream, &ToMember::Fetched).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_attempt_has_kept_is_not_sent_again() {
    let offered = files();
    let into = tempfile::tempdir().unwrap();
    let (near, far) = duplex(1 << 16);
    let offer = GroupOffer::prepare(FileSet::gather([offered.path()]).unwrap()).unwrap();
    let (served, first) = tokio::join!(
        timeout(LIMIT, serve_first_block(&offer, near)),
        timeout(LIMIT, member(far, into.path())),
    );
    served.unwrap().unwrap();
    first.unwrap().unwrap_err();

    let mut sender = Sender::offering(offered.path());
    let silent = sender.admit_silent().await;
    sender.start();
    timeout(LIMIT, sender.over.notified()).await.unwrap();
    let stream = sender.admit("again").await;
    let again = timeout(LIMIT, member(stream, into.path())).await.unwrap();
    assert!(again.unwrap().is_complete());
    assert_same(offered.path(), into.path());
    assert_clean(into.path());
    drop(silent);
    let summary = sender.finish().await;
    assert_eq!(summary.members[1].outcome, MemberOutcome::Complete);
    let missing = 11_000_018 - BLOCK;
    assert!(summary.fetched_bytes <= missing + 1_444, "{summary:?}");
}

/// Joins, and shows the offer, of a sender whose connection is returned as well.
async fn offered_to(
    sender: &Sender,
    into: &Path,
) -> (
    JoinHandle<()>,
    JoinedGroup,
    Offer<DuplexStream>,
    Destination,
) {
    let mut far = sender.admit("member").await;
    let (mut near, connection) = duplex(1 << 16);
    let relay = tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut far, &mut near).await;
    });
    let destination = Destination::open(into).unwrap();
    let via = Via::Interface("127.0.0.1".parse().unwrap());
    let joining = JoinConfig::new(destination.clone()).via(via);
    let mut joined = join(connection, joining).await.unwrap();
    let day = Duration::from_secs(86_400);
    let receiving = ReceiveConfig::default()
        .idle_timeout(day)
        .stall_timeout(day);
    let (unused, _) = duplex(1);
    let stream = std::mem::replace(&mut joined.stream, unused);
    let offer = receive(stream, &receiving).await.unwrap();
    (relay, joined, offer, destination)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_answered_sees_that_the_sender_has_gone() {
    let (offered, into) = (files(), tempfile::tempdir().unwrap());
    let sender = Sender::offering(offered.path());
    let (relay, joined, mut offer, _destination) = offered_to(&sender, into.path()).await;
    relay.abort();
    let held = timeout(LIMIT, offer.hold(std::future::pending::<()>()));
    held.await.unwrap().unwrap_err();
    joined.transfer.await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_waits_for_a_block_ends_with_the_engine() {
    let (offered, into) = (files(), tempfile::tempdir().unwrap());
    let sender = Sender::offering(offered.path());
    let (_relay, joined, offer, destination) = offered_to(&sender, into.path()).await;
    let ready = Arc::clone(&sender.ready);
    let stop = async {
        ready.notified().await;
        joined.transfer.abort();
    };
    let accepting = async { tokio::join!(offer.accept(&destination), stop).0 };
    let ended = timeout(LIMIT, accepting).await.unwrap();
    assert!(!ended.is_ok_and(|summary| summary.is_complete()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_stops_says_so_and_names_who_lacks_something() {
    let (offered, into) = (files(), tempfile::tempdir().unwrap());
    let sender = Sender::offering(offered.path());
    let (_relay, joined, offer, destination) = offered_to(&sender, into.path()).await;
    let ready = Arc::clone(&sender.ready);
    let accepting = tokio::spawn(async move { offer.accept(&destination).await });
    ready.notified().await;
    let summary = sender.stopped().await;
    let why = "the transfer was stopped here".to_owned();
    assert_eq!(summary.members[0].outcome, MemberOutcome::Failed(why));
    // Not a file that the sender could not read.
    let received = timeout(LIMIT, accepting).await.unwrap().unwrap();
    let closed = ReceiveError::Io(TransferIoError::Closed);
    assert_eq!(received.unwrap_err().to_string(), closed.to_string());
    let ended = timeout(LIMIT, joined.transfer).await.unwrap().unwrap();
    assert!(
        matches!(ended, Err(GroupError::Ended(Abort::Cancelled))),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_why_it_ends() {
    let offered = files();
    for (declines, why) in [
        (true, Abort::Declined),
        // Its receiving session is dropped.
        (false, Abort::Cancelled),
    ] {
        let into = tempfile::tempdir().unwrap();
        let mut sender = Sender::offering(offered.path());
        let (_relay, joined, offer, _) = offered_to(&sender, into.path()).await;
        match declines {
            true => offer.decline().await,
            false => drop(offer),
        }
        let ended = timeout(LIMIT, joined.transfer).await.unwrap().unwrap();
        assert!(ended.is_err());
        sender.start();
        let summary = sender.finish().await;
        let why = MemberOutcome::Failed(why.to_string());
        assert_eq!(summary.members[0].outcome, why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_vanishes_has_gone_away() {
    let offered = files();
    let mut sender = Sender::offering(offered.path());
    drop(sender.admit_silent().await);
    sender.start();
    let summary = sender.finish().await;
    let why = MemberOutcome::Failed("the receiver went away".to_owned());
    assert_eq!(summary.members[0].outcome, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_temporary_file_cannot_be_opened_does_not_blame_the_sender() {
    let (offered, into) = (files(), tempfile::tempdir().unwrap());
    let mut sender = Sender::offering(offered.path());
    let (_relay, joined, offer, destination) = offered_to(&sender, into.path()).await;
    // The same transfer, beside it.
    let (_relay, first, beside, _) = offered_to(&sender, into.path()).await;
    let ready = Arc::clone(&sender.ready);
    let there = destination.clone();
    let accepting = tokio::spawn(async move { beside.accept(&there).await });
    ready.notified().await;
    let received = timeout(LIMIT, offer.accept(&destination)).await.unwrap();
    assert!(matches!(received, Err(ReceiveError::Io(_))), "{received:?}");
    let ended = timeout(LIMIT, joined.transfer).await.unwrap().unwrap();
    assert!(matches!(ended, Err(GroupError::Spool(_))), "{ended:?}");
    sender.start();
    let received = timeout(LIMIT, accepting).await.unwrap().unwrap();
    assert!(received.unwrap().is_complete());
    timeout(LIMIT, first.transfer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let outcomes = sender.finish().await.members.into_iter();
    let outcomes: Vec<_> = outcomes.map(|member| member.outcome).collect();
    let failed = MemberOutcome::Failed(Abort::Io.to_string());
    assert_eq!(outcomes, [failed, MemberOutcome::Complete]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_refused_is_counted() {
    let offered = files();
    let into = tempfile::tempdir().unwrap();
    let mut sender = Sender::offering(offered.path());
    // A file of that name, and of another length, is refused.
    let folder = into.path().join(offered.path().file_name().unwrap());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "another one").unwrap();
    let stream = sender.admit("member").await;
    let path = into.path().to_owned();
    let ended = tokio::spawn(async move { member(stream, &path).await });
    sender.start();
    let summary = timeout(LIMIT, ended).await.unwrap().unwrap().unwrap();
    assert!(!summary.is_complete());
    assert_clean(into.path());
    let summary = sender.finish().await;
    assert_eq!(summary.members[0].outcome, MemberOutcome::Without(1));
}

/// Of the usual layout.
const BLOCK: u64 = 3_072 * 1_444;
/// For a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
