//! A lying sender, and names by Windows' rules.

use std::{fs, net::TcpStream, path::Path, thread};

use sockkit::file::{Destination, ReceiveConfig, receive};
use tempfile::tempdir;

use super::{
    liar::{Manners, Offered, Said, lie, offer},
    names,
};

/// What the receiver answers for each entry, if it answers, and what its folder holds then.
async fn offered(into: &Path, entries: Vec<Offered>, manners: Manners) -> Option<Vec<u8>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let said = Said {
            entries: &entries,
            manners,
        };
        lie(&mut stream, &offer(&entries), &said)
    });
    let (stream, _) = listener.accept().await.unwrap();
    let destination = Destination::open(into).unwrap();
    if let Ok(incoming) = receive(stream, &ReceiveConfig::default()).await {
        let _ = incoming.accept(&destination).await;
    }
    liar.join().unwrap().ok()
}

/// Names that lead out, name a stream, a device or another file, or that Windows would
/// change.
const HOSTILE: [&str; 22] = [
    r"..\outside\new",
    r"..\..\new",
    r"a\..\..\outside\new",
    r"\new",
    r"C:\new",
    "C:new",
    r"\\?\C:\new",
    r"\\.\pipe\new",
    r"\\host\share\new",
    "old:stream",
    "old::$DATA",
    "old::$INDEX_ALLOCATION",
    "CON",
    "nul.txt",
    "COM1",
    "LPT\u{b9}",
    "aux .log",
    "dot.",
    "space ",
    "a*b",
    "a|b",
    "a\u{1}b",
];

#[tokio::test]
async fn hostile_names_are_refused_and_the_others_arrive() {
    for manners in [Manners::Polite, Manners::Rude] {
        for kind in [Offered::file, |path: String, _bytes| Offered::folder(path)] {
            let place = tempdir().unwrap();
            let into = place.path().join("into");
            fs::create_dir(place.path().join("outside")).unwrap();
            fs::create_dir(&into).unwrap();
            fs::write(into.join("old"), "as it was").unwrap();
            let mut entries: Vec<_> = HOSTILE
                .into_iter()
                .flat_map(|name| [name.to_owned(), format!("folder/{name}")])
                .map(|name| kind(name, b"evil"))
                .collect();
            entries.push(Offered::link("link", "../outside"));
            let hostile = entries.len();
            entries.push(Offered::file("honest", b"fine"));
            let codes = offered(&into, entries, manners).await;

            if manners == Manners::Polite {
                let codes = codes.expect("an answer");
                assert_eq!(codes.len(), hostile + 1);
                assert!(codes[..hostile].iter().all(|code| *code != 0), "{codes:?}");
                assert_eq!(fs::read(into.join("honest")).unwrap(), b"fine");
                assert_eq!(names(&into), ["honest", "old"]);
            }
            assert_eq!(fs::read(into.join("old")).unwrap(), b"as it was");
            assert_eq!(names(&place.path().join("outside")), Vec::<String>::new());
            let mut top = names(place.path());
            top.retain(|name| !name.starts_with("into/"));
            assert_eq!(top, ["into", "outside"]);
        }
    }
}

#[tokio::test]
async fn names_that_are_one_here_do_not_replace_each_other() {
    let into = tempdir().unwrap();
    let entries = ["README", "readme", "\u{c9}t\u{e9}", "\u{e9}t\u{e9}"];
    let entries = entries.map(|name| Offered::file(name, b"one")).to_vec();
    let codes = offered(into.path(), entries, Manners::Polite)
        .await
        .unwrap();
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        2,
        "{codes:?}"
    );
    assert_eq!(names(into.path()).len(), 2);
}
