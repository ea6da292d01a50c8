//! Names and sentences that were replaced by the field's terms stay away.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Retired names of types and modules, and what replaced each.
const NAMES: &[(&str, &str)] = &[
    ("Abandoned", "CloseOnDrop"),
    ("Admission", "Decision"),
    ("Answerer", "ControlResponder"),
    ("Asked", "PendingClockRequest"),
    ("Conversation", "HandshakeStream"),
    ("Door", "Acceptor"),
    ("Feed", "JpegBroadcaster"),
    ("Follower", "SourceSelector"),
    ("Freshness", "StalenessFilter"),
    ("Goodbye", "FinishState or CloseWaiter"),
    ("Inlet", "Ingest"),
    ("LinkError", "TransferIoError"),
    ("Nonsense", "ProtocolViolation"),
    ("OnOthers", "Delta"),
    ("Outlet", "SendBuffer"),
    ("Present", "ViewerCount"),
    ("Pump", "IoLoop"),
    ("Reception", "ReceiverTask"),
    ("Refusals", "SendFailures or IcmpListener"),
    ("Reserve", "SpareFd"),
    ("Shot", "RawCapture"),
    ("Showing", "StreamInfo"),
    ("Slots", "ConnectionLimiter"),
    ("Stands", "SampleKind"),
    ("THROUGH", "CLOSE_OK"),
    ("Verdict", "Outcome"),
    ("Wish", "RequestedFormat"),
    ("broadcast::Kind", "BroadcastKind"),
    ("camera::Signal", "CameraSignal"),
    ("channel::Incoming", "IncomingDatagram"),
    ("course::End", "Completion"),
    ("course::file::End", "Completion"),
    ("file::Incoming", "file::Offer"),
    ("file::Source", "file::FileSet"),
    ("file::SourceError", "file::FileSetError"),
    ("jpeg::tidy", "jpeg::trim"),
    ("multicast::udp", "MulticastEndpoint::endpoint"),
    ("options::Taken", "Readback"),
    ("poll_sent", "poll_unsent_below_lowat"),
    ("quic::Config", "QuicConfig"),
    ("server::Slot", "Permit"),
    ("shard::Kind", "MessageKind"),
    ("shard::Message", "ReassembledMessage"),
    ("stream::Link", "ConnectionState"),
    ("tcp::sent", "unsent_below_lowat"),
    ("testing::link", "testing::sim"),
    ("web::Viewer", "WebServer"),
    ("web::ViewerConfig", "WebServerConfig"),
    ("web::ViewerError", "WebServerError"),
];

/// Sentences, and words that name no thing of the field: write "peer",
/// "remote", "sender", "receiver", "viewer" or "user", and "binds", "retries",
/// "resumes", "continues", "is clamped".
const SENTENCES: &[&str] = &[
    "A place in the sequence of pictures",
    "a weapon for",
    "and what is left to say after it",
    "anew",
    "answered no keep-alive",
    "anybody",
    "asked 65536, took 131072",
    "be had",
    "Cancel safe in so far",
    "Counts what went wrong, or any other total",
    "does not take a lost packet for",
    "Fails a wait that lasts too long",
    "goes on",
    "has begun to arrive, or the peer's close",
    "has made place for another",
    "How long nothing may be heard",
    "how to mend it",
    "is brought into",
    "is taken as that",
    "lets in",
    "No, not before you have shown",
    "nobody",
    "Of a file that changed no block",
    "shows that it lives",
    "somebody",
    "stream and snapshot there are",
    "take as many as needed",
    "Take files that are complete here for done",
    "takes it for",
    "The figures, which go on",
    "The ways on which",
    "trying on",
    "unless told otherwise",
    "watching on",
    "went on",
    "What a socket has that",
    "What was given is no",
    "Who the receiver's person is told",
    "whoever",
    "whomever",
    "Why nobody listens now",
    "Why there is no connection",
    "Word came back",
    "word from",
];

#[test]
fn retired_names_are_gone() {
    let found = find(NAMES.iter().map(|(old, new)| (*old, *new)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn retired_sentences_are_gone() {
    let found = find(SENTENCES.iter().map(|old| (*old, "the field's term")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn find<'a>(retired: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Vec<String> {
    let files = files();
    assert!(files.len() > 300, "found {} files alone", files.len());
    let mut found = Vec::new();
    for path in files {
        let text = unwrapped(&fs::read_to_string(&path).expect("sources are UTF-8"));
        for (old, new) in retired.clone() {
            if holds(&text, old) {
                found.push(format!("{}: {old:?} is {new}", path.display()));
            }
        }
    }
    found
}

/// Whether `text` holds `words`, not as a part of longer words.
fn holds(text: &str, words: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(words).any(|(start, _)| {
        let (before, behind) = (&text[..start], &text[start + words.len()..]);
        !before.ends_with(is_word) && !behind.starts_with(is_word)
    })
}

/// One line, without comment marks: a sentence may be wrapped anywhere.
fn unwrapped(text: &str) -> String {
    let words = text.lines().flat_map(|line| {
        let line = line.trim_start();
        let marks = ["//!", "///", "//", "> "];
        let mark = marks.iter().find_map(|mark| line.strip_prefix(mark));
        mark.unwrap_or(line).split_whitespace()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What a user reads: sources, documentation, READMEs.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for name in ["README.md", "README.ko.md", "ARCHITECTURE.md"] {
        files.push(root.join(name));
    }
    for name in ["src", "docs", "examples"] {
        collect(&root.join(name), &mut files);
    }
    for member in fs::read_dir(root.join("crates")).expect("crates").flatten() {
        let member = member.path();
        files.push(member.join("README.md"));
        collect(&member.join("src"), &mut files);
        collect(&member.join("examples"), &mut files);
    }
    files.retain(|path| path.is_file());
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if ["rs", "md", "html", "tsv"].iter().any(|known| {
            path.extension()
                .is_some_and(|extension| extension == *known)
        }) {
            files.push(path);
        }
    }
}

#[test]
fn a_wrapped_sentence_is_found_and_a_longer_word_is_not() {
    let text = unwrapped("    /// This goes\n    /// on for ever.\n");
    assert!(holds(&text, "goes on"), "{text}");
    assert!(!holds("renewed anewly", "anew"));
    assert!(!holds("WebServerConfig", "Server"));
    assert!(holds("file::Source>", "file::Source"));
}
