//! The bytes of each message: vectors, round trips, cuts, limits.

use proptest::prelude::*;

use super::{events, file, folder, hello, manifest};
use crate::file::{
    Digest, Entry, EntryKind, FileTime, Integrity, Manifest,
    session::{
        Abort, FailReason, Limits, MessageKind, ReceiverEvent, ReceiverSession, RefuseReason,
        SenderEvent, SenderSession, SessionError,
        message::{Hello, Message, Role, VERSION, WORKING, WireAnswer},
        reader::{Item, Reader},
    },
};

/// Reads one message, whatever bytes of it come together.
#[track_caller]
fn check(message: &Message) {
    let mut bytes = Vec::new();
    hello(Role::Sender).encode(&mut bytes);
    let start = bytes.len();
    message.encode(&mut bytes);
    for cut in start..=bytes.len() {
        let mut reader = Reader::new(1 << 20);
        let mut found = Vec::new();
        for mut part in [&bytes[..cut], &bytes[cut..]] {
            while let Some(Item::Message(message)) = reader.next(&mut part).unwrap() {
                found.push(message);
            }
        }
        assert_eq!(
            found[1..],
            *std::slice::from_ref(message),
            "cut at byte {cut}"
        );
    }
}

#[test]
fn every_message_comes_back_whatever_the_cut() {
    for message in [
        hello(Role::Receiver),
        Message::Offer(manifest(vec![
            file("사진/바다.jpg", u64::MAX),
            folder("빈"),
        ])),
        Message::Offer(Manifest::default()),
        Message::Answer(vec![
            WireAnswer::Send,
            WireAnswer::Refuse(RefuseReason::Exists),
            WireAnswer::Resume {
                blocks: 7,
                chain: Digest([9; 32]),
            },
            WireAnswer::Compare,
        ]),
        Message::FileEnd {
            entry: 3,
            digest: Digest([1; 32]),
        },
        Message::FileFailed {
            entry: 4,
            reason: FailReason::Other(200),
        },
        Message::Done,
        Message::Report(vec![(1, RefuseReason::Io), (9, RefuseReason::Other(99))]),
        Message::Working,
    ] {
        check(&message);
    }
}

#[test]
fn every_reason_to_end_comes_back() {
    for abort in [
        Abort::Version { theirs: 9 },
        Abort::Declined,
        Abort::Protocol,
        Abort::TooMany { limit: 1 },
        Abort::TooLarge { limit: u64::MAX },
        Abort::NoSpace {
            needed: 2,
            available: 1,
        },
        Abort::Mismatch,
        Abort::Unverified,
        Abort::Io,
        Abort::Cancelled,
        Abort::TimedOut,
        Abort::Other(77),
    ] {
        check(&Message::Abort(abort));
    }
}

/// The examples of `docs/wire/file.md`.
#[test]
fn the_bytes_are_those_of_the_page() {
    let mut bytes = Vec::new();
    let name = "a".to_owned();
    Message::Hello(Hello {
        role: Role::Sender,
        name,
        knows_private: false,
        busy: false,
    })
    .encode(&mut bytes);
    assert_eq!(bytes, b"\0\0\0\0\0\0\0\x0a\x01SKFT\0\x01\0\x01a");

    bytes.clear();
    let entry = Entry {
        path: "b/c".to_owned(),
        kind: EntryKind::File,
        size_bytes: 5,
        modified: FileTime {
            seconds: 1,
            nanoseconds: 2,
        },
        executable: true,
        is_private: false,
    };
    Message::Offer(manifest(vec![entry])).encode(&mut bytes);
    assert_eq!(
        bytes,
        b"\0\0\0\0\0\0\0\x20\x02\x01\0\0\0\x01\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x03b/c"
    );

    bytes.clear();
    Message::Hello(Hello {
        role: Role::Receiver,
        name: "b".to_owned(),
        knows_private: true,
        busy: false,
    })
    .encode(&mut bytes);
    assert_eq!(
        bytes,
        b"\0\0\0\0\0\0\0\x0e\x01SKFT\0\x01\x01\x01b\0\x02\0\0"
    );

    bytes.clear();
    Message::Working.encode(&mut bytes);
    assert_eq!(bytes, WORKING);
}

/// The flags of each entry in the sender's offer to a receiver that says hello so.
fn offered_flags(knows_private: bool) -> Vec<u8> {
    let private = Entry {
        is_private: true,
        ..file("a", 1)
    };
    let private_folder = Entry {
        is_private: true,
        ..folder("b")
    };
    let mut sender = SenderSession::new("", manifest(vec![private, private_folder, file("c", 1)]));
    sender.poll_transmit().unwrap();
    let mut bytes = Vec::new();
    let name = String::new();
    Message::Hello(Hello {
        role: Role::Receiver,
        name,
        knows_private,
        busy: false,
    })
    .encode(&mut bytes);
    sender.handle_input(&mut bytes.as_slice()).unwrap();
    let offer = sender.poll_transmit().unwrap();
    // Paths of one byte, after the count.
    offer[14..].chunks(24).map(|entry| entry[0]).collect()
}

