//! Who wants what a sender has.

use sockkit::file::Manifest;

use super::{
    Question,
    offer::{MAX_REST, calls_itself, line},
    print,
};
use crate::transfer;

/// A receiver that a user is to decide about.
pub(crate) struct Request<'a> {
    pub(crate) address: &'a str,
    /// What the peer calls itself.
    pub(crate) peer: &'a str,
    pub(crate) manifest: &'a Manifest,
}

impl Request<'_> {
    /// Shows it; the question is still to be asked.
    pub(crate) fn show(&self) -> Question {
        let entries = &self.manifest.entries;
        let mut lines = vec![format!(
            "{}{} connected; it would get {}",
            self.address,
            calls_itself(self.peer),
            transfer::count(self.manifest)
        )];
        lines.extend(entries.iter().take(MAX_REST).map(|entry| {
            let columns = super::columns();
            line(&entry.kind, entry.size_bytes, &entry.path, "", columns)
        }));
        if entries.len() > MAX_REST {
            lines.push(format!("  … and {} more", entries.len() - MAX_REST));
        }
        print(&lines);
        Question {
            text: "send them?",
            confirm: None,
        }
    }
}
