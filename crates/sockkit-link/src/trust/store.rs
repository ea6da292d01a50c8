//! The list of known peers, one file.
//!
//! ```text
//! sockkit peers 1
//! 3f2a09cc…  give,watch  desk
//! 90b1c27e…  none        user@laptop
//! ```

use std::collections::BTreeSet;

use sockkit_codec::text::escape;

use super::{Right, Rights};
use crate::{
    Fingerprint,
    identity::{Damage, StateError, StateFolder},
};

/// The peers known to this machine, and their rights.
///
/// Every call reads the file, so a peer that is removed is also removed for
/// running programs. A file that is damaged, belongs to another user, or is
/// accessible to others is refused, and never replaced.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::link::{
///     identity::{Identity, StateFolder},
///     trust::{PeerStore, Right},
/// };
///
/// # let home = tempfile::tempdir()?;
/// # let path = home.path().join("state");
/// let store = PeerStore::new(&StateFolder::at(path));
/// let desk = Identity::throw_away()?.fingerprint();
/// store.remember(desk, "desk", Some(Right::Give))?;
/// assert!(store.get(desk)?.is_some_and(|peer| peer.rights.has(Right::Give)));
/// assert_eq!(store.named("desk")?.fingerprint, desk);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PeerStore {
    folder: StateFolder,
}

/// A machine paired with this one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KnownPeer {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// Its own name, or the one it was given here.
    pub name: String,
    /// Its rights here.
    pub rights: Rights,
}

/// Error from looking up or changing a peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The list cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no such peer.
    #[error("no peer is called {0:?} here; `sockkit peers` lists them")]
    Unknown(String),
    /// The name is ambiguous.
    #[error(
        "{count} peers are called {name:?} here; distinguish them with `sockkit peers rename \
         FINGERPRINT NAME`"
    )]
    Several {
        /// The name.
        name: String,
        /// How many peers have it.
        count: usize,
    },
    /// Another peer has that name already.
    #[error("another peer is called {0:?} already; choose another name")]
    NameTaken(String),
    /// A name that cannot be displayed and typed.
    #[error("{0:?} is not a name: use up to 32 visible characters, without surrounding spaces")]
    BadName(String),
    /// The list is full.
    #[error("{MAX_PEERS} peers are known already; `sockkit peers forget` makes room")]
    Full,
}

impl PeerStore {
    /// The list in `folder`, which is created with the first peer.
    pub fn new(folder: &StateFolder) -> Self {
        Self {
            folder: folder.clone(),
        }
    }

