//! Announcing a name for as long as it is wanted.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use mdns_sd::{ServiceDaemon, ServiceInfo};
use tokio::time::timeout;

use super::{Announcement, DiscoveryError, Hint, SERVICE};

/// Announces a name on every interface until it is stopped.
#[must_use = "what is dropped is not announced"]
pub struct Announcer {
    daemon: ServiceDaemon,
    announcement: Announcement,
    hint: Option<Hint>,
    full_name: String,
}

impl Announcer {
    /// Begins: others find it at once.
    ///
    /// # Errors
    /// [`DiscoveryError::Loopback`] if `announcement` was made for an address that no
    /// other machine reaches; [`DiscoveryError::Failed`].
    pub fn start(announcement: &Announcement) -> Result<Self, DiscoveryError> {
        if let Some(ip) = announcement.ip.filter(IpAddr::is_loopback) {
            return Err(DiscoveryError::Loopback(
                SocketAddr::new(ip, announcement.port).to_string(),
            ));
        }
        let [low, high, ..] = random()?;
        let hint = match &announcement.identity {
            Some(identity) => Some(Hint::new(identity, random()?)),
            None => None,
        };
        let announcer = Self {
            daemon: ServiceDaemon::new()?,
            announcement: announcement.clone(),
            hint,
            full_name: announcement.label(u16::from_be_bytes([low, high])),
        };
        announcer.register(announcement.code_number)?;
        Ok(announcer)
    }

    /// Announces the number of another code in place of the one before.
    ///
    /// # Errors
    /// [`DiscoveryError::Failed`].
    pub fn show_code(&self, number: u16) -> Result<(), DiscoveryError> {
        self.register(Some(number))
    }

    fn register(&self, code_number: Option<u16>) -> Result<(), DiscoveryError> {
        let announcement = Announcement {
            code_number,
            ..self.announcement.clone()
        };
        let (label, host) = (&self.full_name, format!("{}.local.", self.full_name));
        let texts = announcement.texts(self.hint);
        let only: Vec<_> = announcement.ip.into_iter().collect();
        let port = announcement.port;
        let mut service = ServiceInfo::new(SERVICE, label, &host, &only[..], port, &texts[..])?;
        if only.is_empty() {
            service = service.enable_addr_auto();
        }
        // The label was drawn at random. Probing for others of that label (RFC 6762,
        // section 8.1) takes most of a second.
        service.set_requires_probe(false);
        Ok(self.daemon.register(service)?)
    }

    /// The name that others type, as long as no other machine announces it too.
    pub fn name(&self) -> &str {
        &self.announcement.name
    }

    /// The name that is this one's alone.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Ends it, and lets others know. Dropped without it, others believe it to be there
    /// for up to two minutes.
    ///
    /// # Cancel safety
    /// Cancel safe: it ends either way.
    pub async fn stop(&self) {
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = timeout(STOP_WITHIN, ended.recv_async()).await;
        }
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("full_name", &self.full_name)
            .finish_non_exhaustive()
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        // Its thread would go on announcing. An error says that it has ended.
        let _ = self.daemon.shutdown();
    }
}

fn random() -> Result<[u8; 8], DiscoveryError> {
    let random = getrandom::u64();
    let random = random.map_err(|error| DiscoveryError::Failed(error.into()))?;
    Ok(random.to_be_bytes())
}

/// A few datagrams to the network.
const STOP_WITHIN: Duration = Duration::from_millis(500);
