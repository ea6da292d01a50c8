//! Looking for what is announced.

use std::{
    net::{SocketAddr, SocketAddrV6},
    time::Duration,
};

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, sleep_until};

use super::{
    DiscoveryError, Found, LookupError, Role, SERVICE, Wanted,
    collect::Collector,
    obstacle,
    one_shot::{Heard, OneShot},
    record::Read,
};

/// Lists what is announced on the networks here; looks for as long as `timeout`.
///
/// # Errors
/// [`DiscoveryError`] if multicast DNS does not work on this machine.
///
/// # Cancel safety
/// Cancel safe.
pub async fn find(timeout: Duration) -> Result<Vec<Found>, DiscoveryError> {
    let mut browser = Browser::start(Collector::default())?;
    browser.look(timeout, |_| false).await?;
    Ok(browser.collector.all().cloned().collect())
}

/// Looks for one machine, for as long as `timeout` at the most.
///
/// # Errors
/// [`LookupError`] if it is not announced, or by several.
///
/// # Cancel safety
/// Cancel safe.
pub async fn lookup(role: Role, wanted: Wanted, timeout: Duration) -> Result<Found, LookupError> {
    let mut browser = Browser::start(Collector::of(role, wanted.clone()))?;
    let is_there = |collector: &Collector| collector.all().next().is_some();
    browser.look(timeout, is_there).await?;
    let mut found = browser.collector.all();
    match (found.next(), found.next()) {
        (None, _) => Err(LookupError::NotFound {
            role,
            wanted,
            timeout,
            obstacle: obstacle().ok().flatten(),
        }),
        (Some(found), None) => Ok(found.clone()),
        _ => Err(LookupError::Ambiguous {
            wanted,
            full_names: browser.collector.all().map(full_name).collect(),
        }),
    }
}

fn full_name(found: &Found) -> String {
    found.full_name().to_owned()
}

struct Browser {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    one_shot: OneShot,
    collector: Collector,
}

impl Browser {
    fn start(collector: Collector) -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new()?;
        Ok(Self {
            events: daemon.browse(SERVICE)?,
            daemon,
            one_shot: OneShot::new(),
            collector,
        })
    }

    /// Looks until the deadline, or until it is `enough` and a moment has passed in
    /// which other addresses, and others of that name, answer too.
    async fn look(
        &mut self,
        timeout: Duration,
        enough: impl Fn(&Collector) -> bool,
    ) -> Result<(), DiscoveryError> {
        let began = Instant::now();
        // A time that is too long for the clock is as good as none.
        let deadline = began.checked_add(timeout).unwrap_or(began + LOOK_AT_MOST);
        let (mut ask_at, mut pause) = (began + ASK_EVERY, ASK_EVERY);
        let (mut end, mut is_lost) = (deadline, false);
        self.one_shot.ask().await;
        loop {
            tokio::select! {
                event = self.events.recv_async(), if !is_lost => match event {
                    Ok(event) => self.take(event),
                    // It was too slow for a flood, and is asked for again.
                    Err(_) => is_lost = true,
                },
                heard = self.one_shot.recv() => self.hear(heard),
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
                self.one_shot.ask().await;
                is_lost = false;
            }
            end = ends(end, deadline, now, enough(&self.collector));
        }
    }

    fn hear(&mut self, heard: Vec<Heard>) {
        for (read, addresses) in heard {
            self.collector.handle_announced(read, addresses);
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

/// When to end a look that was to end at `end`. An answer of before may take back what was
/// enough: then it lasts until the deadline again.
fn ends(end: Instant, deadline: Instant, now: Instant, is_enough: bool) -> Instant {
    match is_enough {
        true if end == deadline => deadline.min(now + SETTLE),
        true => end,
        false => deadline,
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

/// Ten years.
const LOOK_AT_MOST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// An answer may wait for 120 ms, so that many do not collide (RFC 6762, section 6).
const SETTLE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_looked_for_until_the_deadline() {
        let now = Instant::now();
        let deadline = now + Duration::from_secs(10);
        let settled = now + SETTLE;
        assert_eq!(ends(deadline, deadline, now, false), deadline);
        assert_eq!(ends(deadline, deadline, now, true), settled);
        let later = now + SETTLE / 2;
        assert_eq!(ends(settled, deadline, later, true), settled);
        assert_eq!(ends(settled, deadline, later, false), deadline);
        let late = deadline - SETTLE / 2;
        assert_eq!(ends(deadline, deadline, late, true), deadline);
    }
}
