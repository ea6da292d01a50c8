//! Shows an offer, as it would be written.

use std::{collections::BTreeMap, path::Path};

use indicatif::HumanBytes;
use sockkit::{
    file::{EntryKind, EntryPath, Manifest, Planned, escape_name_bytes, escape_path},
    text::quote,
};

use super::{Question, fit, print, risk};
use crate::transfer::{self, plural};

/// An offer to be decided by the user.
pub(crate) struct OfferView<'a> {
    pub(crate) address: &'a str,
    /// The peer's name.
    pub(crate) peer: &'a str,
    pub(crate) manifest: &'a Manifest,
    /// One for each entry.
    pub(crate) planned: &'a [Planned],
    pub(crate) keep_executable: bool,
    pub(crate) into: &'a Path,
}

impl OfferView<'_> {
    /// Shows it, and returns the question.
    pub(crate) fn show(&self) -> Question {
        let (lines, question) = self.lines(super::columns());
        print(&lines);
        question
    }

    fn lines(&self, columns: usize) -> (Vec<String>, Question) {
        let rows: Vec<_> = self.rows().collect();
        let (risky, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_risky());
        let mut lines = vec![format!(
            "{}{} offers {}",
            self.address,
            calls_itself(self.peer),
            transfer::count(self.manifest)
        )];
        let all_listed = list_risky(&mut lines, &risky, columns);
        list_rest(&mut lines, &rest, !risky.is_empty(), columns);
        self.list_refused(&mut lines);
        self.sum_up(&mut lines, &rows);
        let confirm = (!all_listed).then_some(risky.len());
        let text = "receive them?";
        (lines, Question { text, confirm })
    }

    /// What would be written.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let entries = self.manifest.entries.iter().zip(self.planned);
        entries.filter_map(|(entry, planned)| {
            let (path, note) = match planned {
                Planned::Write(path) => (path, ""),
                Planned::Replace(path) => (path, "replaces the existing file"),
                Planned::Compare(path) => (path, "already exists"),
                Planned::Update(path) => (path, "replaces the existing file if it differs"),
                Planned::Refuse(_) => return None,
            };
            Some(Row {
                path,
                kind: &entry.kind,
                bytes: entry.size_bytes,
                executable: entry.is_executable(),
                program: entry.kind == EntryKind::File && risk::is_program(path),
                hidden: risk::is_hidden(path),
                note,
            })
        })
    }

    /// Why some entries would not be written: only a count for each reason,
    /// because refused names are harmless, and would be the best place to hide
    /// others.
    fn list_refused(&self, lines: &mut Vec<String>) {
        let mut reasons = BTreeMap::<String, usize>::new();
        for planned in self.planned {
            if let Planned::Refuse(reason) = planned {
                *reasons.entry(reason.to_string()).or_default() += 1;
            }
        }
        for (reason, count) in reasons {
            lines.push(format!("  refused: {count} ({reason})"));
        }
    }

    fn sum_up(&self, lines: &mut Vec<String>, rows: &[Row<'_>]) {
        let files = || rows.iter().filter(|row| *row.kind == EntryKind::File);
        let executable = files().filter(|row| row.executable).count();
        if executable > 0 {
            let what = plural(executable, "file");
            lines.push(match self.keep_executable {
                true => format!("  {what} executable, also here"),
                false => format!(
                    "  {what} executable at the sender, but not here \
                     (--keep-executable keeps the bit)"
                ),
            });
        }
        let bytes: u64 = files().fold(0, |sum, row| sum.saturating_add(row.bytes));
        let risky = rows.iter().filter(|row| row.is_risky()).count();
        let risky = match risky {
            0 => String::new(),
            _ => format!(", {risky} of them hidden or executable"),
        };
        lines.push(format!(
            "would write {}, {}{risky}, into {}",
            plural(rows.len(), "name"),
            HumanBytes(bytes),
            escape_path(self.into),
        ));
    }
}

/// The peer's name, as part of a sentence.
pub(super) fn calls_itself(peer: &str) -> String {
    match peer {
        "" => String::new(),
        peer => format!(", which calls itself {},", quote(peer, MAX_PEER_CHARS)),
    }
}

struct Row<'a> {
    path: &'a EntryPath,
    kind: &'a EntryKind,
    bytes: u64,
    executable: bool,
    program: bool,
    hidden: bool,
    note: &'static str,
}

impl Row<'_> {
    fn is_risky(&self) -> bool {
        self.executable || self.program || self.hidden
    }

    fn line(&self, columns: usize) -> String {
        let notes = [
            (self.hidden, "hidden"),
            (self.executable || self.program, "executable"),
            (!self.note.is_empty(), self.note),
        ];
        let notes = notes.into_iter().filter(|(holds, _)| *holds);
        let notes: Vec<_> = notes.map(|(_, note)| note).collect();
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!("  ({})", notes.join(", ")),
        };
        line(self.kind, self.bytes, self.path, &notes, columns)
    }

    /// The hidden folder that contains it, otherwise its folder.
    fn group(&self) -> String {
        let mut group = Vec::new();
        let mut components = self.path.components().peekable();
        while let Some(component) = components.next() {
            if components.peek().is_none() {
                break;
            }
            group.push(component);
            if component.starts_with(b".") {
                break;
            }
        }
        escape_name_bytes(&group.join(&b'/'))
    }
}

/// One name on one line.
pub(super) fn line(
    kind: &EntryKind,
    bytes: u64,
    path: impl std::fmt::Display,
    notes: &str,
    columns: usize,
) -> String {
    let (size, path) = match kind {
        EntryKind::Folder => ("folder".to_owned(), path.to_string()),
        EntryKind::Link { target } => ("link".to_owned(), format!("{path} -> {target}")),
        _ => (HumanBytes(bytes).to_string(), path.to_string()),
    };
    let room = columns.saturating_sub(16 + notes.len());
    format!("  {size:>12}  {}{notes}", fit(&path, room))
}

