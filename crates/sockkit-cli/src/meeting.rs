//! How the two sides of a transfer meet: the options that `send` and `receive` share.

use anyhow::Context as _;
use sockkit::link::{Acceptor, Address, ListenError, Node, Scheme};

use crate::{address, secure};

/// One side listens, and the other dials.
#[derive(Debug, clap::Args)]
pub(crate) struct Meeting {
    /// Listen here for the other side [default: every local address, port 5010, or
    /// another one if that is in use; with --plain 127.0.0.1:5010]
    #[arg(
        long,
        value_name = "[quic://][ADDR][:PORT]",
        value_parser = address::files,
    )]
    pub(crate) listen: Option<Address>,
    /// Accept the other side without asking; required without a terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Do not announce this machine on the network: the other side needs its address
    #[arg(long)]
    pub(crate) no_announce: bool,
    #[command(flatten)]
    pub(crate) secure: secure::Security,
}

impl Meeting {
    /// The transport to listen with.
    pub(crate) fn scheme(&self) -> Scheme {
        self.listen.as_ref().map_or(Scheme::Tcp, Address::scheme)
    }

    /// Listens where the user wants. By default others reach an encrypted listener,
    /// and a plain one is for this machine alone.
    pub(crate) async fn bind(&self, node: &Node, is_plain: bool) -> anyhow::Result<Acceptor> {
        let default = match is_plain {
            true => address::FILES_LOCAL,
            false => address::FILES_ANY,
        };
        let at = match &self.listen {
            Some(at) => at.clone(),
            None => address::files(default)?,
        };
        let bound = match node.listen(&at).await {
            // Codes and names lead to any port.
            Err(error) if self.listen.is_none() && !is_plain && is_in_use(&error) => {
                let at = Address::new(at.scheme(), at.host().clone(), 0);
                node.listen(&at).await
            }
            bound => bound,
        };
        bound.with_context(|| format!("cannot listen on {}", address::shown(&at)))
    }
}

fn is_in_use(error: &ListenError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let system: Option<&std::io::Error> = error.downcast_ref();
        if system.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse) {
            return true;
        }
        cause = error.source();
    }
    false
}