    /// All peers, in the order in which they were added.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn peers(&self) -> Result<Vec<KnownPeer>, StateError> {
        let Some(bytes) = self.folder.read(FILE, MAX_BYTES)? else {
            return Ok(Vec::new());
        };
        read(&bytes).map_err(|(line, damage)| self.folder.damaged(FILE, line, damage))
    }

    /// Looks up a peer by its key.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn get(&self, key: Fingerprint) -> Result<Option<KnownPeer>, StateError> {
        let mut peers = self.peers()?.into_iter();
        Ok(peers.find(|peer| peer.fingerprint == key))
    }

    /// Looks up a peer by its name, by the machine in it (`desk` of `anna@desk.lan`), or
    /// by at least eight leading digits of its fingerprint.
    ///
    /// # Errors
    /// [`PeerError::Unknown`], and [`PeerError::Several`] if it is ambiguous: a
    /// peer may give itself any name.
    pub fn named(&self, name: &str) -> Result<KnownPeer, PeerError> {
        let peers = self.peers()?;
        let digits = name.replace('-', "").to_ascii_lowercase();
        let is_key = digits.len() >= MIN_DIGITS;
        let meant = |peer: &&KnownPeer| {
            let key = peer.fingerprint.to_hex();
            peer.name == name || is_machine(peer, name) || is_key && key.starts_with(&digits)
        };
        let found: Vec<_> = peers.iter().filter(meant).collect();
        match found[..] {
            [] => Err(PeerError::Unknown(name.to_owned())),
            [peer] => Ok(peer.clone()),
            _ => Err(PeerError::Several {
                name: name.to_owned(),
                count: found.len(),
            }),
        }
    }

    /// Adds a peer, or a right of a known one; a name that it was given here is
    /// kept. Returns the keys of other peers of the same name.
    ///
    /// # Errors
    /// [`PeerError::State`], or [`PeerError::Full`].
    pub fn remember(
        &self,
        key: Fingerprint,
        name: &str,
        right: Option<Right>,
    ) -> Result<Vec<Fingerprint>, PeerError> {
        self.change(|peers| {
            let place = peers.iter().position(|peer| peer.fingerprint == key);
            let place = match place {
                Some(place) => place,
                None if peers.len() == MAX_PEERS => return Err(PeerError::Full),
                None => {
                    peers.push(KnownPeer {
                        fingerprint: key,
                        name: cleaned(name, key),
                        rights: Rights::NONE,
                    });
                    peers.len() - 1
                }
            };
            if let Some(right) = right {
                peers[place].rights = peers[place].rights.with(right);
            }
            let name = &peers[place].name;
            let same = peers.iter().filter(|peer| peer.name == *name);
            let others = same.map(|peer| peer.fingerprint).filter(|&one| one != key);
            Ok(others.collect())
        })
    }

    /// Checks that a peer can be added.
    pub(crate) fn check_room(&self, key: Fingerprint) -> Result<(), PeerError> {
        let _lock = self.folder.lock()?;
        let peers = self.peers()?;
        let is_known = peers.iter().any(|peer| peer.fingerprint == key);
        match is_known || peers.len() < MAX_PEERS {
            true => Ok(()),
            false => Err(PeerError::Full),
        }
    }

    /// Renames a peer.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn rename(&self, key: Fingerprint, name: &str) -> Result<(), PeerError> {
        if name.is_empty() || cleaned(name, key) != name {
            return Err(PeerError::BadName(name.to_owned()));
        }
        self.change(|peers| {
            let has_it = |peer: &KnownPeer| peer.name == name && peer.fingerprint != key;
            if peers.iter().any(has_it) {
                return Err(PeerError::NameTaken(name.to_owned()));
            }
            name.clone_into(&mut one(peers, key)?.name);
            Ok(())
        })
    }

    /// Replaces the rights of a peer.
    ///
    /// # Errors
    /// [`PeerError::State`], or [`PeerError::Unknown`].
    pub fn set_rights(&self, key: Fingerprint, rights: Rights) -> Result<(), PeerError> {
        self.change(|peers| {
            one(peers, key)?.rights = rights;
            Ok(())
        })
    }

    /// Removes a peer: it is unknown from now on.
    ///
    /// # Errors
    /// [`PeerError::State`], or [`PeerError::Unknown`].
    pub fn forget(&self, key: Fingerprint) -> Result<(), PeerError> {
        self.change(|peers| {
            one(peers, key)?;
            peers.retain(|peer| peer.fingerprint != key);
            Ok(())
        })
    }

    /// Reads, changes and writes the list, excluding other programs.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<KnownPeer>) -> Result<T, PeerError>,
    ) -> Result<T, PeerError> {
        let _lock = self.folder.lock()?;
        let mut peers = self.peers()?;
        let changed = change(&mut peers)?;
        self.folder.replace(FILE, write(&peers).as_bytes())?;
        Ok(changed)
    }
}

fn one(peers: &mut [KnownPeer], key: Fingerprint) -> Result<&mut KnownPeer, PeerError> {
    let mut peers = peers.iter_mut();
    let found = peers.find(|peer| peer.fingerprint == key);
    found.ok_or_else(|| PeerError::Unknown(key.to_string()))
}

/// Whether `name` is the machine in the peer's name, with or without its domain.
fn is_machine(peer: &KnownPeer, name: &str) -> bool {
    let machine = peer.name.rsplit_once('@').map(|(_user, machine)| machine);
    let host = machine.and_then(|machine| machine.split('.').next());
    [machine, host]
        .into_iter()
        .flatten()
        .any(|one| one.eq_ignore_ascii_case(name))
}

/// Makes a name displayable and typeable: a peer may send any name.
pub(crate) fn cleaned(name: &str, key: Fingerprint) -> String {
    let name: String = name.trim().chars().take(MAX_NAME_CHARS).collect();
    let shown = |c: char| match escape(c.encode_utf8(&mut [0; 4])).chars().eq([c]) {
        true => c,
        false => '_',
    };
    let name = match escape(&name) == name {
        true => name,
        false => name.chars().map(shown).collect(),
    };
    match name.trim() {
        "" => key.to_hex()[..MIN_DIGITS].to_owned(),
        name => name.to_owned(),
    }
}

