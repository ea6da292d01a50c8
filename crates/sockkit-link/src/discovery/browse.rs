//! Looking for what is announced.

use std::{
    net::{SocketAddr, SocketAddrV6},
    time::Duration,
};

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, sleep_until};

use super::{
    DiscoveryError, Found, LookupError, Role, SERVICE, collect::Collector, obstacle, record::Read,
};

/// Lists what is announced on the networks here; looks for as long as `timeout`.
///
/// # Errors
/// [`DiscoveryError`] if multicast DNS does not work on this machine.
///
/// # Cancel safety
/// Cancel safe.
pub async fn find(timeout: Duration) -> Result<Vec<Found>, DiscoveryError> {
    let mut browser = Browser::start()?;
    browser.look(Instant::now() + timeout, |_| false).await?;
    Ok(browser.collector.all().cloned().collect())
}

/// Looks for one name, for as long as `timeout` at the most. Case does not matter.
///
/// # Errors
/// [`LookupError`] if it is not announced, or by several.
///
/// # Cancel safety
/// Cancel safe.
pub async fn lookup(role: Role, name: &str, timeout: Duration) -> Result<Found, LookupError> {
    let mut browser = Browser::start()?;
    let is_there = |collector: &Collector| !collector.called(role, name).is_empty();
    browser.look(Instant::now() + timeout, is_there).await?;
    let mut called = browser.collector.called(role, name);
    match called.len() {
        0 => Err(LookupError::NotFound {
            what: role.word(),
            name: name.to_owned(),
            timeout,
            obstacle: obstacle().ok().flatten(),
        }),
        1 => Ok(called.remove(0)),
        _ => Err(LookupError::Ambiguous {
            name: name.to_owned(),
            full_names: called
                .iter()
                .map(|found| found.full_name().to_owned())
                .collect(),
        }),
    }
}

struct Browser {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    collector: Collector,
}

impl Browser {
    fn start() -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new()?;
        Ok(Self {
            events: daemon.browse(SERVICE)?,
            daemon,
            collector: Collector::default(),
        })
    }

    /// Looks until the deadline, or until it is `enough` and a moment has passed in
    /// which other addresses, and others of that name, answer too.
    async fn look(
        &mut self,
        deadline: Instant,
        enough: impl Fn(&Collector) -> bool,
    ) -> Result<(), DiscoveryError> {
        let began = Instant::now();
        let (mut ask_at, mut pause) = (began + ASK_EVERY, ASK_EVERY);
        let mut end = deadline;
        loop {
            tokio::select! {
                event = self.events.recv_async() => match event {
                    Ok(event) => self.take(event),
                    // It was too slow for a flood, and is asked for again.
                    Err(_) => sleep_until(ask_at).await,
                },
                () = sleep_until(ask_at) => {}
                () = sleep_until(end) => return Ok(()),
            }
            let now = Instant::now();
            if now >= ask_at {
                if now >= began + ASK_OFTEN_FOR {
                    pause = (pause * 2).min(ASK_AT_LEAST_EVERY);
                }
                ask_at = now + pause;
                // Asking again costs one datagram a network, and tells what is known.
                self.events = self.daemon.browse(SERVICE)?;
            }
            if end == deadline && enough(&self.collector) {
                end = deadline.min(now + SETTLE);
            }
        }
    }

    fn take(&mut self, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let text = |key: &str| service.get_property_val_str(key);
                if let Some(read) = Read::parse(&service.fullname, text) {
                    self.collector.handle_announced(read, addresses(&service));
                }
            }
            ServiceEvent::ServiceRemoved(_, full_name) => {
                let label = full_name.strip_suffix(SERVICE).unwrap_or(&full_name);
                self.collector.handle_ended(label.trim_end_matches('.'));
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its thread would go on asking. An error says that it has ended.
        let _ = self.daemon.shutdown();
    }
}

fn addresses(service: &ResolvedService) -> impl Iterator<Item = SocketAddr> {
    service.addresses.iter().filter_map(|ip| match ip {
        ScopedIp::V4(ip) => Some((*ip.addr(), service.port).into()),
        ScopedIp::V6(ip) => {
            let scope = match ip.addr().is_unicast_link_local() {
                true => ip.scope_id().index,
                false => 0,
            };
            Some(SocketAddrV6::new(*ip.addr(), service.port, 0, scope).into())
        }
        _ => None,
    })
}

/// A query or its answer may be lost.
const ASK_EVERY: Duration = Duration::from_millis(250);
const ASK_OFTEN_FOR: Duration = Duration::from_secs(2);
const ASK_AT_LEAST_EVERY: Duration = Duration::from_secs(8);

/// An answer may wait for 120 ms, so that many do not collide (RFC 6762, section 6),
/// and one that was lost comes after the next question.
const SETTLE: Duration = Duration::from_millis(500);