/// Lists each of them, or each of their folders with a count. Returns whether
/// all were listed.
fn list_risky(lines: &mut Vec<String>, risky: &[&Row<'_>], columns: usize) -> bool {
    if risky.is_empty() {
        return true;
    }
    lines.push(format!("hidden or executable, {}:", risky.len()));
    if risky.len() <= MAX_RISKY {
        lines.extend(risky.iter().map(|row| row.line(columns)));
        return true;
    }
    let mut groups = BTreeMap::<String, usize>::new();
    for row in risky {
        *groups.entry(row.group()).or_default() += 1;
    }
    for (folder, count) in groups.iter().take(MAX_RISKY) {
        let folder = match folder.as_str() {
            "" => "the folder itself".to_owned(),
            folder => format!("{folder}/"),
        };
        let what = format!("{count} in");
        lines.push(format!(
            "  {what:>12}  {}",
            fit(&folder, columns.saturating_sub(16))
        ));
    }
    if groups.len() > MAX_RISKY {
        let left: usize = groups.values().skip(MAX_RISKY).sum();
        lines.push(format!(
            "  … and {left} in {} more folders",
            groups.len() - MAX_RISKY
        ));
    }
    // A count for a folder is not a list of its contents.
    false
}

fn list_rest(lines: &mut Vec<String>, rest: &[&Row<'_>], headed: bool, columns: usize) {
    if headed && !rest.is_empty() {
        lines.push(format!("others, {}:", rest.len()));
    }
    lines.extend(rest.iter().take(MAX_REST).map(|row| row.line(columns)));
    if rest.len() > MAX_REST {
        lines.push(format!("  … and {} more", rest.len() - MAX_REST));
    }
}

const MAX_PEER_CHARS: usize = 32;
/// As many as a user reads carefully.
const MAX_RISKY: usize = 100;
/// One screen.
pub(super) const MAX_REST: usize = 20;

#[cfg(test)]
mod tests {
    use sockkit::file::{Entry, session::RefuseReason};

    use super::*;

    fn manifest(names: &[&str]) -> Manifest {
        let entries = names.iter().map(|name| {
            let mut entry = Entry::file(name, 3);
            entry.mode = if name.ends_with("run-me") {
                0o755
            } else {
                0o644
            };
            entry
        });
        Manifest::new(entries.collect())
    }

    fn shown(names: &[&str], peer: &str, columns: usize) -> (Vec<String>, Question) {
        let plan = |name: &&str| match EntryPath::parse(name) {
            Ok(path) => Planned::Write(path),
            Err(_) => Planned::Refuse(RefuseReason::Name),
        };
        let planned: Vec<_> = names.iter().map(plan).collect();
        let offer = OfferView {
            address: "127.0.0.1:5",
            peer,
            manifest: &manifest(names),
            planned: &planned,
            keep_executable: false,
            into: Path::new("inbox"),
        };
        offer.lines(columns)
    }

    #[test]
    fn the_risky_come_first_and_decoys_are_only_counted() {
        let decoys: Vec<_> = (0..50).map(|number| format!("../{number}")).collect();
        let harmless: Vec<_> = (0..50).map(|number| format!("{number}.jpg")).collect();
        let mut names: Vec<&str> = decoys.iter().chain(&harmless).map(String::as_str).collect();
        names.extend([".bashrc", ".ssh/authorized_keys", "a/run-me", "x.desktop"]);
        let (lines, question) = shown(&names, "", 100);
        assert_eq!(lines[1], "hidden or executable, 4:");
        for (line, said) in lines[2..6].iter().zip([
            ".bashrc  (hidden)",
            ".ssh/authorized_keys  (hidden)",
            "a/run-me  (executable)",
            "x.desktop  (executable)",
        ]) {
            assert!(line.ends_with(said), "{line}");
        }
        let said = lines.join("\n");
        assert!(said.contains("… and 30 more"), "{said}");
        assert!(said.contains("refused: 50"), "{said}");
        assert!(!said.contains(".."), "{said}");
        assert!(
            said.contains("would write 54 names, 162 B, 4 of them hidden"),
            "{said}"
        );
        assert_eq!(question.confirm, None);
    }

    #[test]
    fn too_many_risky_ones_are_grouped_and_want_their_number() {
        let names: Vec<_> = (0..150)
            .map(|number| format!("a/.git/{number}/x"))
            .collect();
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names.push("run.sh");
        let (lines, question) = shown(&names, "", 100);
        assert_eq!(lines[2].trim(), "1 in  the folder itself");
        assert_eq!(lines[3].trim(), "150 in  a/.git/");
        assert_eq!(question.confirm, Some(151));
    }

    #[test]
    fn the_peers_name_cannot_speak_for_us() {
        let peer = "user@desk) offers 1 file, 12 B:\u{1b}[31m holiday.jpg \u{202e}";
        let (lines, _) = shown(&["a"], peer, 100);
        assert_eq!(
            lines[0],
            "127.0.0.1:5, which calls itself \"user@desk) offers 1 file, 12 B:\"…, offers 1 file, 3 B"
        );
    }

    #[test]
    fn no_name_is_wider_than_the_terminal() {
        let long = format!("{}.desktop", "가".repeat(80));
        let (lines, _) = shown(&[&long, &"x".repeat(250)], "", 60);
        // Between the line that names the peer and the one that counts.
        for line in &lines[1..lines.len() - 1] {
            let columns: usize = line.chars().map(super::super::width).sum();
            assert!(columns <= 60, "{line}");
        }
        assert!(lines[2].contains(".desktop"), "{lines:?}");
    }
}
