//! The checks, one function each.

use std::{error::Error, fs, net::Ipv4Addr};

use sockkit::{
    interfaces,
    link::{
        Address, Node, Scheme,
        channel::{Channel, DatagramConfig, Limits},
    },
    source::camera,
};

use super::{Finding, by_system, reach};

pub(super) async fn all() -> Vec<Finding> {
    let mut findings = vec![descriptors()];
    findings.extend(BUFFERS.iter().map(buffer));
    findings.push(network());
    findings.push(multicast());
    findings.extend(reach::firewall().await);
    for (what, address, mend) in PORTS {
        findings.push(port(what, address, mend).await);
    }
    findings.extend(cameras().await);
    findings
}

/// Each connection needs one, and so does each file that is sent.
fn descriptors() -> Finding {
    let Some(limit) = read("/proc/self/limits").as_deref().and_then(open_files) else {
        return Finding::Fine("descriptors: the limit can only be read on Linux".to_owned());
    };
    let is = format!("descriptors: {limit} at most");
    if limit >= ENOUGH_DESCRIPTORS {
        return Finding::Fine(is);
    }
    Finding::Poor {
        is,
        mend: format!(
            "a server with more clients needs `ulimit -n {ENOUGH_DESCRIPTORS}` before it starts"
        ),
    }
}

/// The soft limit in the text of `/proc/self/limits`.
fn open_files(limits: &str) -> Option<u64> {
    let rest = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = rest.split_whitespace().next()?;
    soft.parse()
        .ok()
        .or_else(|| (soft == "unlimited").then_some(u64::MAX))
}

/// Pictures wait there while the program is busy.
fn buffer((name, of): &(&str, &str)) -> Finding {
    let path = format!("/proc/sys/net/core/{name}");
    let Some(bytes) = read(&path).and_then(|text| text.trim().parse::<u64>().ok()) else {
        return Finding::Fine(format!("{of} buffer: the limit can only be read on Linux"));
    };
    let is = format!("{of} buffer: {} KiB at most", bytes / 1024);
    if bytes >= ENOUGH_BUFFER_BYTES {
        return Finding::Fine(is);
    }
    Finding::Poor {
        is: format!("{is}; large pictures may be lost at the receiver"),
        mend: format!("sudo sysctl -w net.core.{name}={ENOUGH_BUFFER_BYTES}"),
    }
}

/// An interface other than loopback that is up and has an address.
fn network() -> Finding {
    let interfaces = match interfaces::list() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            return Finding::Fails {
                is: format!("network: interfaces cannot be listed: {error}"),
                mend: format!(
                    "check the output of `{}`",
                    by_system("ipconfig", "ip address")
                ),
            };
        }
    };
    let attached = interfaces.iter().find(|interface| {
        interface.flags.up && !interface.flags.loopback && !interface.addresses.is_empty()
    });
    match attached.and_then(|interface| Some((interface, interface.addresses.first()?))) {
        Some((interface, address)) => Finding::Fine(format!(
            "network: {} on {}; `sockkit interfaces` shows the rest",
            address.ip, interface.name
        )),
        None => Finding::Fails {
            is: "network: no interface; no other machine can be reached".to_owned(),
            mend: "bring an interface up and give it an address".to_owned(),
        },
    }
}

/// Whether the routing table has a route to groups.
fn multicast() -> Finding {
    match interfaces::source_for(SOME_GROUP.into()) {
        Ok(from) => Finding::Fine(format!("multicast: leaves from {from}")),
        Err(error) => Finding::Poor {
            is: format!("multicast: no route ({error})"),
            mend: by_system(
                "specify the interface with --interface, or connect one",
                "specify the interface with --interface, or `sudo ip route add 224.0.0.0/4 dev NAME`",
            )
            .to_owned(),
        },
    }
}

/// The default addresses of the command: each port at every address of this machine.
async fn port(what: &str, address: &str, mend: &str) -> Finding {
    let shown = address.rsplit(':').next().unwrap_or(address);
    match bind(address).await {
        Ok(()) => Finding::Fine(format!("{what}: port {shown} is free")),
        Err(error) => Finding::Fails {
            is: format!("{what}: port {shown}: {error}"),
            mend: mend.to_owned(),
        },
    }
}

/// Binds it, and frees it again.
async fn bind(address: &str) -> Result<(), Box<dyn Error>> {
    let address: Address = address.parse()?;
    if address.scheme() != Scheme::Udp {
        Node::default().listen(&address).await?;
        return Ok(());
    }
    for place in address.to_bind().await? {
        Channel::datagrams(DatagramConfig::at(place), &Limits::default())?;
    }
    Ok(())
}

async fn cameras() -> Vec<Finding> {
    let cameras = match camera::list().await {
        Ok(cameras) => cameras,
        Err(error) => {
            return vec![Finding::Fails {
                is: format!("cameras: {error}"),
                mend: "unplug the camera and plug it in again".to_owned(),
            }];
        }
    };
    if cameras.is_empty() {
        return vec![Finding::Fine(
            "cameras: none; use --source pattern or a clip".to_owned(),
        )];
    }
    let finding = |camera: camera::CameraInfo| {
        let name = format!("camera:{} {}", camera.index, camera.name);
        match camera.problem {
            None => Finding::Fine(format!("{name}: {} formats", camera.formats.len())),
            Some(problem) => Finding::Fails {
                is: format!("{name}: {problem}"),
                mend: format!(
                    "if permission is missing: {}; if it is busy: end the program that has it",
                    by_system(
                        "allow desktop apps the camera, under Privacy in the Settings",
                        "`sudo usermod -aG video $USER`, then log in again"
                    )
                ),
            },
        }
    };
    cameras.into_iter().map(finding).collect()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// For a thousand connections and the program's other needs.
const ENOUGH_DESCRIPTORS: u64 = 4096;

/// Requested by receivers of pictures.
const ENOUGH_BUFFER_BYTES: u64 = 4 << 20;

const BUFFERS: [(&str, &str); 2] = [("rmem_max", "receive"), ("wmem_max", "send")];

const SOME_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 0, 1);

const PORTS: [(&str, &str, &str); 4] = [
    (
        "browser viewer",
        "tcp://:8088",
        "stop the program that uses it, or choose another with --web",
    ),
    (
        "send and receive",
        "tcp://:5010",
        "stop the program that uses it, or choose another with --listen",
    ),
    (
        "send and receive over quic://",
        "quic://:5010",
        "stop the program that uses it, or choose another with --listen",
    ),
    (
        "pictures over UDP",
        "udp://:5006",
        "stop the program that uses it, or choose another port in the URL",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             95849                95849                processes\n\
                      Max open files            1024                 1048576              files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(
            open_files("Max open files            unlimited            unlimited            files"),
            Some(u64::MAX)
        );
        assert_eq!(open_files(""), None);
    }
}
