//! Manifests that mean harm: not one byte lands outside the destination.
//!
//! Each case names the published fault that it would be, where there is one. A
//! thread swaps folders for links all the while.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sockkit::file::{Destination, ReceiveConfig, receive};
use tempfile::TempDir;

use super::liar::{Manners, Offered, Said, lie, offer};

/// A folder with a destination in it, and things that must stay as they are.
struct Trap {
    folder: TempDir,
    stop: Arc<AtomicBool>,
    swapping: Option<thread::JoinHandle<u64>>,
}

impl Trap {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["outside", "outside/deep", "into", "into/old"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["outside/secret", "outside/deep/secret", "into/old/file"] {
            fs::write(at(name), "as it was").unwrap();
        }
        // Links that exist in the destination already.
        symlink("../outside", at("into/link")).unwrap();
        symlink("../outside/secret", at("into/file-link")).unwrap();
        symlink("../outside/new", at("into/dangling")).unwrap();
        symlink("/", at("into/root")).unwrap();
        fs::create_dir(at("into/swap")).unwrap();
        symlink(at("outside"), at("into/paws")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let swapping = thread::spawn({
            let (one, other, stop) = (at("into/swap"), at("into/paws"), Arc::clone(&stop));
            move || swap(&one, &other, &stop)
        });
        Self {
            folder,
            stop,
            swapping: Some(swapping),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Offers `entries` and an honest file after them; whether each entry but the
    /// honest one was kept out, and the honest one came.
    async fn spring(&self, mut entries: Vec<Offered>, manners: Manners) -> Result<(), String> {
        entries.push(Offered::file("honest", b"fine"));
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
        let destination = Destination::open(self.at("into")).unwrap();
        let config = ReceiveConfig::default();
        let received = async {
            let incoming = receive(stream, &config).await?;
            incoming.accept(&destination).await
        };
        let received = received.await.map_err(|error| error.to_string());
        let lied = liar.join().unwrap();
        let honest = fs::read(self.at("into/honest")).ok();
        let _ = fs::remove_file(self.at("into/honest"));
        match manners {
            Manners::Polite => {
                received.map(drop)?;
                lied.map_err(|error| error.to_string())?;
                let arrived = honest.as_deref() == Some(b"fine");
                arrived
                    .then_some(())
                    .ok_or_else(|| "the honest file did not come".to_owned())
            }
            Manners::Rude => Ok(()),
        }
    }

    /// Everything but the two that are swapped.
    fn everything(&self) -> BTreeMap<PathBuf, String> {
        self.below("")
    }

    fn below(&self, name: &str) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        walk(
            &self.at(name),
            &SWAPPED.map(|name| self.at(name)),
            &mut found,
        );
        found
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let swaps = self.swapping.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            assert!(swaps.unwrap().unwrap() > 0, "nothing was swapped");
        }
    }
}

/// What changes places in the destination.
const SWAPPED: [&str; 2] = ["into/swap", "into/paws"];

/// A folder and a link change places until told to stop; how often they did.
fn swap(one: &Path, other: &Path, stop: &AtomicBool) -> u64 {
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
        swaps += 1;
    }
    swaps
}

fn walk(folder: &Path, but: &[PathBuf], found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if but.contains(&path) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        let is = if metadata.is_dir() {
            walk(&path, but, found);
            "folder".to_owned()
        } else if metadata.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else {
            format!(
                "{:?} {:?}",
                fs::read(&path).unwrap(),
                metadata.modified().unwrap()
            )
        };
        found.insert(path, is);
    }
}

