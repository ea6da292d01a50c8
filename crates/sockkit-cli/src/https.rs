//! Pages that are encrypted with a certificate of this machine.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use sockkit::{
    interfaces::{self, Interface},
    link::identity::{StateFolder, WebCertificate},
};

use crate::{incoming::own_address, say::note};

/// A certificate for what is served at `at`, and by `names`.
pub(crate) fn certificate(
    at: SocketAddr,
    names: impl IntoIterator<Item = String>,
) -> anyhow::Result<WebCertificate> {
    let hosts = reached(at).map(|at| at.ip().to_string());
    // Browsers ask for others in ASCII, too.
    let names = names.into_iter().filter(|name| name.is_ascii());
    let folder = StateFolder::of_user()?;
    Ok(WebCertificate::open(&folder, hosts.chain(names))?)
}

/// Says what the browser shows, and what to compare.
pub(crate) fn explain(certificate: &WebCertificate) {
    note!(
        "note: the page is encrypted. The browser warns, because no authority has signed its \
         certificate; there is no attacker in between if its SHA-256 fingerprint is\n  {}",
        certificate.fingerprint()
    );
}

/// The addresses of this machine that others may reach, the most likely one first.
pub(crate) fn reached(at: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    if at.ip().is_unspecified() {
        let likely = own_address().and_then(|host| host.to_string().parse::<IpAddr>().ok());
        let others = interfaces::list().unwrap_or_default();
        let others = others
            .iter()
            .filter(|one| one.flags.running && !one.flags.loopback);
        found.extend(likely);
        found.extend(others.flat_map(Interface::ipv4).map(IpAddr::V4));
        let mut seen = HashSet::new();
        found.retain(|ip| seen.insert(*ip));
        found.truncate(MAX_SHOWN);
        if found.is_empty() {
            found.push(Ipv4Addr::LOCALHOST.into());
        }
    } else {
        found.push(at.ip());
    }
    found
        .into_iter()
        .map(move |ip| SocketAddr::new(ip, at.port()))
}

/// More would be a machine of many containers.
const MAX_SHOWN: usize = 4;