#[test]
fn only_a_receiver_that_knows_what_is_private_is_told() {
    assert_eq!(offered_flags(true), [0b110, 0b101, 0b010]);
    assert_eq!(offered_flags(false), [0b010, 0b001, 0b010]);
}

#[test]
fn a_receiver_says_that_it_knows_what_is_private() {
    let hello = ReceiverSession::new("", Limits::default()).poll_transmit();
    assert!(hello.unwrap().ends_with(b"\0\x02\0\0"));
}

#[test]
fn a_long_name_is_cut_at_a_character() {
    let mut bytes = Vec::new();
    let name = "가".repeat(100);
    let hello = |name| Hello {
        role: Role::Sender,
        name,
        knows_private: false,
        busy: false,
    };
    Message::Hello(hello(name)).encode(&mut bytes);
    let mut receiver = ReceiverSession::new("", Limits::default());
    let name = "가".repeat(85);
    assert_eq!(
        events(&mut receiver, &bytes),
        Ok(vec![ReceiverEvent::Peer(hello(name))])
    );
}

/// What a receiver says to a first message with this body.
#[track_caller]
fn check_hello(body: &[u8], expected: &Result<(), SessionError>) {
    let bytes = [&(body.len() as u64).to_be_bytes()[..], body].concat();
    let mut receiver = ReceiverSession::new("", Limits::default());
    let found = events(&mut receiver, &bytes).map(|_peer| ());
    assert_eq!(found, *expected, "{body:?}");
}

#[test]
fn a_hello_may_grow() {
    let malformed = SessionError::Malformed {
        kind: MessageKind::Hello,
    };
    let other = SessionError::Version {
        ours: VERSION,
        theirs: 2,
    };
    let critical = SessionError::UnknownExtension { kind: 0x8001 };
    for (body, expected) in [
        (&b"\x01SKFT\0\x01\0\0"[..], Ok(())),
        (b"\x01SKFT\0\x01\0\0\0\x05\0\x02ab\0\x06\0\0", Ok(())),
        (b"\x01SKFT\0\x01\0\0\x80\x01\0\0", Err(critical)),
        (b"\x01SKFT\0\x01\0\0\0\x05\0\x03ab", Err(malformed.clone())),
        (b"\x01SKFT\0\x01\0\0\0", Err(malformed.clone())),
        (b"\x01SKFT\0\x01\x02\0", Err(malformed.clone())),
        (b"\x01SKFT\0\x01\0\x02a", Err(malformed.clone())),
        (b"\x01SKFT\0\x01\0\x01\xff", Err(malformed)),
        // What follows the version is for that version to say.
        (b"\x01SKFT\0\x02", Err(other.clone())),
        (b"\x01SKFT\0\x02\xff\xff\xff", Err(other)),
        (b"\x01SKFT\0", Err(SessionError::NotThisProtocol)),
        (b"\x01HTTP\0\x01\0\0", Err(SessionError::NotThisProtocol)),
        (b"\x07", Err(SessionError::NotThisProtocol)),
    ] {
        check_hello(body, &expected);
    }
}

#[test]
fn other_protocols_are_told_apart() {
    for stranger in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0; 64],
        &[255; 64],
    ] {
        let mut receiver = ReceiverSession::new("", Limits::default());
        let refused = Err(SessionError::NotThisProtocol);
        assert_eq!(events(&mut receiver, stranger), refused);
        let mut sender = SenderSession::new("", Manifest::default());
        let refused = Err(SessionError::NotThisProtocol);
        assert_eq!(sender.handle_input(&mut { stranger }), refused);
    }
}

#[test]
fn a_peer_in_the_same_role_is_refused() {
    let mut bytes = Vec::new();
    hello(Role::Receiver).encode(&mut bytes);
    let mut receiver = ReceiverSession::new("", Limits::default());
    assert_eq!(events(&mut receiver, &bytes), Err(SessionError::SameRole));
}

/// What a receiver with these limits says to an offer.
fn offer(limits: Limits, manifest: Manifest) -> Result<(), SessionError> {
    let mut bytes = Vec::new();
    hello(Role::Sender).encode(&mut bytes);
    Message::Offer(manifest).encode(&mut bytes);
    events(&mut ReceiverSession::new("", limits), &bytes).map(|_events| ())
}

#[test]
fn limits_hold_exactly_and_break_by_one() {
    let two = || manifest(vec![file("a", 60), file("b", 40)]);
    let limits = Limits::default;
    assert_eq!(offer(limits().max_entries(2), two()), Ok(()));
    assert_eq!(
        offer(limits().max_entries(1), two()),
        Err(SessionError::TooManyEntries {
            announced: 2,
            limit: 1
        })
    );
    assert_eq!(offer(limits().max_total_bytes(100), two()), Ok(()));
    assert_eq!(
        offer(limits().max_total_bytes(99), two()),
        Err(SessionError::TooManyBytes {
            announced: 100,
            limit: 99
        })
    );
    // The list's head and two entries with names of one byte.
    assert_eq!(
        offer(limits().max_manifest_bytes(5 + 2 * 24), two()),
        Ok(())
    );
    assert_eq!(
        offer(limits().max_manifest_bytes(5 + 2 * 24 - 1), two()),
        Err(SessionError::TooLong {
            kind: MessageKind::Offer,
            announced: 54,
            limit: 52
        })
    );
    let huge = manifest(vec![file("a", u64::MAX), file("b", u64::MAX)]);
    assert!(matches!(
        offer(limits(), huge),
        Err(SessionError::TooManyBytes { .. })
    ));
}

