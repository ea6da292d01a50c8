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
    name: String,
    full_name: String,
}

impl Announcer {
    /// Begins: it is found after about a second, in which it makes sure that no other
    /// machine has the very same name.
    ///
    /// # Errors
    /// [`DiscoveryError::Loopback`] if `announcement` was made for an address that no
    /// other machine reaches; [`DiscoveryError::Failed`].
    pub fn start(announcement: &Announcement) -> Result<Self, DiscoveryError> {
        let random = getrandom::u64().map_err(|error| DiscoveryError::Failed(error.into()))?;
        let [low, high, ..] = random.to_be_bytes();
        let label = announcement.label(u16::from_be_bytes([low, high]));
        let hint = match &announcement.identity {
            Some(identity) => {
                let nonce = getrandom::u64();
                let nonce = nonce.map_err(|error| DiscoveryError::Failed(error.into()))?;
                Some(Hint::new(identity, nonce.to_be_bytes()))
            }
            None => None,
        };
        let texts = announcement.texts(hint);
        let host = format!("{label}.local.");
        let service = |addresses: &[IpAddr]| {
            let port = announcement.port;
            ServiceInfo::new(SERVICE, &label, &host, addresses, port, &texts[..])
        };
        let service = match announcement.ip {
            Some(ip) if ip.is_loopback() => {
                return Err(DiscoveryError::Loopback(
                    SocketAddr::new(ip, announcement.port).to_string(),
                ));
            }
            Some(ip) => service(&[ip])?,
            None => service(&[])?.enable_addr_auto(),
        };
        let daemon = ServiceDaemon::new()?;
        daemon.register(service)?;
        Ok(Self {
            daemon,
            name: announcement.name.clone(),
            full_name: label,
        })
    }

    /// The name that others type, as long as no other machine announces it too.
    pub fn name(&self) -> &str {
        &self.name
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
    pub async fn stop(self) {
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

/// A few datagrams to the network.
const STOP_WITHIN: Duration = Duration::from_millis(500);
