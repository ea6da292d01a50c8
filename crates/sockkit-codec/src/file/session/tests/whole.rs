//! A sender and a receiver in memory, over a link that cuts where it likes.

use proptest::prelude::*;

use super::{contents, encode_file, file, folder, manifest, prefix};
use crate::file::{
    BLOCK_BYTES, Digest, Entry, EntryIndex, Integrity, Manifest,
    session::{
        Abort, Answer, DigestTree, FailReason, Limits, MessageKind, Plan, ReceiverEvent,
        ReceiverSession, RefuseReason, SenderEvent, SenderSession, SessionError, WORKING,
        message::{Message, Role, WireAnswer},
    },
};

/// What the receiver has, and what the sender hears it could not keep.
type Verified = Vec<(EntryIndex, Digest)>;
type Reported = Vec<(EntryIndex, RefuseReason)>;

/// Bytes on their way, delivered in pieces of `piece_bytes`.
fn pieces(bytes: &[u8], piece_bytes: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(piece_bytes)
}

fn transmitted(mut poll: impl FnMut() -> Option<Vec<u8>>) -> Vec<u8> {
    std::iter::from_fn(&mut poll).flatten().collect()
}

/// Runs a whole session; returns what the receiver verified and what the
/// sender was told of failures.
fn run(
    files: &[Vec<u8>],
    piece_bytes: usize,
    answer: impl Fn(&Manifest) -> Vec<Answer>,
) -> (Verified, Reported) {
    let entries = (0..)
        .zip(files)
        .map(|(index, bytes): (u32, _)| file(&index.to_string(), bytes.len() as u64));
    let mut sender = SenderSession::new("sender", manifest(entries.collect()));
    let mut receiver = ReceiverSession::new("receiver", Limits::default());
    let (mut verified, mut reported) = (Vec::new(), None);
    while reported.is_none() {
        let mut outbound = transmitted(|| sender.poll_transmit());
        while let Some(job) = sender.poll_job() {
            let bytes = &files[job.entry.as_usize()];
            let prefix = match job.plan {
                Plan::All => DigestTree::new(),
                Plan::DigestOnly => prefix(bytes, usize::MAX),
                Plan::After { blocks, chain } => {
                    let tree = prefix(bytes, usize::try_from(blocks).unwrap());
                    if tree.chain() == chain {
                        tree
                    } else {
                        DigestTree::new()
                    }
                }
            };
            encode_file(job.entry, bytes, prefix, &mut outbound);
            outbound.extend_from_slice(WORKING);
        }
        outbound.extend(transmitted(|| sender.poll_transmit()));
        for mut piece in pieces(&outbound, piece_bytes) {
            while let Some(event) = receiver.handle_input(&mut piece).unwrap() {
                match event {
                    ReceiverEvent::Offered(offer) => receiver.answer(answer(&offer)),
                    ReceiverEvent::FileVerified { entry, digest } => {
                        verified.push((entry, digest));
                    }
                    ReceiverEvent::Done => receiver.report(vec![(EntryIndex(0), RefuseReason::Io)]),
                    _ => {}
                }
            }
        }
        let inbound = transmitted(|| receiver.poll_transmit());
        for mut piece in pieces(&inbound, piece_bytes) {
            while let Some(event) = sender.handle_input(&mut piece).unwrap() {
                if let SenderEvent::Reported(failures) = event {
                    reported = Some(failures);
                }
            }
        }
    }
    (verified, reported.unwrap())
}

fn digests(files: &[Vec<u8>]) -> Verified {
    let digest = |bytes: &Vec<u8>| Digest(*blake3::hash(bytes).as_bytes());
    let entries = (0..).map(EntryIndex);
    entries.zip(files.iter().map(digest)).collect()
}

#[test]
fn a_session_runs_to_its_end() {
    let files = [0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 9].map(contents);
    let (verified, reported) = run(&files, 1_000_003, |offer| {
        vec![Answer::Send; offer.entries.len()]
    });
    assert_eq!(verified, digests(&files));
    assert_eq!(reported, [(EntryIndex(0), RefuseReason::Io)]);
}

#[test]
fn what_is_here_is_not_sent_again() {
    let files = [2 * BLOCK_BYTES + 9, 700, 2 * BLOCK_BYTES].map(contents);
    let expected = digests(&files);
    let (verified, _) = run(&files, 1_000_003, |_offer| {
        vec![
            Answer::Resume(Box::new(prefix(&files[0], 2))),
            Answer::Compare(expected[1].1),
            // All of it is here: only its end is missing.
            Answer::Resume(Box::new(prefix(&files[2], 2))),
        ]
    });
    assert_eq!(verified, expected);
}

#[test]
fn a_prefix_of_other_bytes_begins_anew() {
    let files = [contents(2 * BLOCK_BYTES)];
    let other = vec![7; files[0].len()];
    let (verified, _) = run(&files, 1_000_003, |_offer| {
        vec![Answer::Resume(Box::new(prefix(&other, 1)))]
    });
    assert_eq!(verified, digests(&files));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn small_files_arrive_whatever_the_pieces(
        sizes in prop::collection::vec(0..300_u64, 1..8),
        piece_bytes in 1..70_usize,
    ) {
        let files: Vec<_> = sizes.into_iter().map(contents).collect();
        let (verified, _) = run(&files, piece_bytes, |offer| {
            vec![Answer::Send; offer.entries.len()]
        });
        prop_assert_eq!(verified, digests(&files));
    }
}

