//! Files with a browser at the other side: a page at a secret address.

mod qr;
mod receive;
mod send;

use std::io::{self, IsTerminal};

use anyhow::{Context, bail};
use sockkit::{
    file::web::{SecretPath, WebHandler, WebServer},
    link::Address,
};

pub(crate) use self::{
    receive::{Wishes, receive},
    send::send,
};
use crate::{
    address,
    https::{self, reached},
    say::{note, say, tell},
};

/// Refuses the address of a page that is given as another argument.
pub(crate) fn check_address(argument: &str) -> anyhow::Result<()> {
    let is_address = address::web_files(argument).is_ok_and(|at| at.is_unspecified());
    if is_address {
        bail!("the address of the page follows an equals sign: write --web={argument}");
    }
    Ok(())
}

/// Options for the other side's browser.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Browser")]
pub(crate) struct Page {
    /// The other side needs nothing but a browser: serve a page at a secret address,
    /// which is shown with a QR code
    #[arg(
        long,
        value_name = "[ADDR][:PORT]",
        conflicts_with_all = ["listen", "no_announce"],
        value_parser = address::web_files,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
    )]
    web: Option<Address>,
    /// Encrypt the page. Browsers warn of its certificate, because no authority has
    /// signed it; compare the fingerprint
    #[arg(long, requires = "web")]
    https: bool,
}

impl Page {
    /// Whether the other side is a browser.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.web.is_some()
    }

    /// Refuses what is meant for a `sockkit` at the other side.
    pub(crate) fn check(&self, authenticates: bool) -> anyhow::Result<()> {
        if self.is_asked_for() && authenticates {
            bail!(
                "a browser has no code and no key: with --web, the secret address is what \
                 the other side needs; --https encrypts"
            );
        }
        Ok(())
    }

    /// Serves `handler`, and prints where.
    async fn serve(&self, handler: WebHandler, path: &SecretPath) -> anyhow::Result<WebServer> {
        let at = self.web.as_ref().context("--web is not given")?;
        let addresses = at.to_bind().await?;
        let at = *addresses
            .first()
            .context("no address to serve the page at")?;
        let certificate = match self.https {
            true => Some(https::certificate(at, [])?),
            false => None,
        };
        let server = match &certificate {
            Some(certificate) => WebServer::bind_tls(at, certificate.secure(handler)?),
            None => WebServer::bind(at, handler),
        };
        let server = server.context("cannot serve the page; choose another address with --web")?;
        let scheme = if self.https { "https" } else { "http" };
        let urls = reached(server.local_addr()).map(|at| format!("{scheme}://{at}{path}"));
        show(&urls.collect::<Vec<_>>());
        match certificate {
            Some(certificate) => https::explain(&certificate),
            None => note!(
                "note: the page is not encrypted, and every host on this network can read what is \
                 transferred; --https encrypts"
            ),
        }
        Ok(server)
    }
}

/// Prints the URLs, and the first as a QR code where a camera can read it.
fn show(urls: &[String]) {
    for (number, url) in urls.iter().enumerate() {
        let label = if number == 0 { "open" } else { "or" };
        say!("{label:9} {url}");
    }
    if let Some(first) = urls.first()
        && io::stderr().is_terminal()
        && let Some(code) = qr::lines(first)
    {
        code.for_each(|line| tell!("{line}"));
    }
}
