//! This machine's key, and the folder that stores it.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_link as link; }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sockkit::link::identity::{Identity, StateFolder};
//!
//! # let home = tempfile::tempdir()?;
//! # let path = home.path().join("state");
//! // // `StateFolder::of_user()` is the folder that programs use.
//! let folder = StateFolder::at(path);
//! let identity = Identity::open(&folder)?;
//! assert_eq!(Identity::open(&folder)?.fingerprint(), identity.fingerprint());
//!
//! // // For a demonstration, or a test: it is not stored.
//! assert_ne!(Identity::throw_away()?.fingerprint(), identity.fingerprint());
//! # Ok(())
//! # }
//! ```

use std::{fmt, io, sync::Arc};

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

mod error;
mod state;
mod tls;
mod web;

pub use self::{
    error::{Damage, StateError},
    state::StateFolder,
    web::WebCertificate,
};
use crate::{Fingerprint, quic::NAME};

/// An Ed25519 key, and a self-signed certificate for it.
///
/// The key alone identifies this machine: the certificate is created from it at
/// each start.
#[derive(Clone)]
pub struct Identity {
    made: Arc<Made>,
    name: Arc<str>,
}

struct Made {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Loads the identity from `folder`. If there is none, creates one, in a
    /// file that only its owner can read.
    ///
    /// # Errors
    /// [`StateError`] if the folder or the file belongs to another user, is a
    /// symbolic link, is readable by others, or contains no key. The file is
    /// never replaced.
    pub fn open(folder: &StateFolder) -> Result<Self, StateError> {
        let pair = stored_key(folder, FILE, &PKCS_ED25519, Damage::NoKey)?;
        Self::of(&pair).map_err(|error| folder.failed(FILE, "use", error))
    }

    /// Creates an identity that is not stored.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn throw_away() -> io::Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(io::Error::other)?;
        Self::of(&pair).map_err(io::Error::other)
    }

    fn of(pair: &KeyPair) -> Result<Self, rcgen::Error> {
        let made = CertificateParams::new([NAME.to_owned()])?.self_signed(pair)?;
        let made = Made {
            certificate: made.der().clone(),
            key: pair.serialize_der().into(),
            fingerprint: Fingerprint::of_key(&pair.subject_public_key_info()),
        };
        Ok(Self {
            made: Arc::new(made),
            name: Arc::default(),
        })
    }

    /// Sets the display name that paired peers see, for example a user and a
    /// host. It is not authenticated. Default: empty.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The fingerprint by which peers identify this machine.
    pub fn fingerprint(&self) -> Fingerprint {
        self.made.fingerprint
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.made.certificate.clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        self.made.key.clone_key().into()
    }
}

/// Loads the key in `file`. If there is none, creates one.
fn stored_key(
    folder: &StateFolder,
    file: &'static str,
    algorithm: &'static SignatureAlgorithm,
    damage: Damage,
) -> Result<KeyPair, StateError> {
    let kept = || {
        let Some(pem) = folder.read(file, MAX_BYTES)? else {
            return Ok(None);
        };
        let damaged = || folder.damaged(file, 1, damage);
        let pem = String::from_utf8(pem).map_err(|_| damaged())?;
        let pair = KeyPair::from_pem_and_sign_algo(&pem, algorithm);
        pair.map(Some).map_err(|_| damaged())
    };
    if let Some(kept) = kept()? {
        return Ok(kept);
    }
    let _lock = folder.lock()?;
    // Another program may have created it in the meantime.
    if let Some(kept) = kept()? {
        return Ok(kept);
    }
    let pair = KeyPair::generate_for(algorithm);
    let pair = pair.map_err(|error| folder.failed(file, "make a key for", error))?;
    folder.replace(file, pair.serialize_pem().as_bytes())?;
    Ok(pair)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.made.fingerprint)
    }
}

const FILE: &str = "identity.pem";

/// A key needs about two hundred.
const MAX_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn folder(at: &Path) -> StateFolder {
        StateFolder::at(at.join("state"))
    }

    #[test]
    fn it_is_made_once_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path());
        let first = Identity::open(&folder).unwrap();
        assert_eq!(
            Identity::open(&folder).unwrap().fingerprint(),
            first.fingerprint()
        );
        let seen = Fingerprint::of(&first.made.certificate).unwrap();
        assert_eq!(seen, first.fingerprint());
        let shown = format!("{first:?}");
        assert!(shown.contains(&first.fingerprint().to_string()), "{shown}");
    }

    #[test]
    fn programs_that_start_together_make_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path());
        let made: Vec<_> = std::thread::scope(|scope| {
            let open = || Identity::open(&folder).unwrap().fingerprint();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
    }

    #[test]
    fn a_damaged_key_is_refused_and_stays() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path());
        Identity::open(&folder).unwrap();
        let path = home.path().join("state").join(FILE);
        for bad in [&b"no key"[..], b"", b"\xff\xfe", &[b'A'; 5_000]] {
            fs::write(&path, bad).unwrap();
            let error = Identity::open(&folder).unwrap_err().to_string();
            assert!(error.contains(FILE), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bad);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;

        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path());
        Identity::open(&folder).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let state = home.path().join("state");
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join(FILE)), 0o600);
        fs::set_permissions(state.join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let error = Identity::open(&folder).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
