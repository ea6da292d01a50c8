//! The bytes of each message: vectors, round trips, cuts, garbage; peers that speak
//! something else.

use proptest::prelude::*;

use super::{events, file, folder, hello, manifest};
use crate::file::{
    Digest, Entry, EntryIndex, FileTime, Manifest,
    session::{
        Abort, FailReason, Limits, MessageKind, ReceiverEvent, ReceiverSession, RefuseReason,
        SenderEvent, SenderSession, SessionError,
        message::{Hello, Message, Role, VERSION, WORKING, WireAnswer},
        reader::{Item, Reader},
    },
};

/// Reads one message, whatever bytes of it come together.
#[track_caller]
pub(super) fn check(message: &Message) {
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

proptest! {
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