/// A sender that has been answered.
fn answered(
    entries: Vec<Entry>,
    integrity: Integrity,
    answers: Vec<WireAnswer>,
) -> Result<SenderSession, SessionError> {
    let mut manifest = manifest(entries);
    manifest.integrity = integrity;
    let mut sender = SenderSession::new("", manifest);
    let mut bytes = Vec::new();
    super::hello(Role::Receiver).encode(&mut bytes);
    Message::Answer(answers).encode(&mut bytes);
    let mut input = bytes.as_slice();
    while sender.handle_input(&mut input)?.is_some() {
        // The offer goes out in between.
        sender.poll_transmit();
    }
    Ok(sender)
}

#[test]
fn answers_that_do_not_fit_the_offer_are_refused() {
    use Integrity::{Blake3, Unverified};
    let resume = |blocks| WireAnswer::Resume {
        blocks,
        chain: Digest([0; 32]),
    };
    let kind = MessageKind::Answer;
    for (integrity, answers, fits) in [
        (Blake3, vec![WireAnswer::Send, WireAnswer::Send], true),
        (Blake3, vec![resume(1), WireAnswer::Send], true),
        (Blake3, vec![resume(2), WireAnswer::Send], false),
        (Blake3, vec![resume(u64::MAX), WireAnswer::Send], false),
        // Neither a folder nor a link has anything to compare.
        (Blake3, vec![WireAnswer::Send, WireAnswer::Compare], false),
        (Blake3, vec![WireAnswer::Send, resume(0)], false),
        (Blake3, vec![WireAnswer::Send], false),
        (Blake3, vec![WireAnswer::Send; 3], false),
        (Unverified, vec![resume(1), WireAnswer::Send], false),
        (
            Unverified,
            vec![WireAnswer::Compare, WireAnswer::Send],
            false,
        ),
    ] {
        let entries = vec![file("a", 9), folder("b")];
        let result = answered(entries, integrity, answers.clone());
        match result {
            Ok(_) => assert!(fits, "{answers:?}"),
            Err(error) => {
                assert!(!fits, "{answers:?}");
                let malformed = SessionError::Malformed { kind };
                // Too many answers are noticed by their length alone.
                assert!(
                    error == malformed || matches!(error, SessionError::TooLong { .. }),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn only_accepted_files_are_jobs() {
    let link = Entry::link("l", "a");
    let entries = vec![
        file("a", 1),
        folder("b"),
        file("b/c", 1),
        file("d", 1),
        link,
    ];
    let answers = vec![
        WireAnswer::Refuse(RefuseReason::Unwanted),
        WireAnswer::Send,
        WireAnswer::Compare,
        WireAnswer::Send,
        WireAnswer::Send,
    ];
    let mut sender = answered(entries, Integrity::Blake3, answers).unwrap();
    let jobs: Vec<_> = std::iter::from_fn(|| sender.poll_job())
        .map(|job| (job.entry, job.plan))
        .collect();
    assert_eq!(
        jobs,
        [
            (EntryIndex(2), Plan::DigestOnly),
            (EntryIndex(3), Plan::All)
        ]
    );
}

#[test]
fn a_report_names_entries_of_the_offer_only() {
    let mut sender = answered(
        vec![file("a", 1)],
        Integrity::Blake3,
        vec![WireAnswer::Send],
    )
    .unwrap();
    while sender.poll_job().is_some() {}
    let mut bytes = Vec::new();
    Message::Report(vec![(EntryIndex(1), RefuseReason::Io)]).encode(&mut bytes);
    let kind = MessageKind::Report;
    assert_eq!(
        sender.handle_input(&mut bytes.as_slice()),
        Err(SessionError::Malformed { kind })
    );
}

#[test]
fn either_side_learns_why_the_other_ended() {
    let mut sender = SenderSession::new("", manifest(vec![file("a", 1)]));
    let mut receiver = ReceiverSession::new("", Limits::default());
    let mut said = transmitted(|| sender.poll_transmit());
    sender.abort(Abort::Cancelled);
    said.extend(transmitted(|| sender.poll_transmit()));
    assert_eq!(
        super::events(&mut receiver, &said),
        Err(SessionError::Aborted(Abort::Cancelled))
    );

    let mut sender = SenderSession::new("", manifest(vec![file("a", 1)]));
    receiver.abort(Abort::Declined);
    let said = transmitted(|| receiver.poll_transmit());
    let mut input = said.as_slice();
    assert!(matches!(
        sender.handle_input(&mut input),
        Ok(Some(SenderEvent::Peer(_)))
    ));
    assert_eq!(
        sender.handle_input(&mut input),
        Err(SessionError::Aborted(Abort::Declined))
    );
}

#[test]
fn a_file_that_fails_does_not_stop_the_others() {
    let mut sender = answered(
        vec![file("a", 1), file("b", 0)],
        Integrity::Blake3,
        vec![WireAnswer::Send; 2],
    )
    .unwrap();
    let mut receiver = super::receiving(
        vec![file("a", 1), file("b", 0)],
        vec![Answer::Send, Answer::Send],
    );
    while sender.poll_transmit().is_some() {}
    let mut said = Vec::new();
    let first = sender.poll_job().unwrap().entry;
    sender.handle_failed(first, FailReason::Unreadable);
    said.extend(transmitted(|| sender.poll_transmit()));
    let second = sender.poll_job().unwrap().entry;
    let digest = encode_file(second, b"", DigestTree::new(), &mut said);
    assert_eq!(sender.poll_job(), None);
    said.extend(transmitted(|| sender.poll_transmit()));
    assert_eq!(
        super::events(&mut receiver, &said).unwrap(),
        [
            ReceiverEvent::FileFailed {
                entry: EntryIndex(0),
                reason: FailReason::Unreadable
            },
            ReceiverEvent::FileVerified {
                entry: EntryIndex(1),
                digest
            },
            ReceiverEvent::Done,
        ]
    );
}