/// What a peer might call a file so that it lands where it wants it.
#[expect(clippy::too_many_lines, reason = "a table, a row a case")]
fn names(outside: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let absolute = format!("{}/evil", outside.display());
    let long = "n".repeat(256);
    let deep = ["d"; 65].join("/");
    let endless = "p/".repeat(2_100) + "p";
    [
        ("CVE-2023-43620 (croc): climbs out", "../outside/evil"),
        (
            "CVE-2023-43619 (croc): overwrites a file outside",
            "../outside/secret",
        ),
        (
            "CVE-2025-27142 (LocalSend): climbs out of a folder",
            "old/../../outside/evil",
        ),
        ("CVE-2026-32116 (magic-wormhole): absolute", &absolute),
        (
            "CVE-2026-42448 (magic-wormhole): a folder's name climbs",
            "../outside",
        ),
        (
            "CVE-2019-6111 (scp): a file that was not requested",
            "../.ssh/authorized_keys",
        ),
        ("CVE-2018-20685 (scp): the folder itself", "."),
        ("CVE-2018-20685 (scp): no name", ""),
        ("CVE-2024-12087 (rsync): through a link", "link/evil"),
        (
            "CVE-2024-12087 (rsync): through a link, deeper",
            "link/deep/evil",
        ),
        (
            "CVE-2024-12088 (rsync): over a link's target",
            "link/secret",
        ),
        ("CVE-2024-12747 (rsync): over a link", "file-link"),
        (
            "CVE-2017-1000420 (Syncthing): makes a link's target",
            "dangling",
        ),
        (
            "CVE-2022-42725 (Warpinator): below a link to /",
            "root/tmp/evil",
        ),
        (
            "CVE-2023-29380 (Warpinator): climbs and comes back",
            "../into/../outside/evil",
        ),
        (
            "CVE-2022-21689 (OnionShare): a temporary of ours",
            ".sockkit-0123456789abcdef.part",
        ),
        (
            "CVE-2026-66050 (NitroShare): a doubled separator",
            "old//../../outside/evil",
        ),
        (
            "CVE-2026-0964 (libssh): two dots, then more",
            "../../../../../../../../tmp/evil",
        ),
        (
            "rsync 3.5.0, CVE-2026-53785: parents outside",
            "../outside/made/evil",
        ),
        (
            "rsync 3.5.0, CVE-2026-53795: absolute temporary",
            "/tmp/.sockkit-evil",
        ),
        ("two dots alone", ".."),
        ("dots in the middle", "old/./file"),
        ("ends in a separator", "old/"),
        ("begins with one", "/evil"),
        ("ends a string", "evil\0.txt"),
        ("too long a name", &long),
        ("too deep", &deep),
        ("too long a path", &endless),
        ("our record, in capitals", ".SOCKKIT-1.blocks"),
        ("a folder where a file is", "old/file/evil"),
        ("a file where a folder is", "old"),
    ]
    .map(|(what, name)| (what, name.as_bytes().to_vec()))
    .into()
}

