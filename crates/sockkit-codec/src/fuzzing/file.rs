//! The file session, from both sides.

use crate::file::{
    Answer, Entry, EntryKind, LinkTarget, Manifest, NameRules,
    session::{Limits, ReceiverEvent, ReceiverSession, Reviewed, SenderSession, review},
};

/// What a peer says after its hello, and as the body of one message.
pub fn file(input: &[u8]) {
    let mut sender = SenderSession::new("", Manifest::default());
    let mut receiver = ReceiverSession::new("", Limits::default());
    let senders_hello = sender.poll_transmit().expect("it says hello");
    let receivers_hello = receiver.poll_transmit().expect("it says hello");
    // Behind a sound length, so that the body is reached.
    let framed = [&(input.len() as u64).to_be_bytes()[..], input].concat();
    for said in [input, &framed] {
        receive_files(&[&senders_hello, said].concat());
        send_files(&[&receivers_hello, said].concat());
    }
}

fn receive_files(mut said: &[u8]) {
    let mut session = ReceiverSession::new("", Limits::default());
    while let Ok(Some(event)) = session.handle_input(&mut said) {
        match event {
            ReceiverEvent::Offered(manifest) => session.answer(answers(&manifest)),
            ReceiverEvent::Done => session.report(Vec::new()),
            _ => {}
        }
    }
}

fn answers(manifest: &Manifest) -> Vec<Answer> {
    for rules in [NameRules::Unix, NameRules::MacOs] {
        review(manifest, rules);
    }
    let reviewed = review(manifest, NameRules::Windows);
    let entries = manifest.entries.iter().zip(&reviewed);
    let answers = entries.map(|(entry, reviewed)| match reviewed.path() {
        Ok(_) => {
            assert!(stays_inside(entry, reviewed), "{entry:?}");
            Answer::Send
        }
        Err(reason) => Answer::Refuse(reason),
    });
    answers.collect()
}

/// By other means than the review's.
fn stays_inside(entry: &Entry, reviewed: &Reviewed) -> bool {
    let path = entry.path.as_bytes();
    let is_relative = |path: &[u8]| !path.is_empty() && path[0] != b'/' && !path.contains(&0);
    let depth = path.iter().filter(|&&byte| byte == b'/').count();
    let parts = path.split(|&byte| byte == b'/');
    let climbs = |part: &[u8]| part == b"..";
    let target_stays = match (&entry.kind, reviewed) {
        (EntryKind::Link { target }, Reviewed::Allowed(link) | Reviewed::Twin(link)) => {
            let ups = target.as_bytes().split(|&byte| byte == b'/');
            is_relative(target.as_bytes())
                && ups.filter(|part| climbs(part)).count() <= depth
                && LinkTarget::parse(link, target.as_bytes()).is_ok()
        }
        _ => true,
    };
    is_relative(path) && !parts.into_iter().any(climbs) && target_stays
}

fn send_files(mut said: &[u8]) {
    let entries = vec![
        Entry::file("a", 9),
        Entry::folder("b"),
        Entry::link("l", "a"),
    ];
    let mut session = SenderSession::new("", Manifest::new(entries));
    while let Ok(Some(_)) = session.handle_input(&mut said) {
        session.poll_transmit();
        while session.poll_job().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::tests::over_garbage;

    #[test]
    fn file_sessions_of_garbage() {
        over_garbage(5, b"\0\0\0\0\x01\x02\x03\x04./a", file);
        // Good offers, some of them spoilt: these get past the parser.
        let mut random = fastrand::Rng::with_seed(5);
        let parts = ["..", "a", "b", "A", "", ".", "nul", "e\u{301}", "\u{e9}"];
        for _ in 0..2_000 {
            let mut path = || {
                let parts: Vec<_> = (0..random.usize(1..4))
                    .map(|_| random.choice(parts).unwrap())
                    .collect();
                parts.join("/")
            };
            let entries = vec![
                Entry::link(path(), path()),
                Entry::folder(path()),
                Entry::file(path(), 3),
                Entry::link(path(), path()),
                Entry::file(path(), 0),
            ];
            let mut sender = SenderSession::new("", Manifest::new(entries));
            sender.poll_transmit();
            let hello = ReceiverSession::new("", Limits::default()).poll_transmit();
            sender.handle_input(&mut &hello.unwrap()[..]).unwrap();
            let mut offer = sender.poll_transmit().unwrap();
            for _ in 0..random.usize(..3) {
                let place = random.usize(..offer.len());
                offer[place] = random.u8(..);
            }
            file(&offer);
        }
    }
}
