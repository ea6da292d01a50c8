//! In a build without zenoh.

use anyhow::bail;
use sockkit::link::{Address, channel::Channel, sealing::Key};

/// None.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) async fn publish(
    to: &Address,
    _key: Option<Key>,
    _options: &Options,
) -> anyhow::Result<Channel> {
    not_built(to)
}

pub(crate) async fn subscribe(
    at: &Address,
    _key: Option<Key>,
    _options: &Options,
) -> anyhow::Result<Vec<Channel>> {
    not_built(at)
}

fn not_built<T>(address: &Address) -> anyhow::Result<T> {
    bail!(
        "{address}: this program was built without zenoh://; build it with `cargo install \
         sockkit-cli --features zenoh`"
    )
}
