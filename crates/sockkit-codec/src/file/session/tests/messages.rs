//! The bytes of each message: vectors, round trips, cuts, limits.

use proptest::prelude::*;

use super::{events, file, folder, hello, manifest};
use crate::file::{
    Digest, Entry, EntryIndex, EntryKind, FileTime, Integrity, LeftOut, LeftOutReason, Manifest,
    RawPath,
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
            Entry::link("사진/l", b"../\xff"),
            Entry::file(b"\xff\n", 0),
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
            entry: EntryIndex(3),
            digest: Digest([1; 32]),
        },
        Message::FileFailed {
            entry: EntryIndex(4),
            reason: FailReason::Other(200),
        },
        Message::Done,
        Message::Report(vec![
            (EntryIndex(1), RefuseReason::Io),
            (EntryIndex(9), RefuseReason::Other(99)),
        ]),
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
    let said = |message: &Message| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    };
    let hello = |role, name: &str, busy| {
        let name = name.to_owned();
        said(&Message::Hello(Hello { role, name, busy }))
    };
    assert_eq!(
        hello(Role::Sender, "a", false),
        b"\0\0\0\0\0\0\0\x0a\x01SKFT\0\x02\0\x01a"
    );
    assert_eq!(
        hello(Role::Receiver, "b", true),
        b"\0\0\0\0\0\0\0\x0e\x01SKFT\0\x02\x01\x01b\0\x01\0\0"
    );

    let mut entry = Entry::file("b/c", 5);
    entry.modified = FileTime {
        seconds: 1,
        nanoseconds: 2,
    };
    entry.mode = 0o750;
    entry.is_private = true;
    let link = Entry::link(b"b/\xff", "c");
    let mut offer = manifest(vec![entry, link]);
    offer.left_out = 3;
    assert_eq!(
        said(&Message::Offer(offer)),
        [
            &b"\0\0\0\0\0\0\0\x49\x02\x01\0\0\0\x03\0\0\0\x02"[..],
            b"\0\x01\x01\xe8\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x03b/c\0\0",
            b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03b/\xff\0\x01c",
        ]
        .concat()
    );
    assert_eq!(said(&Message::Working), WORKING);
}

