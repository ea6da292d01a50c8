//! A sender that lies about sizes, digests and order.

use super::{contents, encode_file, events, file, folder, prefix, receiving};
use crate::file::{
    BLOCK_BYTES, BlockIndex, Digest, Entry, EntryIndex,
    session::{
        Abort, Answer, DigestTree, FailReason, MessageKind, ReceiverEvent, RefuseReason,
        SessionError, message::Message,
    },
};

/// One block as a liar may send it.
fn block(entry: u32, index: u64, bytes: &[u8], digest: Digest) -> Vec<u8> {
    let mut out = (bytes.len() as u64 + 45).to_be_bytes().to_vec();
    out.push(MessageKind::Block as u8);
    out.extend_from_slice(&entry.to_be_bytes());
    out.extend_from_slice(&index.to_be_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(&digest.0);
    out
}

fn message(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// The digest of a file with one block.
fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// Offers a file of 5 bytes, a refused one, a folder, one of 3 bytes, and a link.
#[track_caller]
fn check(said: &[Vec<u8>], expected: &SessionError) {
    let link = Entry::link("e", "d");
    let entries = vec![file("a", 5), file("b", 5), folder("c"), file("d", 3), link];
    let answers = vec![
        Answer::Send,
        Answer::Refuse(RefuseReason::Exists),
        Answer::Send,
        Answer::Send,
        Answer::Send,
    ];
    let mut session = receiving(entries, answers);
    assert_eq!(events(&mut session, &said.concat()), Err(expected.clone()));
}

#[test]
fn blocks_come_in_order_and_in_size() {
    let kind = MessageKind::Block;
    let unexpected = SessionError::Unexpected { kind };
    let hello = digest(b"hello");
    for said in [
        vec![block(1, 0, b"hello", hello)],
        vec![block(3, 0, b"bye", digest(b"bye"))],
        vec![block(2, 0, b"hello", hello)],
        vec![block(4, 0, b"d", digest(b"d"))],
        vec![block(99, 0, b"hello", hello)],
        vec![block(u32::MAX, u64::MAX, b"hello", hello)],
        vec![block(0, 1, b"hello", hello)],
        vec![block(0, u64::MAX, b"hello", hello)],
        vec![block(0, 0, b"hell", digest(b"hell"))],
        vec![block(0, 0, b"hello!", digest(b"hello!"))],
        vec![block(0, 0, b"hello", hello), block(0, 0, b"hello", hello)],
        vec![block(0, 0, b"hello", hello), block(0, 1, b"hello", hello)],
    ] {
        check(&said, &unexpected);
    }
    check(
        &[block(0, 0, b"", hello)],
        &SessionError::Malformed { kind },
    );
}

#[test]
fn bytes_that_do_not_fit_their_digest_end_the_session() {
    let mismatch = SessionError::BlockMismatch {
        entry: EntryIndex(0),
        block: BlockIndex(0),
    };
    check(&[block(0, 0, b"hello", digest(b"jello"))], &mismatch);
    let end = message(&Message::FileEnd {
        entry: EntryIndex(0),
        digest: digest(b"jello"),
    });
    check(
        &[block(0, 0, b"hello", digest(b"hello")), end],
        &SessionError::FileMismatch {
            entry: EntryIndex(0),
        },
    );
    assert_eq!(mismatch.abort(), Some(Abort::Mismatch));
}

#[test]
fn nothing_may_be_left_out() {
    let unexpected = |kind| SessionError::Unexpected { kind };
    let end = |entry| {
        message(&Message::FileEnd {
            entry: EntryIndex(entry),
            digest: digest(b""),
        })
    };
    let failed = |entry| {
        message(&Message::FileFailed {
            entry: EntryIndex(entry),
            reason: FailReason::Vanished,
        })
    };
    let done = message(&Message::Done);
    check(std::slice::from_ref(&done), &unexpected(MessageKind::Done));
    check(&[end(0)], &unexpected(MessageKind::FileEnd));
    check(&[end(3)], &unexpected(MessageKind::FileEnd));
    check(&[failed(1)], &unexpected(MessageKind::FileFailed));
    check(&[failed(0), done], &unexpected(MessageKind::Done));
    check(
        &[failed(0), failed(0)],
        &unexpected(MessageKind::FileFailed),
    );
    // A second offer, a second hello, what only a receiver says.
    for wrong in [
        Message::Offer(super::manifest(vec![file("x", 1)])),
        super::hello(super::Role::Sender),
        Message::Answer(Vec::new()),
        Message::Report(Vec::new()),
    ] {
        let kind = wrong.kind();
        check(&[message(&wrong)], &unexpected(kind));
    }
}

#[test]
fn announced_lengths_are_compared_before_anything_is_kept() {
    for kind in [MessageKind::Block, MessageKind::FileEnd, MessageKind::Abort] {
        let mut said = (1_u64 << 62).to_be_bytes().to_vec();
        said.push(kind as u8);
        let mut session = receiving(vec![file("a", 1 << 40)], vec![Answer::Send]);
        assert!(matches!(
            events(&mut session, &said),
            Err(SessionError::TooLong { .. })
        ));
    }
    let unknown = SessionError::UnknownKind { kind: 11 };
    check(&[b"\0\0\0\0\0\0\0\x01\x0b".to_vec()], &unknown);
}

#[test]
fn a_block_that_could_not_be_read_is_followed_by_a_failure_only() {
    let void = block(0, 0, &[0; 5], Digest::VOID);
    let failed = message(&Message::FileFailed {
        entry: EntryIndex(0),
        reason: FailReason::Changed,
    });
    let mut session = receiving(vec![file("a", 5)], vec![Answer::Send]);
    let said = [void.clone(), failed].concat();
    let found = events(&mut session, &said).unwrap();
    let reason = FailReason::Changed;
    assert_eq!(
        found.last(),
        Some(&ReceiverEvent::FileFailed {
            entry: EntryIndex(0),
            reason
        })
    );
    assert!(
        !found
            .iter()
            .any(|event| matches!(event, ReceiverEvent::BlockVerified { .. }))
    );

    let end = message(&Message::FileEnd {
        entry: EntryIndex(0),
        digest: digest(&[0; 5]),
    });
    let kind = MessageKind::FileEnd;
    check(&[void, end], &SessionError::Unexpected { kind });
}

#[test]
fn a_resumed_file_goes_on_or_begins_again_and_nothing_else() {
    let bytes = contents(3 * BLOCK_BYTES + 1);
    let blocks = |said: &[u8]| {
        let resume = Answer::Resume(Box::new(prefix(&bytes, 2)));
        let mut session = receiving(vec![file("a", bytes.len() as u64)], vec![resume]);
        let found = events(&mut session, said)?;
        Ok(found
            .iter()
            .filter_map(|event| match event {
                ReceiverEvent::BlockVerified { index, .. } => Some(*index),
                _ => None,
            })
            .collect::<Vec<_>>())
    };
    let mut on = Vec::new();
    encode_file(EntryIndex(0), &bytes, prefix(&bytes, 2), &mut on);
    assert_eq!(blocks(&on), Ok([2, 3].map(BlockIndex).into()));
    let mut again = Vec::new();
    encode_file(EntryIndex(0), &bytes, DigestTree::new(), &mut again);
    assert_eq!(blocks(&again), Ok([0, 1, 2, 3].map(BlockIndex).into()));

    let mut elsewhere = Vec::new();
    encode_file(EntryIndex(0), &bytes, prefix(&bytes, 1), &mut elsewhere);
    let kind = MessageKind::Block;
    assert_eq!(blocks(&elsewhere), Err(SessionError::Unexpected { kind }));
    let too_short = message(&Message::FileEnd {
        entry: EntryIndex(0),
        digest: prefix(&bytes, 4).root(),
    });
    let kind = MessageKind::FileEnd;
    assert_eq!(blocks(&too_short), Err(SessionError::Unexpected { kind }));
}
