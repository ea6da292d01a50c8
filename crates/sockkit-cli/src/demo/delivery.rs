//! Sends the recording over TCP to a temporary folder, encrypted between two identities
//! that are thrown away, and verifies it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sockkit::{
    file::{
        Destination, Digest, FileOutcome, FileSet, ReceiveConfig, SendConfig, Summary, receive,
        send,
    },
    link::{Address, Connection, Host, Node, Scheme, identity::Identity, trust::Trust},
};

/// Result of the transfer.
pub(super) struct Delivery {
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    /// Digest of the file as read by the sender.
    pub(super) sent: Digest,
    /// Digest of the file as written by the receiver.
    pub(super) received: Digest,
}

/// Sends `file` over loopback. The copy is removed again.
pub(super) async fn deliver(file: &Path) -> anyhow::Result<Delivery> {
    let beside = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = tempfile::Builder::new()
        .prefix(".sockkit-demo-")
        .tempdir_in(beside.unwrap_or_else(|| Path::new(".")))
        .context("cannot create a folder to receive the recording in")?;
    let source = FileSet::gather([file])?;
    let destination = Destination::open(folder.path())?;
    let (ours, theirs) = connected().await.context("cannot connect over loopback")?;
    let (send_config, receive_config) = (SendConfig::default(), ReceiveConfig::default());

    let start = Instant::now();
    let receiving = async {
        let incoming = receive(theirs, &receive_config).await?;
        incoming.accept(&destination).await
    };
    let (sent, received) = tokio::join!(send(ours, source, &send_config), receiving);
    let elapsed = start.elapsed();
    let (sent, received) = (sent?, received?);
    Ok(Delivery {
        bytes: received.moved_bytes,
        elapsed,
        sent: digest(&sent)?,
        received: digest(&received)?,
    })
}

async fn connected() -> anyhow::Result<(Connection, Connection)> {
    let (ours, theirs) = (Identity::throw_away()?, Identity::throw_away()?);
    let any_port = Address::new(Scheme::Tcp, Host::V4([127, 0, 0, 1].into()), 0);
    let accepts = Trust::none().pinned(ours.fingerprint());
    let dials = Trust::none().pinned(theirs.fingerprint());
    let listener = Node::default().authenticate(theirs, accepts);
    let mut acceptor = listener.listen(&any_port).await?;
    let at = acceptor.address();
    let dialler = Node::default().authenticate(ours, dials);
    let (dialled, accepted) = tokio::join!(dialler.dial(&at), acceptor.accept());
    Ok((dialled?, accepted?))
}

fn digest(summary: &Summary) -> anyhow::Result<Digest> {
    match summary.files.as_slice() {
        [file] => match file.outcome {
            FileOutcome::Complete(Some(digest)) => Ok(digest),
            FileOutcome::Refused(reason) => bail!("the recording was refused: {reason}"),
            FileOutcome::Failed(reason) => bail!("the recording was not sent: {reason}"),
            outcome => bail!("the recording was not verified: {outcome:?}"),
        },
        files => bail!("{} files arrived instead of one", files.len()),
    }
}
