//! What holds for a transfer whatever carries it: each test runs unchanged over
//! TCP, TLS, QUIC and a pipe in memory.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use sockkit::{
    file::{
        BLOCK_BYTES, Destination, FileOutcome, FileSet, OnConflict, OnProgress, Progress,
        ReceiveConfig, SendConfig, SendError, Summary, receive, send,
        session::{Abort, RefuseReason, SessionError},
    },
    link::Scheme,
};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::timeout,
};

use super::{Ends, contents, names};
use crate::link::{listen, node};

/// What carries the bytes.
#[derive(Clone, Copy, Debug)]
enum Over {
    Connection(Scheme),
    Memory,
}

macro_rules! over_each_stream {
    ($($test:ident),* $(,)?) => {
        over_each_stream!(@ tcp super::Over::Connection(super::Scheme::Tcp), $($test)*);
        over_each_stream!(@ tls super::Over::Connection(super::Scheme::Tls), $($test)*);
        over_each_stream!(@ quic super::Over::Connection(super::Scheme::Quic), $($test)*);
        over_each_stream!(@ memory super::Over::Memory, $($test)*);
    };
    (@ $module:ident $over:expr, $($test:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($over).await;
                }
            )*
        }
    };
}

over_each_stream!(
    a_folder_arrives_as_it_was,
    what_was_cut_off_is_finished_from_where_it_stopped,
    a_sender_is_told_that_its_offer_was_declined,
    one_file_may_be_refused_and_the_others_arrive,
    a_sender_that_leaves_before_its_offer_is_missed_at_once,
);

/// One end of a connection or pipe.
type End = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Over {
    /// The sender's end and the receiver's, which over QUIC is there once the
    /// sender has said something.
    async fn ends(self) -> (End, BoxFuture<'static, End>) {
        let Self::Connection(scheme) = self else {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let theirs: End = Box::new(theirs);
            return (Box::new(ours), ready(theirs).boxed());
        };
        let node = node();
        let mut acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        let accepting = tokio::spawn(async move { acceptor.accept().await.unwrap() });
        let theirs = async { Box::new(accepting.await.unwrap()) as End };
        (Box::new(node.dial(&to).await.unwrap()), theirs.boxed())
    }

    async fn transfer(self, from: &Path, into: &Path) -> (Summary, Summary) {
        let (ours, theirs) = self.ends().await;
        let (sent, received) = both(ours, theirs, from, into).await;
        (sent.unwrap(), received.unwrap())
    }
}

/// Sends `from` over one end, and accepts all of it at the other.
async fn both(ours: End, theirs: impl Future<Output = End>, from: &Path, into: &Path) -> Ends {
    let config = ReceiveConfig::default().on_conflict(OnConflict::Overwrite);
    let source = FileSet::gather([from]).unwrap();
    let send_config = SendConfig::default();
    let destination = Destination::open(into).unwrap();
    let receiving = async {
        let incoming = receive(theirs.await, &config).await?;
        incoming.accept(&destination).await
    };
    let both = async { tokio::join!(send(ours, source, &send_config), receiving) };
    in_time(both).await
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), future)
        .await
        .expect("both ends come to an end")
}

/// More than any connection holds on its way.
const FILM_BYTES: usize = 40 << 20;

/// A folder `album` of three files, one empty, and an empty folder.
fn album() -> TempDir {
    let from = tempdir().unwrap();
    fs::create_dir_all(from.path().join("album/empty folder")).unwrap();
    for (name, bytes) in [("empty", 0), ("note", 7), ("film", FILM_BYTES)] {
        let path = from.path().join("album").join(name);
        fs::write(path, contents(bytes, 1)).unwrap();
    }
    from
}

fn same_film(from: &TempDir, into: &TempDir) -> bool {
    let film = |folder: &TempDir| fs::read(folder.path().join("album/film")).unwrap();
    film(from) == film(into)
}

async fn a_folder_arrives_as_it_was(over: Over) {
    let (from, into) = (album(), tempdir().unwrap());
    let (sent, received) = over.transfer(&from.path().join("album"), into.path()).await;
    assert!(sent.is_complete() && received.is_complete());
    assert_eq!(sent.files, received.files);
    assert_eq!(sent.moved_bytes, FILM_BYTES as u64 + 7);
    assert_eq!(names(into.path()), names(from.path()));
    assert!(same_film(&from, &into));
}

