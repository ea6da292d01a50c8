//! Records the received pictures as MP4.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sockkit::{
    latest::Subscriber,
    picture::Picture,
    sink::record::{RecordError, RecordSummary, Recorder, RecorderConfig},
};
use tokio::task::JoinHandle;

/// A recording that runs until its pictures end.
pub(super) struct Recording {
    path: PathBuf,
    task: JoinHandle<Result<RecordSummary, RecordError>>,
}

/// A complete recording.
pub(super) struct Recorded {
    pub(super) path: PathBuf,
    pub(super) summary: RecordSummary,
}

impl Recording {
    /// Records to `path`, or to the first free default name.
    pub(super) async fn start(
        path: Option<PathBuf>,
        mut pictures: Subscriber<Picture>,
    ) -> anyhow::Result<Self> {
        let mut recorder = match path {
            Some(path) => create(&path).await,
            None => create_numbered().await,
        }
        .context("cannot record; choose another file with --record")?;
        let path = recorder.path().to_owned();
        let task = tokio::spawn(async move {
            recorder.follow(&mut pictures).await?;
            recorder.finish().await
        });
        Ok(Self { path, task })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes the file, after the pictures have ended.
    pub(super) async fn finish(self) -> anyhow::Result<Recorded> {
        let summary = self.task.await.context("the recorder was stopped")??;
        Ok(Recorded {
            path: self.path,
            summary,
        })
    }
}

async fn create(path: &Path) -> Result<Recorder, RecordError> {
    Recorder::create(path, RecorderConfig::default()).await
}

async fn create_numbered() -> Result<Recorder, RecordError> {
    let mut number = 1_u32;
    loop {
        let path = match number {
            1 => PathBuf::from("sockkit-demo.mp4"),
            _ => PathBuf::from(format!("sockkit-demo-{number}.mp4")),
        };
        match create(&path).await {
            Err(RecordError::Exists { .. }) if number < MAX_RECORDINGS => number += 1,
            created => return created,
        }
    }
}

/// More recordings than this have been forgotten by their user.
const MAX_RECORDINGS: u32 = 1_000;
