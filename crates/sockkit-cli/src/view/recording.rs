//! The recording beside what is watched.

use std::path::Path;

use anyhow::Context;
use sockkit::{
    sink::record::{RecordError, RecordSummary, Recorder, RecorderConfig},
    stream::Receiver,
};
use tokio::task::JoinHandle;

use crate::{
    json::Object,
    say::{self, say},
};

/// A recording that runs until the pictures end, or the disk fails.
pub(super) struct Recording {
    task: JoinHandle<Result<RecordSummary, RecordError>>,
    /// Its result, once known.
    ended: Option<anyhow::Result<RecordSummary>>,
}

impl Recording {
    pub(super) async fn start(
        receiver: &Receiver,
        path: &Path,
        config: RecorderConfig,
    ) -> anyhow::Result<Self> {
        let mut recorder = Recorder::create(path, config)
            .await
            .context("cannot record; choose another file with --record")?;
        say!("recording {}", path.display());
        let mut pictures = receiver.pictures();
        let task = tokio::spawn(async move {
            recorder.follow(&mut pictures).await?;
            recorder.finish().await
        });
        Ok(Self { task, ended: None })
    }

    pub(super) async fn finish(self) -> anyhow::Result<RecordSummary> {
        match self.ended {
            Some(ended) => ended,
            None => Ok(self.task.await.context("the recorder was stopped")??),
        }
    }
}

/// Waits until the recording fails, and returns once; pending if there is none.
pub(super) async fn stopped(recording: &mut Option<Recording>) -> String {
    if let Some(Recording {
        task,
        ended: ended @ None,
    }) = recording
    {
        let joined = task.await.context("the recorder was stopped");
        if let Err(error) = ended.insert(joined.and_then(|ended| Ok(ended?))) {
            return format!("{error:#}");
        }
    }
    std::future::pending().await
}

/// Names every file: a new one begins each time that the pictures' size changes.
pub(super) fn say_recorded(summary: &RecordSummary) {
    let files = summary.files.iter().map(|file| file.display().to_string());
    let files: Vec<_> = files.collect();
    for file in &files {
        say::only_json(|| Object::new("recorded").text("path", file));
    }
    match &files[..] {
        [] => say!("recorded  0 pictures, and so no file"),
        [file] => say!("recorded  {} pictures in {file}", summary.frames),
        files => say!(
            "recorded  {} pictures in {} files, as their size changed: {}",
            summary.frames,
            files.len(),
            files.join(", ")
        ),
    }
}
