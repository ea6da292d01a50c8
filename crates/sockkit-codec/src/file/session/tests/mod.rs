//! Both machines against each other in memory, and each against a peer that
//! cuts, lies, or talks nonsense.

use super::{
    Answer, DigestTree, FileEncoder, Limits, ReceiverEvent, ReceiverSession, SessionError,
    message::{Hello, Message, Role},
};
use crate::file::{
    BLOCK_BYTES, BlockIndex, Digest, Entry, EntryIndex, FileTime, Integrity, Manifest,
};

mod hostile;
mod messages;
mod offers;
mod reviews;
mod whole;

fn file(path: &str, size_bytes: u64) -> Entry {
    let mut entry = Entry::file(path, size_bytes);
    entry.modified = FileTime {
        seconds: -1,
        nanoseconds: 999_999_999,
    };
    entry.mode = 0o755;
    entry
}

fn folder(path: &str) -> Entry {
    Entry::folder(path)
}

fn manifest(entries: Vec<Entry>) -> Manifest {
    Manifest::new(entries)
}

fn hello(role: Role) -> Message {
    Message::Hello(Hello {
        role,
        name: "이름".to_owned(),
        busy: false,
    })
}

fn contents(bytes: u64) -> Vec<u8> {
    let bytes = usize::try_from(bytes).unwrap();
    let run: Vec<u8> = (0..=250).collect();
    let mut contents = run.repeat(bytes / run.len() + 1);
    contents.truncate(bytes);
    contents
}

/// What the sender says for one file with these contents.
fn encode_file(
    entry: EntryIndex,
    contents: &[u8],
    prefix: DigestTree,
    out: &mut Vec<u8>,
) -> Digest {
    let size = contents.len() as u64;
    let mut encoder = FileEncoder::new(entry, size, Integrity::Blake3, prefix);
    loop {
        let start = usize::try_from(encoder.offset_bytes()).unwrap();
        let Some(bytes) = encoder.begin_block(out) else {
            return encoder.finish(out);
        };
        let block = &contents[start..][..usize::try_from(bytes).unwrap()];
        encoder.update(block);
        out.extend_from_slice(block);
        encoder.end_block(out);
    }
}

/// The digests of the first `blocks`.
fn prefix(contents: &[u8], blocks: usize) -> DigestTree {
    let mut tree = DigestTree::new();
    let block_bytes = usize::try_from(BLOCK_BYTES).unwrap();
    for (index, block) in (0..).zip(contents.chunks(block_bytes).take(blocks)) {
        let mut hasher = super::BlockHasher::new(BlockIndex(index), contents.len() as u64);
        hasher.update(block);
        tree.push(hasher.finish());
    }
    tree
}

/// A receiver that has been offered `entries` and has answered.
fn receiving(entries: Vec<Entry>, answers: Vec<Answer>) -> ReceiverSession {
    let mut session = ReceiverSession::new("receiver", Limits::default());
    let mut input = Vec::new();
    hello(Role::Sender).encode(&mut input);
    Message::Offer(manifest(entries)).encode(&mut input);
    events(&mut session, &input).unwrap();
    session.answer(answers);
    while session.poll_transmit().is_some() {}
    session
}

/// All that `input` makes happen.
fn events<'a>(
    session: &mut ReceiverSession,
    mut input: &'a [u8],
) -> Result<Vec<ReceiverEvent<'a>>, SessionError> {
    let mut events = Vec::new();
    while let Some(event) = session.handle_input(&mut input)? {
        events.push(event);
    }
    assert!(input.is_empty(), "everything is taken");
    Ok(events)
}
