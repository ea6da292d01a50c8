//! How the two sides of a transfer meet: the options that `send` and `receive` share.

use sockkit::link::Address;

use crate::{address, secure};

/// One side listens, and the other dials.
#[derive(Debug, clap::Args)]
pub(crate) struct Meeting {
    /// Listen here for the other side
    #[arg(
        long,
        value_name = "[quic://][ADDR][:PORT]",
        value_parser = address::files,
    )]
    pub(crate) listen: Option<Address>,
    /// Accept the other side without asking; required without a terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) secure: secure::Security,
}