async fn what_was_cut_off_is_finished_from_where_it_stopped(over: Over) {
    let (from, into) = (album(), tempdir().unwrap());
    let album = from.path().join("album");
    let (ours, theirs) = over.ends().await;
    let cut = Arc::new(Notify::new());
    let (sender_is_there, sender_is_gone) = mpsc::channel::<()>();
    let sender_is_gone = Mutex::new(sender_is_gone);
    let moved = AtomicU64::new(0);
    let config = ReceiveConfig::default().on_progress(OnProgress::new({
        let cut = Arc::clone(&cut);
        move |progress| {
            if let Progress::Moved { bytes, .. } = progress
                && moved.fetch_add(bytes, Relaxed) + bytes > 5 << 20
            {
                // A block is complete. What may be under way now is less than
                // what is left of the file.
                cut.notify_one();
                let _ = sender_is_gone.lock().unwrap().recv();
            }
        }
    }));
    let source = FileSet::gather([&album]).unwrap();
    let destination = Destination::open(into.path()).unwrap();
    let send_config = SendConfig::default();
    let sending = async {
        tokio::select! {
            biased;
            () = cut.notified() => {}
            sent = send(ours, source, &send_config) => panic!("{sent:?} before the cut"),
        }
        drop(sender_is_there);
    };
    let receiving = async {
        let incoming = receive(theirs.await, &config).await?;
        incoming.accept(&destination).await
    };
    let ((), received) = in_time(async { tokio::join!(sending, receiving) }).await;
    received.unwrap_err();
    assert!(!into.path().join("album/film").exists());

    let (sent, received) = over.transfer(&album, into.path()).await;
    assert!(sent.is_complete() && received.is_complete());
    let least = FILM_BYTES as u64 - BLOCK_BYTES;
    assert!(sent.moved_bytes <= least + 7, "{} moved", sent.moved_bytes);
    assert!(same_film(&from, &into));
}

async fn a_sender_is_told_that_its_offer_was_declined(over: Over) {
    let from = album();
    let (ours, theirs) = over.ends().await;
    let source = FileSet::gather([from.path().join("album")]).unwrap();
    let send_config = SendConfig::default();
    let receiving = async {
        let incoming = receive(theirs.await, &ReceiveConfig::default())
            .await
            .unwrap();
        incoming.decline().await;
    };
    let both = async { tokio::join!(send(ours, source, &send_config), receiving) };
    let (sent, ()) = in_time(both).await;
    assert!(
        matches!(
            sent,
            Err(SendError::Session(SessionError::Aborted(Abort::Declined)))
        ),
        "{sent:?}"
    );
}

async fn one_file_may_be_refused_and_the_others_arrive(over: Over) {
    let (from, into) = (album(), tempdir().unwrap());
    let (ours, theirs) = over.ends().await;
    let source = FileSet::gather([from.path().join("album")]).unwrap();
    let send_config = SendConfig::default();
    let destination = Destination::open(into.path()).unwrap();
    let receiving = async {
        let incoming = receive(theirs.await, &ReceiveConfig::default()).await?;
        let chosen = incoming.select(|entry| !entry.path.as_bytes().ends_with(b"film"));
        chosen.accept(&destination).await
    };
    let both = async { tokio::join!(send(ours, source, &send_config), receiving) };
    let (sent, received) = in_time(both).await;
    for summary in [sent.unwrap(), received.unwrap()] {
        let refused: Vec<_> = summary
            .files
            .iter()
            .filter(|file| file.outcome == FileOutcome::Refused(RefuseReason::Unwanted))
            .map(|file| file.path.to_string())
            .collect();
        assert_eq!(refused, ["album/film"]);
        assert_eq!(summary.moved_bytes, 7);
    }
    assert_eq!(
        names(into.path()),
        ["album", "album/empty", "album/empty folder", "album/note"]
    );
}

async fn a_sender_that_leaves_before_its_offer_is_missed_at_once(over: Over) {
    let (mut ours, theirs) = over.ends().await;
    // The beginning of a length.
    ours.write_all(&[0; 3]).await.unwrap();
    let theirs = in_time(theirs).await;
    drop(ours);
    let received = in_time(receive(theirs, &ReceiveConfig::default())).await;
    assert!(received.is_err());
}
