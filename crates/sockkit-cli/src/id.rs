//! `sockkit id`: this machine's identity.

use sockkit::link::identity::{Identity, StateFolder};

use crate::{say::say, transfer};

/// Print this machine's name and the fingerprint of its key
///
/// The key is created on first use, in the folder `sockkit` of XDG_STATE_HOME
/// (~/.local/state). Others accept this machine with `--allow FINGERPRINT`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let identity = Identity::open(&StateFolder::of_user()?)?;
    say!("{}", transfer::own_name());
    say!("{}", identity.fingerprint());
    Ok(())
}