#[test]
fn a_long_name_is_cut_at_a_character() {
    let mut bytes = Vec::new();
    let name = "가".repeat(100);
    let hello = |name| Hello {
        role: Role::Sender,
        name,
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
        theirs: 1,
    };
    let critical = SessionError::UnknownExtension { kind: 0x8001 };
    for (body, expected) in [
        (&b"\x01SKFT\0\x02\0\0"[..], Ok(())),
        (b"\x01SKFT\0\x02\0\0\0\x05\0\x02ab\0\x06\0\0", Ok(())),
        // A place that is kept for transfers to groups.
        (b"\x01SKFT\0\x02\0\0\0\x03\0\x01g", Ok(())),
        (b"\x01SKFT\0\x02\0\0\x80\x01\0\0", Err(critical)),
        (b"\x01SKFT\0\x02\0\0\0\x05\0\x03ab", Err(malformed.clone())),
        (b"\x01SKFT\0\x02\0\0\0", Err(malformed.clone())),
        (b"\x01SKFT\0\x02\0\0\0\x05\0", Err(malformed.clone())),
        (b"\x01SKFT\0\x02\x02\0", Err(malformed.clone())),
        (b"\x01SKFT\0\x02\0\x02a", Err(malformed.clone())),
        (b"\x01SKFT\0\x02\0\x01\xff", Err(malformed)),
        // What follows the version is for that version to say.
        (b"\x01SKFT\0\x01", Err(other.clone())),
        (b"\x01SKFT\0\x01\xff\xff\xff", Err(other)),
        (b"\x01SKFT\0", Err(SessionError::NotThisProtocol)),
        (b"\x01HTTP\0\x02\0\0", Err(SessionError::NotThisProtocol)),
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
fn a_peer_that_encrypts_is_told_apart() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut receiver = ReceiverSession::new("", Limits::default());
    let refused = Err(SessionError::Encrypted);
    assert_eq!(events(&mut receiver, hello), refused);
    let mut sender = SenderSession::new("", Manifest::default());
    let refused = Err(SessionError::Encrypted);
    assert_eq!(sender.handle_input(&mut { &hello[..] }), refused);
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
        offer(limits().max_manifest_bytes(9 + 2 * 29), two()),
        Ok(())
    );
    assert_eq!(
        offer(limits().max_manifest_bytes(9 + 2 * 29 - 1), two()),
        Err(SessionError::TooLong {
            kind: MessageKind::Offer,
            announced: 68,
            limit: 66
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
        ..manifest(vec![file("a", 1)])
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
    bytes.extend_from_slice(b"\0\0\0\0\0\0\0\x0a\x02\x01\0\0\0\0\xff\xff\xff\xff");
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

/// What a receiver makes of an offer with this body.
fn offer_of(body: &[u8]) -> Result<Message, SessionError> {
    Message::decode(MessageKind::Offer, body)
}

/// An offer of one entry whose bytes are these.
fn one_entry(entry: &[u8]) -> Vec<u8> {
    [&b"\x01\0\0\0\0\0\0\0\x01"[..], entry].concat()
}

/// Kind, flags, mode, size, nanoseconds, path and target of an entry.
fn entry_bytes(
    (kind, flags, mode): (u8, u8, u16),
    size: u64,
    nanoseconds: u32,
    path: &[u8],
    target: &[u8],
) -> Vec<u8> {
    let mut out = vec![kind, flags];
    out.extend(mode.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend([0; 8]);
    out.extend(nanoseconds.to_be_bytes());
    for bytes in [path, target] {
        out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
    }
    out
}

#[test]
fn an_entry_that_makes_no_sense_ends_the_session() {
    let malformed = SessionError::Malformed {
        kind: MessageKind::Offer,
    };
    for (what, entry, sound) in [
        ("a file", entry_bytes((0, 0, 0), 5, 0, b"a", b""), true),
        ("private", entry_bytes((0, 1, 0o777), 5, 0, b"a", b""), true),
        ("a flag", entry_bytes((0, 2, 0), 5, 0, b"a", b""), false),
        (
            "setuid",
            entry_bytes((0, 0, 0o4755), 5, 0, b"a", b""),
            false,
        ),
        (
            "sticky",
            entry_bytes((1, 0, 0o1777), 0, 0, b"a", b""),
            false,
        ),
        (
            "time",
            entry_bytes((0, 0, 0), 5, 999_999_999, b"a", b""),
            true,
        ),
        (
            "no time",
            entry_bytes((0, 0, 0), 5, 1_000_000_000, b"a", b""),
            false,
        ),
        (
            "a file's target",
            entry_bytes((0, 0, 0), 5, 0, b"a", b"b"),
            false,
        ),
        ("a folder", entry_bytes((1, 0, 0), 0, 0, b"a", b""), true),
        ("its size", entry_bytes((1, 0, 0), 1, 0, b"a", b""), false),
        (
            "its target",
            entry_bytes((1, 0, 0), 0, 0, b"a", b"b"),
            false,
        ),
        ("a link", entry_bytes((2, 0, 0), 0, 0, b"a", b"b"), true),
        ("its size", entry_bytes((2, 0, 0), 1, 0, b"a", b"b"), false),
        // Refused alone: a link to nothing, and what a later revision may have.
        ("no target", entry_bytes((2, 0, 0), 0, 0, b"a", b""), true),
        ("a kind", entry_bytes((3, 0, 0), 9, 0, b"a", b"b"), true),
        ("a kind", entry_bytes((255, 0, 0), 0, 0, b"", b""), true),
    ] {
        let found = offer_of(&one_entry(&entry));
        match sound {
            true => assert!(found.is_ok(), "{what}: {found:?}"),
            false => assert_eq!(found, Err(malformed.clone()), "{what}"),
        }
        // A length that is a lie, and an end in the middle.
        for cut in 0..entry.len() {
            let cut = offer_of(&one_entry(&entry[..cut]));
            assert_eq!(cut, Err(malformed.clone()), "{what}");
        }
    }
}

#[test]
fn what_an_unknown_kind_has_counts_for_nothing() {
    let entry = entry_bytes((7, 0, 0), u64::MAX, 0, b"a", b"anything");
    let Ok(Message::Offer(offered)) = offer_of(&one_entry(&entry)) else {
        panic!("it is taken");
    };
    assert_eq!(offered.entries[0].kind, EntryKind::Other(7));
    assert_eq!(offered.total_bytes(), 0);
    check(&Message::Offer(offered));
}

#[test]
fn a_path_that_fits_no_message_is_cut_and_refused_by_the_receiver() {
    let long = Entry::file(vec![b'a'; 70_000], 1);
    let mut bytes = Vec::new();
    Message::Offer(manifest(vec![long, file("b", 1)])).encode(&mut bytes);
    let Ok(Message::Offer(offered)) = offer_of(&bytes[9..]) else {
        panic!("it is taken");
    };
    assert_eq!(offered.entries[0].path, RawPath::from(vec![b'a'; 65_535]));
    assert_eq!(offered.entries[1], file("b", 1));
}

#[test]
fn offers_and_answers_may_grow() {
    let offered = one_entry(&entry_bytes((0, 0, 0), 5, 0, b"a", b""));
    let answered = b"\0\0\0\x01\x00".to_vec();
    for (kind, body) in [
        (MessageKind::Offer, offered),
        (MessageKind::Answer, answered),
    ] {
        let bare = Message::decode(kind, &body);
        let with = |extensions: &[u8]| Message::decode(kind, &[&body, extensions].concat());
        let malformed = Err(SessionError::Malformed { kind });
        assert!(bare.is_ok());
        // The first is a place that is kept for transfers to groups.
        assert_eq!(with(b"\0\x01\0\0\0\x02id"), bare);
        assert_eq!(with(b"\x7f\xff\0\0\0\0\0\x09\0\0\0\x01x"), bare);
        assert_eq!(
            with(b"\x80\0\0\0\0\0"),
            Err(SessionError::UnknownExtension { kind: 0x8000 })
        );
        assert_eq!(with(b"\0"), malformed);
        assert_eq!(with(b"\0\x01\0\0\0"), malformed);
        assert_eq!(with(b"\0\x01\0\0\0\x03id"), malformed);
        assert_eq!(with(b"\0\x01\xff\xff\xff\xffid"), malformed);
    }
}

#[test]
fn what_is_left_out_is_named_in_an_offer() {
    let mut offer = manifest(vec![file("a", 5)]);
    offer.left_out = 3;
    let mut bare = Vec::new();
    Message::encode_offer(&offer, &mut bare);
    offer.left_out_entries = vec![
        LeftOut::new("out", LeftOutReason::Link),
        LeftOut::new(b"\xff", LeftOutReason::Other(9)),
    ];
    let mut bytes = Vec::new();
    Message::encode_offer(&offer, &mut bytes);
    let extension = b"\0\x02\0\0\0\x0a\x01\0\x03out\x09\0\x01\xff";
    // After the frame's length, which differs.
    assert_eq!(bytes[8..], [&bare[8..], extension].concat());
    let decode = |bytes: &[u8]| Message::decode(MessageKind::Offer, &bytes[9..]);
    assert_eq!(decode(&bytes), Ok(Message::Offer(offer.clone())));
    for cut in 1..10_u8 {
        let mut short = bytes[..bytes.len() - usize::from(cut)].to_vec();
        short[bare.len() + 5] = 10 - cut;
        let whole = cut == 4;
        assert_eq!(decode(&short).is_ok(), whole, "{cut}");
    }

    // No more names than were counted.
    let many = |count| vec![LeftOut::new("x", LeftOutReason::Name); count];
    offer.left_out_entries = many(4);
    let mut bytes = Vec::new();
    Message::encode_offer(&offer, &mut bytes);
    offer.left_out_entries = many(3);
    assert_eq!(decode(&bytes), Ok(Message::Offer(offer.clone())));
    let mut hostile = [&bare[..], b"\0\x02\0\0\0\x0c"].concat();
    hostile.extend(b"\x02\0\0".repeat(4));
    let kind = MessageKind::Offer;
    assert_eq!(decode(&hostile), Err(SessionError::Malformed { kind }));

    // A list that is too long is cut by both sides.
    offer.left_out = 2_000;
    bare.clear();
    Message::encode_offer(&offer, &mut bare);
    offer.left_out_entries = many(1_001);
    let mut bytes = Vec::new();
    Message::encode_offer(&offer, &mut bytes);
    offer.left_out_entries = many(1_000);
    assert_eq!(decode(&bytes), Ok(Message::Offer(offer.clone())));
    let mut hostile = [&bare[..], b"\0\x02\0\0\x17\x70"].concat();
    hostile.extend(b"\x02\0\0".repeat(2_000));
    let Ok(Message::Offer(taken)) = decode(&hostile) else {
        panic!("an offer");
    };
    assert_eq!(taken.left_out_entries.len(), 1_000);
    let mut hostile = [&bare[..], b"\0\x02\0\x02\0\0"].concat();
    for _ in 0..2 {
        hostile.extend(b"\x02\xff\xfd");
        hostile.extend([b'x'; 0xfffd]);
    }
    let Ok(Message::Offer(taken)) = decode(&hostile) else {
        panic!("an offer");
    };
    assert_eq!(taken.left_out_entries.len(), 1);
    let long = "x".repeat(60_000);
    offer.left_out_entries = vec![LeftOut::new(&*long, LeftOutReason::Name); 2];
    let mut bytes = Vec::new();
    Message::encode_offer(&offer, &mut bytes);
    offer.left_out_entries.pop();
    assert_eq!(decode(&bytes), Ok(Message::Offer(offer)));
}

#[test]
fn a_peer_of_version_one_is_told_in_its_own_words() {
    // Hello and abort as version 1 has them.
    let hello = b"\0\0\0\0\0\0\0\x0a\x01SKFT\0\x01\0\x01a";
    let abort = b"\0\0\0\0\0\0\0\x12\x0a\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0";
    let mut receiver = ReceiverSession::new("", Limits::default());
    receiver.poll_transmit().unwrap();
    let error = events(&mut receiver, hello).unwrap_err();
    assert_eq!(
        error.to_string(),
        "peer speaks version 1 of the file protocol, this side version 2: upgrade sockkit there"
    );
    receiver.abort(error.abort().unwrap());
    assert_eq!(receiver.poll_transmit().unwrap(), abort);

    let mut sender = SenderSession::new("", Manifest::default());
    let said = sender.poll_transmit().unwrap();
    // Which it takes for a hello, reads the version of, and no more.
    assert_eq!(said[8..15], *b"\x01SKFT\0\x02");
    let error = sender.handle_input(&mut &hello[..]).unwrap_err();
    sender.abort(error.abort().unwrap());
    assert_eq!(sender.poll_transmit().unwrap(), abort);

    // What it says to us: a later version is newer there.
    let words = Abort::Version { theirs: 1 }.to_string();
    assert!(
        words.ends_with("this side version 2: upgrade sockkit there"),
        "{words}"
    );
    let words = Abort::Version { theirs: 3 }.to_string();
    assert!(words.ends_with("upgrade sockkit here"), "{words}");
}

/// Any entry that goes over the wire as it is.
fn entries() -> impl Strategy<Value = Entry> {
    let path = || prop::collection::vec(any::<u8>(), 0..40);
    let kind = prop_oneof![
        any::<u64>().prop_map(|size| (EntryKind::File, size)),
        Just((EntryKind::Folder, 0)),
        path().prop_map(|target| {
            let target = RawPath::from(target);
            (EntryKind::Link { target }, 0)
        }),
        (3..=255_u8).prop_map(|kind| (EntryKind::Other(kind), 0)),
    ];
    let time = (any::<i64>(), 0..1_000_000_000_u32);
    (path(), kind, time, 0..0o1000_u16, any::<bool>()).prop_map(
        |(path, (kind, size_bytes), (seconds, nanoseconds), mode, is_private)| {
            let mut entry = Entry::file(path, size_bytes);
            entry.kind = kind;
            entry.modified = FileTime {
                seconds,
                nanoseconds,
            };
            entry.mode = mode;
            entry.is_private = is_private;
            entry
        },
    )
}

proptest! {
    #[test]
    fn any_manifest_comes_back(entries in prop::collection::vec(entries(), 0..20), left_out in any::<u32>()) {
        let mut offered = manifest(entries);
        offered.left_out = left_out;
        let message = Message::Offer(offered);
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
fn a_busy_receiver_says_so() {
    let mut receiver = ReceiverSession::busy("", Limits::default());
    let said = receiver.poll_transmit().unwrap();
    // A hello, and an extension that may be skipped.
    assert_eq!(said, b"\0\0\0\0\0\0\0\x0d\x01SKFT\0\x02\x01\0\0\x01\0\0");
    let mut sender = SenderSession::new("", Manifest::default());
    let heard = sender.handle_input(&mut said.as_slice());
    assert!(
        matches!(&heard, Ok(Some(SenderEvent::Peer(hello))) if hello.busy),
        "{heard:?}"
    );
}
