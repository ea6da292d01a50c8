//! Questions that are answered at once and to the asker alone.
//!
//! A responder multicasts no answer twice within a second, so that one that was lost, or came
//! before the asker listened, is missed for as long. A question from another port than that of
//! multicast DNS is answered by unicast, which has no such limit (RFC 6762, sections 5.1 and
//! 6.7), and which wireless networks do not lose.

use std::{
    future::pending,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use simple_dns::{
    CLASS, Name, Packet, QTYPE, Question, ResourceRecord, TYPE,
    rdata::{RData, SRV},
};
use sockkit_core::{
    multicast::{Group, MulticastEndpoint},
    udp::UdpError,
};

use super::{SERVICE, record::Read};

/// Asks on every network, by both IP versions: answers have the addresses of the version by
/// which they come. All of it is in addition to multicast: what fails here is found there.
pub(super) struct OneShot {
    endpoints: [Option<MulticastEndpoint>; 2],
    id: u16,
}

/// An announcement, and where it says that it is.
pub(super) type Heard = (Read, Vec<SocketAddr>);

impl OneShot {
    pub(super) fn new() -> Self {
        let mut id = [0; 2];
        // Others on the network see the question anyway.
        let _ = getrandom::fill(&mut id);
        Self {
            endpoints: UNSPECIFIED.map(|ip| MulticastEndpoint::bind((ip, 0).into()).ok()),
            id: u16::from_be_bytes(id),
        }
    }

    pub(super) async fn ask(&self) {
        let mut question = Packet::new_query(self.id);
        let service = Name::new_unchecked(SERVICE.trim_end_matches('.'));
        let pointers = QTYPE::TYPE(TYPE::PTR);
        let asked = Question::new(service, pointers, CLASS::IN.into(), false);
        question.questions.push(asked);
        let Ok(bytes) = question.build_bytes_vec() else {
            return;
        };
        for (endpoint, group) in self.endpoints.iter().zip(GROUPS) {
            if let (Some(endpoint), Ok(group)) = (endpoint, Group::new(group)) {
                let _ = endpoint.send_everywhere(group, PORT, &bytes).await;
            }
        }
    }

    /// Waits for an answer. Cancel safe.
    pub(super) async fn recv(&self) -> Vec<Heard> {
        let [ipv4, ipv6] = &self.endpoints;
        tokio::select! {
            heard = self.recv_by(ipv4.as_ref()) => heard,
            heard = self.recv_by(ipv6.as_ref()) => heard,
        }
    }

    async fn recv_by(&self, endpoint: Option<&MulticastEndpoint>) -> Vec<Heard> {
        let Some(endpoint) = endpoint else {
            return pending().await;
        };
        let mut buffer = [0; MAX_BYTES];
        loop {
            match endpoint.endpoint().recv(&mut buffer).await {
                Ok(datagram) => {
                    let heard = read(datagram.bytes, self.id, scope(datagram.from));
                    if !heard.is_empty() {
                        return heard;
                    }
                }
                Err(UdpError::Peer(_)) => {}
                Err(_) => return pending().await,
            }
        }
    }
}

/// The network on which an address means what it says, if that is one alone.
fn scope(from: SocketAddr) -> u32 {
    match from {
        SocketAddr::V6(from) => from.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

/// What a datagram announces, if it answers the question of that number. Pure.
fn read(bytes: &[u8], id: u16, scope: u32) -> Vec<Heard> {
    let Ok(packet) = Packet::parse(bytes) else {
        return Vec::new();
    };
    if packet.id() != id {
        return Vec::new();
    }
    let records = || packet.answers.iter().chain(&packet.additional_records);
    let pointers = records().filter_map(|record| match &record.rdata {
        RData::PTR(to) if full(&record.name) == SERVICE => Some(&to.0),
        _ => None,
    });
    let heard = pointers.take(MAX_INSTANCES).filter_map(|name| {
        let of_name = || records().filter(move |record| record.name == *name);
        let text = of_name().find_map(|record| match &record.rdata {
            RData::TXT(text) => Some(text),
            _ => None,
        })?;
        let texts: Vec<_> = text.iter_raw().collect();
        let read = Read::parse(&full(name), |key| {
            let mut same = texts.iter().filter(|(own, _)| *own == key.as_bytes());
            std::str::from_utf8(same.next()?.1?).ok()
        })?;
        let place = of_name().find_map(|record| match &record.rdata {
            RData::SRV(place) => Some(place),
            _ => None,
        })?;
        let addresses = records().filter_map(|record| address(record, place, scope));
        Some((read, addresses.take(MAX_ADDRESSES).collect()))
    });
    heard.collect()
}

/// As it is announced.
fn full(name: &Name<'_>) -> String {
    format!("{name}.")
}

/// A link-local one only with the network that it is of.
fn address(record: &ResourceRecord<'_>, place: &SRV<'_>, scope: u32) -> Option<SocketAddr> {
    if record.name != place.target {
        return None;
    }
    match &record.rdata {
        RData::A(a) => Some((Ipv4Addr::from(a.address), place.port).into()),
        RData::AAAA(aaaa) => {
            let ip = Ipv6Addr::from(aaaa.address);
            let scope = match ip.is_unicast_link_local() {
                true => (scope != 0).then_some(scope)?,
                false => 0,
            };
            Some(SocketAddrV6::new(ip, place.port, 0, scope).into())
        }
        _ => None,
    }
}

const UNSPECIFIED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];
const GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
];
const PORT: u16 = 5353;

/// What one machine announces, with room; a datagram of forged records must not cost more.
const MAX_INSTANCES: usize = 16;
const MAX_ADDRESSES: usize = 16;

/// More than an answer has without fragments.
const MAX_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use simple_dns::rdata::{A, AAAA, PTR, TXT};
    use sockkit_testing::lab::Lab;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::discovery::{Announcement, Announcer, Role};

    const ID: u16 = 0x1234;

    fn record<'a>(name: &str, data: RData<'a>) -> ResourceRecord<'a> {
        let name = Name::new(name).unwrap().into_owned();
        ResourceRecord::new(name, CLASS::IN, 10, data)
    }

    /// The answer of a machine `porch-1a2b` of which one part is changed.
    fn answer(service: &str, instance: &str, target: &str) -> Vec<u8> {
        let name = |text: &str| Name::new(text).unwrap().into_owned();
        let texts = ["v=1", "is=camera", "by=tcp", "code=7"];
        let texts = texts
            .iter()
            .try_fold(TXT::new(), |all, text| all.with_string(text));
        let place = SRV {
            priority: 0,
            weight: 0,
            port: 5_006,
            target: name(target),
        };
        let mut packet = Packet::new_reply(ID);
        let pointer = RData::PTR(PTR(name(instance)));
        packet.answers.push(record(service, pointer));
        packet.additional_records = vec![
            record(instance, RData::SRV(place)),
            record(instance, RData::TXT(texts.unwrap())),
            record(
                "porch.local",
                RData::A(A {
                    address: 0x0a4d_0001,
                }),
            ),
            record("porch.local", RData::AAAA(AAAA::from(Ipv6Addr::LOCALHOST))),
            record(
                "porch.local",
                RData::AAAA(AAAA {
                    address: 0xfe80 << 112 | 1,
                }),
            ),
            record(
                "other.local",
                RData::A(A {
                    address: 0x0a4d_0002,
                }),
            ),
        ];
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn an_answer_is_read_with_the_addresses_of_its_host() {
        let bytes = answer(
            "_sockkit._tcp.local",
            "porch-1a2b._sockkit._tcp.local",
            "porch.local",
        );
        let heard = read(&bytes, ID, 0);
        let [(found, addresses)] = &heard[..] else {
            panic!("{}", heard.len());
        };
        let expected = ["10.77.0.1:5006", "[::1]:5006"].map(|at| at.parse().unwrap());
        assert_eq!(addresses[..], expected);
        assert_eq!(
            (&found.label[..], found.code_number),
            ("porch-1a2b", Some(7))
        );
        assert_eq!(found.role, Role::Camera);
        // What came by IPv6 says which network its link-local address is of.
        let addresses = &read(&bytes, ID, 3)[0].1;
        let linked = SocketAddrV6::new("fe80::1".parse().unwrap(), 5_006, 0, 3);
        assert_eq!(addresses.last(), Some(&linked.into()));
    }

    #[test]
    fn what_answers_something_else_is_passed_over() {
        let (service, instance) = ("_sockkit._tcp.local", "porch-1a2b._sockkit._tcp.local");
        assert!(read(&answer(service, instance, "porch.local"), ID + 1, 0).is_empty());
        assert!(read(&answer("_http._tcp.local", instance, "porch.local"), ID, 0).is_empty());
        assert!(
            read(
                &answer(service, "porch._http._tcp.local", "porch.local"),
                ID,
                0
            )
            .is_empty()
        );
        let nowhere = read(&answer(service, instance, "nowhere.local"), ID, 0);
        assert!(nowhere.iter().all(|(_, addresses)| addresses.is_empty()));
    }

    #[test]
    fn cut_and_damaged_answers_do_no_harm() {
        let whole = answer(
            "_sockkit._tcp.local",
            "porch-1a2b._sockkit._tcp.local",
            "porch.local",
        );
        for end in 0..whole.len() {
            read(&whole[..end], ID, 0);
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let mut damaged = whole.clone();
            for _ in 0..rng.usize(1..8) {
                let at = rng.usize(2..damaged.len());
                damaged[at] = rng.u8(..);
            }
            assert!(read(&damaged, ID, 0).len() <= MAX_INSTANCES);
        }
    }

    #[test]
    fn what_was_multicast_a_moment_ago_is_answered() {
        let Some(lab) = Lab::new("discovery: one-shot questions", 2, 1) else {
            return;
        };
        let (ready, is_ready) = std::sync::mpsc::channel();
        lab.host(0).spawn(async move || {
            let at = "tcp://0.0.0.0:5006".parse().unwrap();
            let announced = Announcer::start(&Announcement::new(Role::Camera, "porch", &at));
            let _announced = announced.unwrap();
            ready.send(()).unwrap();
            pending::<()>().await;
        });
        is_ready.recv().unwrap();
        lab.host(1).block_on(async || {
            let one_shot = OneShot::new();
            let asks = async {
                loop {
                    one_shot.ask().await;
                    sleep(Duration::from_millis(50)).await;
                }
            };
            // What comes by IPv6 may be first, and has no address of IPv4.
            let there = (lab.host(0).port(0).ipv4(), 5_006).into();
            let is_heard = async {
                while !one_shot
                    .recv()
                    .await
                    .iter()
                    .any(|heard| heard.1.contains(&there))
                {}
            };
            let heard = async {
                tokio::select! { () = is_heard => {}, () = asks => unreachable!("it loops") }
            };
            timeout(Duration::from_secs(20), heard).await.unwrap();
        });
    }
}
