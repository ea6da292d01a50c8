//! `sockkit peers`: the known machines.

use sockkit::link::{
    identity::StateFolder,
    trust::{PeerStore, Rights},
};

use crate::say::say;

/// List, rename and forget the machines that this one is paired with
///
/// A peer is given by its name, or by the first eight or more digits of its key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Change its name
    Rename {
        /// Its name, or the beginning of its key
        peer: String,
        /// The new name
        name: String,
    },
    /// Replace its rights, which it has here without a code
    Rights {
        /// Its name, or the beginning of its key
        peer: String,
        /// give (files to this machine), take (files of this machine), watch (its
        /// camera), show (pictures in its `view --listen`), with commas between; or none
        rights: Rights,
    },
    /// Remove it from the list
    Forget {
        /// Its name, or the beginning of its key
        peer: String,
    },
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let store = PeerStore::new(&StateFolder::of_user()?);
    match args.what {
        None => {
            for peer in store.peers()? {
                say!(
                    "{}  {:<15}  {}",
                    peer.fingerprint,
                    peer.rights.to_string(),
                    peer.name
                );
            }
        }
        Some(What::Rename { peer, name }) => {
            store.rename(store.named(&peer)?.fingerprint, &name)?;
        }
        Some(What::Rights { peer, rights }) => {
            store.set_rights(store.named(&peer)?.fingerprint, rights)?;
        }
        Some(What::Forget { peer }) => store.forget(store.named(&peer)?.fingerprint)?,
    }
    Ok(())
}
