//! What the sender found and does not send: named at the end, on both sides.

use anyhow::bail;
use sockkit::file::{FileSet, Manifest, Summary, escape_path};

use crate::{
    json::Object,
    say::{self, note, tell},
    transfer::{self, plural},
};

/// Each path with its reason, to be printed after the transfer, where nothing hides it.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    lines: Vec<(String, String)>,
    /// How many the receiver lacks.
    pub(crate) lacks: u32,
    /// Pipes, sockets and devices, which have no contents to send.
    special: usize,
}

impl Skipped {
    /// At the sender.
    pub(crate) fn of(files: &FileSet) -> Self {
        let skipped = files.skipped().iter();
        let lines = skipped.map(|one| (escape_path(&one.path), one.reason.to_string()));
        let lines: Vec<_> = lines.collect();
        let lacks = files.manifest().left_out;
        Self {
            special: lines.len().saturating_sub(lacks as usize),
            lines,
            lacks,
        }
    }

    /// At the receiver: as the sender has told.
    pub(crate) fn told(summary: &Summary) -> Self {
        let named = summary.left_out_entries.iter();
        Self {
            lines: named
                .map(|one| (one.path.to_string(), one.reason.to_string()))
                .collect(),
            lacks: summary.left_out,
            special: 0,
        }
    }

    /// Says what of what was found is offered.
    ///
    /// # Errors
    /// If that is nothing.
    pub(crate) fn announce(&self, offered: &Manifest) -> anyhow::Result<()> {
        if offered.entries.is_empty() {
            self.tell();
            bail!("nothing to send");
        }
        note!("offering {}", transfer::count(offered));
        Ok(())
    }

    /// Names them, and counts those that are not named.
    pub(crate) fn tell(&self) {
        for (path, reason) in &self.lines {
            tell!("skipping {path}: {reason}");
            say::only_json(|| {
                Object::new("file")
                    .text("path", path)
                    .text("outcome", "skipped")
                    .text("reason", reason)
            });
        }
        let unnamed = (self.lacks as usize).saturating_sub(self.lines.len());
        if unnamed > 0 {
            tell!("skipping {unnamed} that the sender has not named");
        }
    }

    /// A part of the totals, such as `, 2 special files skipped`.
    pub(crate) fn totals(&self) -> String {
        match self.special {
            0 => String::new(),
            special => format!(", {} skipped", plural(special, "special file")),
        }
    }

    /// What the receiver lacks, as an error.
    pub(crate) fn lack(&self) -> Option<String> {
        (self.lacks > 0).then(|| format!("{} skipped by the sender", self.lacks))
    }
}