#[tokio::test]
async fn no_name_leads_outside() {
    let trap = Trap::set();
    let before = trap.everything();
    let names = names(&trap.at("outside"));
    assert!(names.len() >= 30, "{}", names.len());
    for (what, name) in names {
        for entry in [
            Offered::file(name.clone(), b"evil"),
            Offered::link(name.clone(), b"old"),
            Offered::folder(name),
        ] {
            // A folder that is there already may be named.
            if entry.kind == 1 && matches!(&entry.path[..], b"old") {
                continue;
            }
            for manners in [Manners::Polite, Manners::Rude] {
                let sprung = trap.spring(vec![entry.clone()], manners).await;
                assert_eq!(sprung, Ok(()), "{what}, {manners:?}: {entry:?}");
                assert_eq!(trap.everything(), before, "{what}, {manners:?}: {entry:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_offer_is_not_led_outside_by_its_own_entries() {
    let trap = Trap::set();
    let before = trap.everything();
    for (what, entries) in [
        (
            "a folder through a link, then a file in it",
            vec![
                Offered::folder("link/made"),
                Offered::file("link/made/evil", b"evil"),
            ],
        ),
        (
            "a file, then a folder of its name",
            vec![
                Offered::file("link", b"evil"),
                Offered::file("link/evil", b"evil"),
            ],
        ),
    ] {
        for manners in [Manners::Polite, Manners::Rude] {
            let sprung = trap.spring(entries.clone(), manners).await;
            assert_eq!(sprung, Ok(()), "{what}, {manners:?}");
            assert_eq!(trap.everything(), before, "{what}, {manners:?}");
        }
    }
}

/// Targets of links that lead out, or may.
fn targets(outside: &Path) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let absolute = format!("{}/secret", outside.display());
    let long = "n/".repeat(2_100);
    [
        ("absolute", "new", "/etc/passwd"),
        ("absolute, to a file of ours", "new", &absolute),
        ("the root", "new", "/"),
        ("two roots", "new", "//outside"),
        ("up", "new", ".."),
        ("up and down", "new", "../outside/secret"),
        ("up, after nothing", "new", "./../outside"),
        ("up from a folder", "made/new", "../../outside"),
        ("up from a folder that is there", "old/new", "../../outside"),
        ("up after a name", "new", "old/../../outside"),
        ("up after a link of this offer", "made/new", "down/../../x"),
        ("through a link that is there", "made/new", "../link/../x"),
        ("nothing", "new", ""),
        ("ends a string", "new", "old\0/../../outside"),
        ("too long", "new", &long),
        ("a temporary of ours", "new", "old/.sockkit-1.part"),
        ("over a link that is there", "file-link", "old"),
        ("over a file that is there", "old/file", "old"),
        ("over a folder that is there", "old", "swap"),
        ("below a link that is there", "link/new", "secret"),
        ("below a link to the root", "root/tmp/new", "x"),
    ]
    .map(|(what, name, target)| (what, name, target.as_bytes().to_vec()))
    .into()
}

#[tokio::test]
async fn no_link_leads_outside() {
    let trap = Trap::set();
    let before = trap.everything();
    for (what, name, target) in targets(&trap.at("outside")) {
        for manners in [Manners::Polite, Manners::Rude] {
            let entry = Offered::link(name, target.clone());
            let sprung = trap.spring(vec![entry], manners).await;
            assert_eq!(sprung, Ok(()), "{what}, {manners:?}");
            assert_eq!(trap.everything(), before, "{what}, {manners:?}");
        }
    }
}

#[tokio::test]
async fn a_link_on_offer_leads_no_other_entry_anywhere() {
    let trap = Trap::set();
    let before = trap.everything();
    let link = |name: &str, target: &str| Offered::link(name, target);
    let evil = |name: &str| Offered::file(name, b"evil");
    for (what, entries, made) in [
        (
            "a link, then a file in it",
            vec![link("n", "old"), evil("n/evil")],
            true,
        ),
        (
            "a link, then a folder and a file in it",
            vec![link("n", "old"), Offered::folder("n"), evil("n/evil")],
            true,
        ),
        (
            "a folder, then a link of its name, then a file in it",
            vec![Offered::folder("n"), link("n", "old"), evil("n/evil")],
            false,
        ),
        (
            "a file in a folder, then a link of that folder's name",
            vec![evil("n/evil"), link("n", "old")],
            false,
        ),
        (
            "a file, then a link of its name",
            vec![evil("n"), link("n", "old/file")],
            false,
        ),
        (
            "a link, then a file of its name",
            vec![link("n", "old/file"), evil("n")],
            true,
        ),
        (
            "links in a circle, then a file in them",
            vec![link("n", "m"), link("m", "n"), evil("n/evil"), evil("m/x")],
            true,
        ),
        (
            "a link to a link, then a file below",
            vec![link("n", "m"), link("m", "old"), evil("n/evil")],
            true,
        ),
        (
            "a link by another case, then a file in it",
            vec![link("n", "old"), evil("N/evil")],
            true,
        ),
    ] {
        for manners in [Manners::Polite, Manners::Rude] {
            let sprung = trap.spring(entries.clone(), manners).await;
            assert_eq!(sprung, Ok(()), "{what}, {manners:?}");
            let place = trap.at("into/n");
            if manners == Manners::Polite {
                assert_eq!(place.is_symlink(), made, "{what}");
            }
            // The next offer does not go through it either.
            let next = trap.spring(vec![evil("n/next")], manners).await;
            assert_eq!(next, Ok(()), "{what}, {manners:?}");
            for name in ["n", "m", "N"].map(|name| trap.at("into").join(name)) {
                if !name.is_symlink() && name.is_dir() {
                    fs::remove_dir_all(name).unwrap();
                } else {
                    let _ = fs::remove_file(name);
                }
            }
            assert_eq!(trap.everything(), before, "{what}, {manners:?}");
        }
    }
}

/// A folder in the way of a file becomes a link and a folder again, thousands of
/// times a second: the file lands in the folder or nowhere.
#[tokio::test]
async fn a_folder_that_is_swapped_for_a_link_leads_nowhere() {
    let trap = Trap::set();
    let before = trap.below("outside");
    let mut landed = 0;
    for round in 0..200 {
        let names = ["swap", "paws"].map(|folder| format!("{folder}/{round}"));
        let entries = names.map(|name| Offered::file(name, b"evil")).to_vec();
        // It may fail where the link was; it must not go through it.
        let _ = trap.spring(entries, Manners::Polite).await;
        assert_eq!(trap.below("outside"), before, "round {round}");
        let name = round.to_string();
        landed += ["swap", "paws"]
            .iter()
            .filter(|folder| trap.at("into").join(folder).join(&name).exists())
            .count();
    }
    // Otherwise the folder was never there, and nothing was tried.
    assert!(landed > 0, "no file came at all");
}
