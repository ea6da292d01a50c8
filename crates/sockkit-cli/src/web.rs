//! The page that shows pictures to browsers.

use std::net::SocketAddr;

use anyhow::Context as _;
use sockkit::{
    interfaces,
    link::{Address, Host, Scheme},
    sink::web::{Embedding, WebServer, WebServerConfig, WebServerError, WebStream},
};

use crate::{
    address, https,
    incoming::own_address,
    json::Object,
    say::{self, note},
};

/// Options of `cam` and `view`.
#[derive(Debug, clap::Args)]
pub(crate) struct Web {
    /// Serve the pictures to browsers, at :8088 or at this address
    #[arg(
        long = "web",
        value_name = "[ADDR][:PORT]",
        value_parser = address::web,
        num_args = 0..=1,
        default_missing_value = "",
    )]
    at: Option<Address>,
    /// Another name of this machine that browsers may use, such as camera.lan; may
    /// be repeated
    #[arg(long = "web-name", value_name = "NAME", requires = "at")]
    names: Vec<String>,
    /// Allow pages of this origin (http://HOST[:PORT]), or any page, to embed the
    /// pictures; may be repeated
    #[arg(long = "allow-embedding", value_name = "ORIGIN|any", requires = "at")]
    embeddings: Vec<Embedding>,
    /// Encrypt the page. Browsers warn of its certificate, because no authority has
    /// signed it; compare the fingerprint
    #[arg(long, requires = "at")]
    https: bool,
}

impl Web {
    /// Whether there is a page.
    pub(crate) fn is_wanted(&self) -> bool {
        self.at.is_some()
    }

    /// Serves `streams`, if it is wanted, and prints where.
    pub(crate) async fn serve(
        &self,
        streams: impl IntoIterator<Item = WebStream>,
    ) -> anyhow::Result<Option<WebServer>> {
        let Some(at) = &self.at else {
            return Ok(None);
        };
        let at = at.to_bind().await?;
        let at = *at.first().context("no address to serve the browser at")?;
        let (config, streams) = (self.config(), streams.into_iter());
        let certificate = match self.https {
            true => Some(https::certificate(at, self.names())?),
            false => None,
        };
        let server = match &certificate {
            Some(certificate) => {
                let tls = certificate.server_config()?;
                WebServer::bind_tls(at, config, streams, tls).await
            }
            None => WebServer::bind(at, config, streams).await,
        };
        let server = server.map_err(cannot_serve)?;
        let address = server.local_addr();
        let url = self.url(address);
        let event = Object::new("watch").text("url", &url);
        say::result(&event, format_args!("watch     {url}"));
        if !address.ip().is_loopback() {
            let clear = if self.https {
                ""
            } else {
                "the page is not encrypted, and "
            };
            note!(
                "note: {clear}every host on this network can watch; \
                 --web 127.0.0.1:{} serves this machine alone",
                address.port()
            );
        }
        if let Some(certificate) = &certificate {
            https::explain(certificate);
        }
        Ok(Some(server))
    }

    /// The page's URL, as another machine types it.
    pub(crate) fn url(&self, bound: SocketAddr) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}/", reached_at(bound))
    }

    /// By which browsers may ask.
    fn names(&self) -> impl Iterator<Item = String> {
        own_names().into_iter().chain(self.names.iter().cloned())
    }

    fn config(&self) -> WebServerConfig {
        let config = self
            .names()
            .fold(WebServerConfig::default(), WebServerConfig::name);
        let embeddings = self.embeddings.iter().cloned();
        embeddings.fold(config, WebServerConfig::allow_embedding)
    }
}

/// What happened, and what to change.
fn cannot_serve(error: WebServerError) -> anyhow::Error {
    let is_named = matches!(
        error,
        WebServerError::BadName { .. } | WebServerError::SameName { .. }
    );
    anyhow::Error::new(error).context(match is_named {
        true => "cannot serve the browser; give sources other names, as in porch=tcp://HOST",
        false => "cannot serve the browser; choose another address with --web",
    })
}

/// The machine's own names: the host name as configured, without its domain, and in
/// mDNS.
fn own_names() -> Vec<String> {
    let full = interfaces::host().unwrap_or_default().name;
    let short = full.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() {
        return Vec::new();
    }
    let mdns = format!("{short}.local");
    vec![full, short, mdns]
}

/// What another machine types: a wildcard is replaced by an address of this machine.
fn reached_at(bound: SocketAddr) -> String {
    if !bound.ip().is_unspecified() {
        return bound.to_string();
    }
    let host = own_address().unwrap_or_else(|| Host::V4([127, 0, 0, 1].into()));
    let address = Address::new(Scheme::Tcp, host, bound.port());
    address::shown(&address)
}