#[test]
fn an_offer_without_digests_is_refused_unless_allowed() {
    let bare = || Manifest {
        integrity: Integrity::Unverified,
        entries: vec![file("a", 1)],
    };
    assert_eq!(
        offer(Limits::default(), bare()),
        Err(SessionError::Unverified)
    );
    let lenient = Limits::default().integrity(Integrity::Unverified);
    assert_eq!(offer(lenient, bare()), Ok(()));
}

#[test]
fn a_count_that_is_a_lie_reserves_nothing() {
    let mut bytes = Vec::new();
    hello(Role::Sender).encode(&mut bytes);
    bytes.extend_from_slice(b"\0\0\0\0\0\0\0\x06\x02\x01\xff\xff\xff\xff");
    let mut receiver = ReceiverSession::new("", Limits::default());
    let kind = MessageKind::Offer;
    assert_eq!(
        events(&mut receiver, &bytes),
        Err(SessionError::Malformed { kind })
    );
}

#[test]
fn folders_that_a_path_leads_through_count() {
    let limits = |entries| Limits::default().max_entries(entries);
    let entries = || {
        manifest(vec![
            folder("a"),
            file("a/b/c/1", 0),
            file("a/b/c/2", 0),
            file("d/e", 0),
        ])
    };
    // Three files, and a, a/b, a/b/c and d.
    assert_eq!(offer(limits(7), entries()), Ok(()));
    assert_eq!(
        offer(limits(6), entries()),
        Err(SessionError::TooManyEntries {
            announced: 7,
            limit: 6
        })
    );
}

#[test]
fn few_bytes_of_offer_cannot_lead_through_many_folders() {
    let deep = |first: u32| file(&format!("{first}{}/f", "/d".repeat(61)), 0);
    let found = offer(Limits::default(), manifest((0..2_000).map(deep).collect()));
    assert_eq!(
        found,
        Err(SessionError::TooManyEntries {
            announced: 100_001,
            limit: 100_000
        })
    );
    // Nor does the memory for their paths grow beyond an offer's.
    let long = "n".repeat(60);
    let deep = |first: u32| file(&format!("{first}{}/f", format!("/{long}").repeat(61)), 0);
    let found = offer(Limits::default(), manifest((0..1_000).map(deep).collect()));
    assert!(
        matches!(found, Err(SessionError::TooLong { limit, .. }) if limit == 16 << 20),
        "{found:?}"
    );
}

proptest! {
    #[test]
    fn any_manifest_comes_back(
        entries in prop::collection::vec(
            (".{0,40}", any::<u64>(), any::<i64>(), 0..1_000_000_000_u32, any::<[bool; 2]>()),
            0..20,
        )
    ) {
        let entries = entries.into_iter().map(|(path, size_bytes, seconds, nanoseconds, [executable, is_private])| {
            let modified = FileTime { seconds, nanoseconds };
            Entry { path, kind: EntryKind::File, size_bytes, modified, executable, is_private }
        });
        let message = Message::Offer(manifest(entries.collect()));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(Message::decode(MessageKind::Offer, &bytes[9..]), Ok(message));
    }

    #[test]
    fn garbage_after_a_hello_does_no_harm(input in prop::collection::vec(any::<u8>(), 0..200), kind in 0..12_u8) {
        let mut bytes = Vec::new();
        hello(Role::Sender).encode(&mut bytes);
        // A sound head, so that the body is reached.
        bytes.extend_from_slice(&(input.len() as u64 + 1).to_be_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&input);
        let _ = events(&mut ReceiverSession::new("", Limits::default()), &bytes);

        bytes.clear();
        hello(Role::Receiver).encode(&mut bytes);
        bytes.extend_from_slice(&input);
        let mut sender = SenderSession::new("", manifest(vec![file("a", 9)]));
        let mut input = bytes.as_slice();
        while let Ok(Some(_)) = sender.handle_input(&mut input) {}
    }
}

#[test]
fn a_busy_receiver_says_so_and_an_older_sender_reads_on() {
    let mut receiver = ReceiverSession::busy("", Limits::default());
    let said = receiver.poll_transmit().unwrap();
    // A hello of version 1, and an extension that may be skipped.
    assert_eq!(
        said,
        b"\0\0\0\0\0\0\0\x11\x01SKFT\0\x01\x01\0\0\x01\0\0\0\x02\0\0"
    );
    let mut sender = SenderSession::new("", Manifest::default());
    let heard = sender.handle_input(&mut said.as_slice());
    assert!(
        matches!(&heard, Ok(Some(SenderEvent::Peer(hello))) if hello.busy),
        "{heard:?}"
    );
}