fn write(peers: &[KnownPeer]) -> String {
    let mut text = format!("{HEADING}\n");
    for peer in peers {
        let (key, rights, name) = (peer.fingerprint.to_hex(), peer.rights, &peer.name);
        text += &format!("{key} {rights} {name}\n");
    }
    text
}

/// Returns the line that is wrong, and how, on an error.
fn read(bytes: &[u8]) -> Result<Vec<KnownPeer>, (usize, Damage)> {
    let text = std::str::from_utf8(bytes).map_err(|_| (1, Damage::OtherVersion))?;
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, line)| line != HEADING) {
        return Err((1, Damage::OtherVersion));
    }
    let (mut peers, mut keys) = (Vec::new(), BTreeSet::new());
    for (number, line) in lines {
        let peer = read_line(line).ok_or((number, Damage::NoPeer))?;
        if !keys.insert(peer.fingerprint) {
            return Err((number, Damage::Twice));
        }
        if peers.len() == MAX_PEERS {
            return Err((number, Damage::TooLong));
        }
        peers.push(peer);
    }
    Ok(peers)
}

fn read_line(line: &str) -> Option<KnownPeer> {
    let mut fields = line.splitn(3, ' ');
    let fingerprint: Fingerprint = fields.next()?.parse().ok()?;
    let rights = fields.next()?.parse().ok()?;
    let name = fields.next()?;
    (cleaned(name, fingerprint) == name).then(|| KnownPeer {
        fingerprint,
        name: name.to_owned(),
        rights,
    })
}

const FILE: &str = "peers";
const HEADING: &str = "sockkit peers 1";
const MAX_NAME_CHARS: usize = 32;

/// Of a fingerprint typed by a user.
const MIN_DIGITS: usize = 8;

/// More than a user pairs with.
const MAX_PEERS: usize = 1_000;

