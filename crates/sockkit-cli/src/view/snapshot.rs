//! One picture in a file.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use sockkit::{picture::jpeg, stream::Receiver};
use tokio::{fs, task::spawn_blocking, time::timeout};

use super::sources::{Source, tell_sender};
use crate::{
    interrupt,
    say::say,
    secure::{self, Shown},
};

/// Rejects an existing file before there is a picture. As with --record, none is replaced;
/// what is no file, such as a pipe, is written to.
pub(super) fn check_free(path: &Path) -> anyhow::Result<()> {
    let is_taken = path
        .metadata()
        .is_ok_and(|there| there.is_file() || there.is_dir());
    ensure!(
        !is_taken,
        "{} exists; choose another file with --snapshot",
        path.display()
    );
    Ok(())
}

pub(super) async fn save(
    source: &Source,
    receiver: &Receiver,
    path: &Path,
    limit: Duration,
    code: &mut Option<Shown>,
) -> anyhow::Result<()> {
    let mut pictures = receiver.pictures();
    let first = tokio::select! {
        // Pairing comes before the picture.
        biased;
        ended = tell_events(code) => return ended,
        first = timeout(limit, pictures.next()) => first.ok().flatten(),
        pressed = interrupt::pressed() => {
            pressed?;
            None
        }
    };
    let Some(picture) = first else {
        bail!(source.nothing_came());
    };
    let jpeg = jpeg::encode(&picture, jpeg::DEFAULT_QUALITY)?;
    write_whole(path, jpeg.data())
        .await
        .with_context(|| format!("cannot write {}", path.display()))?;
    tell_sender("", None, receiver.stats().snapshot().sender);
    say!("saved     {}", path.display());
    Ok(())
}

/// The picture gets its name when it is complete.
async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).await.is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes).await;
    }
    let (path, bytes) = (path.to_owned(), bytes.to_owned());
    let written = spawn_blocking(move || {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // An unpredictable name, which cannot exist already as a link to elsewhere.
        let mut part = tempfile::Builder::new();
        part.prefix(".sockkit-").suffix(".part");
        // As for any new file, the umask restricts them.
        #[cfg(unix)]
        part.permissions(PermissionsExt::from_mode(0o666));
        let mut part = part.tempfile_in(folder)?;
        part.write_all(&bytes)?;
        part.persist_noclobber(&path)?;
        Ok(())
    });
    written.await?
}

/// Prints the events of a code: pairings, and the next code. Returns only if one cannot be drawn.
async fn tell_events(code: &mut Option<Shown>) -> anyhow::Result<()> {
    loop {
        let event = secure::next(code).await?;
        if let Some(code) = code {
            code.tell(&event);
        }
    }
}
