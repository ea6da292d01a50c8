//! Offers: their limits, entries that make no sense, names of what is left out.

use proptest::prelude::*;

use super::{events, file, folder, hello, manifest, messages::check};
use crate::file::{
    Entry, EntryKind, FileTime, Integrity, LeftOut, LeftOutReason, Manifest, RawPath,
    session::{
        Limits, MessageKind, ReceiverSession, SessionError,
        message::{Message, Role},
    },
};

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

/// An offer that counts so many left out, and names these.
fn naming(counted: u32, left_out_entries: Vec<LeftOut>) -> Manifest {
    let mut offer = manifest(vec![file("a", 5)]);
    offer.left_out = counted;
    offer.left_out_entries = left_out_entries;
    offer
}

fn encoded(offer: &Manifest) -> Vec<u8> {
    let mut bytes = Vec::new();
    Message::encode_offer(offer, &mut bytes);
    bytes
}

/// What a receiver makes of an offer that counts so many, with these names on the wire.
fn taken(counted: u32, names: &[u8]) -> Result<Vec<LeftOut>, SessionError> {
    let bare = encoded(&naming(counted, Vec::new()));
    let length = u32::try_from(names.len()).unwrap().to_be_bytes();
    match offer_of(&[&bare[9..], b"\0\x02", &length, names].concat())? {
        Message::Offer(offer) => Ok(offer.left_out_entries),
        other => panic!("{other:?}"),
    }
}

/// What comes out of an offer that counts so many, and names these.
fn passed(counted: u32, left_out_entries: Vec<LeftOut>) -> Vec<LeftOut> {
    let bytes = encoded(&naming(counted, left_out_entries));
    match offer_of(&bytes[9..]) {
        Ok(Message::Offer(offer)) => offer.left_out_entries,
        other => panic!("{other:?}"),
    }
}

fn same_names(count: usize) -> Vec<LeftOut> {
    vec![LeftOut::new("x", LeftOutReason::Name); count]
}

#[test]
fn what_is_left_out_is_named_in_an_offer() {
    let left_out = vec![
        LeftOut::new("out", LeftOutReason::Link),
        LeftOut::new(b"\xff", LeftOutReason::Other(9)),
    ];
    let bare = encoded(&naming(3, Vec::new()));
    let names = b"\x01\0\x03out\x09\0\x01\xff";
    // After the frame's length, which differs.
    assert_eq!(
        encoded(&naming(3, left_out.clone()))[8..],
        [&bare[8..], b"\0\x02\0\0\0\x0a", names].concat()
    );
    assert_eq!(passed(3, left_out.clone()), left_out);
    for cut in 0..names.len() {
        let whole = matches!(cut, 0 | 6);
        assert_eq!(taken(3, &names[..cut]).is_ok(), whole, "{cut}");
    }
}

#[test]
fn no_more_is_named_than_is_counted() {
    assert_eq!(passed(3, same_names(4)), same_names(3));
    assert_eq!(passed(0, same_names(1)), []);
    let names = b"\x02\0\x01x".repeat(4);
    let kind = MessageKind::Offer;
    assert_eq!(taken(4, &names), Ok(same_names(4)));
    assert_eq!(taken(3, &names), Err(SessionError::Malformed { kind }));
    assert_eq!(taken(0, &names[..4]), Err(SessionError::Malformed { kind }));
}

#[test]
fn a_list_of_names_that_is_too_long_is_cut_by_both_sides() {
    assert_eq!(passed(2_000, same_names(1_001)), same_names(1_000));
    let names = b"\x02\0\x01x".repeat(2_000);
    assert_eq!(taken(2_000, &names), Ok(same_names(1_000)));

    let long = LeftOut::new(vec![b'x'; 60_000], LeftOutReason::Name);
    assert_eq!(passed(2, vec![long.clone(); 2]), [long]);
    let longest = [&b"\x02\xff\xfd"[..], &[b'x'; 0xfffd]].concat();
    assert_eq!(taken(2, &longest.repeat(2)).unwrap().len(), 1);
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
}