/// That many lines of maximum length.
const MAX_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn store() -> (TempDir, PeerStore) {
        let home = tempdir().unwrap();
        let folder = StateFolder::at(home.path().join("state"));
        (home, PeerStore::new(&folder))
    }

    fn key(number: u8) -> Fingerprint {
        Fingerprint::of_key(&[number])
    }

    #[test]
    fn peers_are_read_back_with_names_and_rights() {
        let (_home, store) = store();
        assert_eq!(store.peers().unwrap(), []);
        store.remember(key(1), "책상 1", Some(Right::Give)).unwrap();
        store.remember(key(2), "laptop", None).unwrap();
        store.remember(key(1), "other", Some(Right::Watch)).unwrap();
        let peers = store.peers().unwrap();
        let told: Vec<_> = peers
            .iter()
            .map(|peer| (peer.name.as_str(), peer.rights.to_string()))
            .collect();
        let expected = [("책상 1", "give,watch"), ("laptop", "none")];
        assert_eq!(
            told,
            expected.map(|(name, rights)| (name, rights.to_owned()))
        );
    }

    #[test]
    fn a_name_that_deceives_is_made_harmless() {
        for (said, kept) in [
            ("a\u{1b}[2Jb", "a_[2Jb"),
            ("  desk \n", "desk"),
            ("Ame\u{301}lie", "Ame\u{301}lie"),
            ("e\u{202e}cod", "e_cod"),
            (r"a\b", "a_b"),
        ] {
            assert_eq!(cleaned(said, key(1)), kept, "{said:?}");
        }
        assert_eq!(cleaned("", key(1)), key(1).to_hex()[..8]);
        assert_eq!(cleaned("   ", key(1)), key(1).to_hex()[..8]);
        let marked = format!("e{}", "\u{301}".repeat(20));
        assert_eq!(cleaned(&marked, key(1)), format!("e{}", "_".repeat(20)));
        assert_eq!(cleaned(&"x".repeat(1_000), key(1)).len(), 32);
    }

    #[test]
    fn two_of_one_name_are_told_of_and_neither_is_taken() {
        let (_home, store) = store();
        assert_eq!(store.remember(key(1), "desk", None).unwrap(), []);
        assert_eq!(store.remember(key(2), "desk", None).unwrap(), [key(1)]);
        let error = store.named("desk").unwrap_err();
        assert!(
            matches!(error, PeerError::Several { count: 2, .. }),
            "{error}"
        );
        let taken = store.rename(key(2), "desk").unwrap_err();
        assert!(matches!(taken, PeerError::NameTaken(_)), "{taken}");
        store.rename(key(2), "den").unwrap();
        assert_eq!(store.named("desk").unwrap().fingerprint, key(1));
        assert_eq!(store.named("den").unwrap().fingerprint, key(2));
    }

    #[test]
    fn a_peer_is_named_by_how_its_key_begins_too() {
        let (_home, store) = store();
        store.remember(key(1), "desk", None).unwrap();
        let shown = key(1).to_string();
        for text in [&shown[..], &shown[..9], &key(1).to_hex()] {
            assert_eq!(store.named(text).unwrap().fingerprint, key(1), "{text}");
        }
        for text in [&shown[..8], "", "unknown"] {
            assert!(
                matches!(store.named(text), Err(PeerError::Unknown(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn rights_are_replaced_and_a_peer_is_forgotten() {
        let (_home, store) = store();
        store.remember(key(1), "desk", Some(Right::Give)).unwrap();
        store.set_rights(key(1), "watch".parse().unwrap()).unwrap();
        assert_eq!(
            store.get(key(1)).unwrap().unwrap().rights.to_string(),
            "watch"
        );
        store.forget(key(1)).unwrap();
        assert_eq!(store.get(key(1)).unwrap(), None);
        assert!(matches!(store.forget(key(1)), Err(PeerError::Unknown(_))));
        assert!(matches!(
            store.rename(key(1), "x"),
            Err(PeerError::Unknown(_))
        ));
    }

    #[test]
    fn a_name_that_would_not_be_read_back_is_refused() {
        let (_home, store) = store();
        store.remember(key(1), "desk", None).unwrap();
        for bad in ["", " ", "a\nb", " a", "a ", "\u{200b}", &"x".repeat(33)] {
            let error = store.rename(key(1), bad).unwrap_err();
            assert!(matches!(error, PeerError::BadName(_)), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_damaged_list_is_refused_with_its_line_and_stays() {
        let (_home, store) = store();
        store.remember(key(1), "desk", None).unwrap();
        let path = store.folder.path().join(FILE);
        let good = fs::read_to_string(&path).unwrap();
        let line = good.lines().nth(1).unwrap();
        for (bad, at) in [
            ("sockkit peers 2\n".to_owned(), 1),
            (String::new(), 1),
            (format!("{good}{line}\n"), 3),
            (format!("{good}\n"), 3),
            (format!("{good}{}\n", &line[1..]), 3),
            (format!("{good}{} all x\n", key(2).to_hex()), 3),
            (format!("{good}{} none a\u{7}b\n", key(2).to_hex()), 3),
        ] {
            fs::write(&path, &bad).unwrap();
            for error in [
                store.peers().unwrap_err().to_string(),
                store.remember(key(3), "x", None).unwrap_err().to_string(),
            ] {
                assert!(error.contains(&format!("line {at}:")), "{bad}: {error}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::write(&path, b"\xff").unwrap();
        assert!(store.peers().is_err());
    }

    #[test]
    fn programs_that_add_at_the_same_time_lose_none() {
        let (_home, store) = store();
        thread::scope(|scope| {
            for number in 0..16 {
                let store = &store;
                scope.spawn(move || store.remember(key(number), "one", None).unwrap());
            }
        });
        assert_eq!(store.peers().unwrap().len(), 16);
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let (_home, store) = store();
        store.remember(key(0), "x", None).unwrap();
        let path = store.folder.path().join(FILE);
        let line = |number: u32| {
            let key = Fingerprint::of_key(&number.to_be_bytes());
            format!(
                "{} give,take,watch,show {}\n",
                key.to_hex(),
                "책".repeat(32)
            )
        };
        let lines: String = (0..1_000).map(line).collect();
        fs::write(&path, format!("{HEADING}\n{lines}")).unwrap();
        assert_eq!(store.peers().unwrap().len(), MAX_PEERS);
        let error = store.remember(key(0), "x", None).unwrap_err();
        assert!(matches!(error, PeerError::Full), "{error}");
        fs::write(&path, format!("{HEADING}\n{lines}{}", line(1_000))).unwrap();
        assert!(store.peers().is_err());
    }
}
