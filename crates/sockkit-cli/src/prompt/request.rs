//! Shows a receiver that has connected.

use sockkit::file::Manifest;

use super::{
    Question,
    offer::{MAX_REST, calls_itself, line},
    print,
};
use crate::transfer;

/// A receiver to be decided about by the user.
pub(crate) struct Request<'a> {
    pub(crate) address: &'a str,
    /// The peer's name.
    pub(crate) peer: &'a str,
    pub(crate) manifest: &'a Manifest,
}

impl Request<'_> {
    /// Shows it, and returns the question.
    pub(crate) fn show(&self) -> Question {
        let entries = &self.manifest.entries;
        let mut lines = vec![format!(
            "{}{} connected; it would receive {}",
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
