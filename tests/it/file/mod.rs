//! File transfer between two ends on loopback.

use std::{fs, path::Path, time::Duration};

use sockkit::file::{
    Destination, FileSet, OnConflict, ReceiveConfig, ReceiveError, SendConfig, SendError, Summary,
    receive, send,
};
use tokio::net::{TcpListener, TcpStream};

mod carried;
mod consent;
#[cfg(unix)]
mod hostile;
mod liar;
#[cfg(unix)]
mod links;
#[cfg(target_os = "linux")]
mod lossy;
#[cfg(unix)]
mod memory;
#[cfg(unix)]
mod odd_names;
#[cfg(unix)]
mod python;
mod transfer;
mod trouble;
#[cfg(unix)]
mod web;
#[cfg(windows)]
mod windows_names;

/// Both ends' verdicts.
type Ends = (Result<Summary, SendError>, Result<Summary, ReceiveError>);

/// Two connected sockets.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// Sends `source` into `into` over loopback and accepts what is offered.
async fn transfer(source: FileSet, into: &Path, config: ReceiveConfig) -> Ends {
    let (ours, theirs) = pair().await;
    let destination = Destination::open(into).unwrap();
    let send_config = SendConfig::default();
    let sending = send(ours, source, &send_config);
    let receiving = async {
        let incoming = receive(theirs, &config).await?;
        incoming.accept(&destination).await
    };
    let both = async { tokio::join!(sending, receiving) };
    tokio::time::timeout(Duration::from_secs(120), both)
        .await
        .expect("both ends come to an end")
}

/// The same, where nothing may fail.
async fn transfer_all(source: FileSet, into: &Path, on_conflict: OnConflict) -> (Summary, Summary) {
    let config = ReceiveConfig::default().on_conflict(on_conflict);
    let (sent, received) = transfer(source, into, config).await;
    (sent.unwrap(), received.unwrap())
}

/// Bytes that repeat nowhere and are the same in each run.
fn contents(bytes: usize, seed: u64) -> Vec<u8> {
    let mut contents = vec![0; bytes];
    fastrand::Rng::with_seed(seed).fill(&mut contents);
    contents
}

/// Every name below `folder`, sorted, temporary ones included.
fn names(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), names);
            }
            names.push(name);
        }
    }
    let mut names_found = Vec::new();
    walk(folder, "", &mut names_found);
    names_found.sort();
    names_found
}
