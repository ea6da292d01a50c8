//! `sockkit key`, and the files that `--key` names.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Subcommand;
use sockkit::link::sealing::{self, Key};

use crate::{say::say, typed::shell_word};

/// Make a key that seals pictures over udp://, for `cam --key` and `view --key`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write 32 random bytes to a new file that only you can read
    New {
        /// The file, which must not exist yet
        #[arg(default_value = "sockkit.key")]
        file: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Action::New { file } = &args.action;
    create(file)?;
    let name = shell_word(file);
    say!("made      {name}");
    say!("Copy it to the other machines over a trusted channel (a USB stick, scp): its holders");
    say!("can see the pictures, and send some. Then, for a viewer at 192.168.1.20:");
    say!("there     sockkit view udp://:5006 --key {name}");
    say!("here      sockkit cam --to udp://192.168.1.20:5006 --key {name}");
    Ok(())
}

/// Writes a new key; never overwrites a file.
fn create(path: &Path) -> anyhow::Result<()> {
    let secret = sealing::random_secret().context("the system's random source failed")?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{} exists, and a key is never overwritten: name another file",
            path.display()
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    };
    let written = file.write_all(&secret).and_then(|()| file.sync_all());
    written.or_else(|error| {
        // Part of a key is useless, and would block the next attempt.
        let _ = fs::remove_file(path);
        Err(error).with_context(|| format!("cannot write {}", path.display()))
    })
}

/// Reads a key, unless other users can read it as well.
pub(crate) fn load(path: &Path) -> anyhow::Result<Key> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no key {shown}: `sockkit key new {}` creates one; copy it to the other \
             machine as well",
            shell_word(path)
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot read the key {shown}")),
    };
    if !metadata.is_file() {
        bail!("the key {shown} is not a file");
    }
    #[cfg(unix)]
    check_private(path, &metadata)?;
    let mut secret = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SECRET_BYTES + 1).read_to_end(&mut secret))
        .with_context(|| format!("cannot read the key {shown}"))?;
    match <&[u8; 32]>::try_from(&secret[..]) {
        Ok(secret) => Ok(Key::new(secret)),
        Err(_) => bail!(
            "{shown} is not a key: it has {} bytes, and keys have {SECRET_BYTES}; `sockkit key new` creates one",
            metadata.len()
        ),
    }
}

/// As ssh does: a file that others can read is not secret.
#[cfg(unix)]
fn check_private(path: &Path, metadata: &fs::Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "other users can read the key {} (its mode is {mode:03o}): `chmod 600 {}`, or make a new \
             one if they may have read it",
            path.display(),
            shell_word(path)
        );
    }
    Ok(())
}

/// The option to type on the other side, whose copy is in another folder.
pub(crate) fn option(path: &Path) -> String {
    let name = path.file_name().map_or(path, Path::new);
    format!("--key {}", shell_word(name))
}

const SECRET_BYTES: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_private_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        create(&path).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(first.len(), 32);
        load(&path).unwrap();
        let error = create(&path).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), first);

        let other = folder.path().join("b.key");
        create(&other).unwrap();
        assert_ne!(fs::read(&other).unwrap(), first);
    }

    #[test]
    fn what_is_no_key_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let refused = || load(&path).unwrap_err().to_string();
        assert!(refused().contains("sockkit key new"), "{}", refused());
        for bytes in [0, 31, 33, 1_000] {
            create(&path).unwrap();
            fs::write(&path, vec![7; bytes]).unwrap();
            assert!(
                refused().contains(&format!("{bytes} bytes")),
                "{}",
                refused()
            );
            fs::remove_file(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        assert!(refused().contains("not a file"), "{}", refused());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        create(&path).unwrap();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let loaded = load(&path);
            assert_eq!(loaded.is_err(), refused, "{mode:o}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn the_other_side_is_told_the_name_alone() {
        let quoted = match cfg!(windows) {
            true => [r#"--key "my key""#, r#"--key "it's""#],
            false => ["--key 'my key'", r"--key 'it'\''s'"],
        };
        for (path, expected) in [
            ("/home/me/porch.key", "--key porch.key"),
            ("my key", quoted[0]),
            ("it's", quoted[1]),
        ] {
            assert_eq!(option(Path::new(path)), expected);
        }
    }
}
