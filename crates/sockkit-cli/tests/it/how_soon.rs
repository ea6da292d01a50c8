//! How soon a file that is sent to a code has arrived: mDNS finds the other machine, codes
//! pair them, and a fifth of the multicast packets is lost.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
};

use crate::find::Machine;

mod real_time {
    use sockkit::testing::real_time;

    use super::check_runs;

    /// In twice the time, for a slower machine and a build without optimization.
    #[test]
    #[ignore = "real time"]
    fn a_file_sent_to_a_code_is_there_within_seconds() {
        real_time::check("how soon a file is there", || check_runs(20, 2));
    }
}

#[test]
#[ignore = "soak"]
fn a_thousand_files_sent_to_codes_are_there_within_seconds() {
    check_runs(1_000, 1).unwrap();
}

/// Both orders of start over one network and over three, `runs` in all, in so many `times`
/// what is promised.
fn check_runs(runs: usize, times: u32) -> Result<(), String> {
    for (networks, limit) in [
        (1, Duration::from_millis(2_500)),
        (3, Duration::from_millis(1_500)),
    ] {
        let test = "how soon a file is there";
        if !met(test, &[Need::Program("nft")]) {
            return Ok(());
        }
        let Some(lab) = Lab::new(test, 2, networks) else {
            return Ok(());
        };
        let hosts = [lab.host(0), lab.host(1)];
        hosts.into_iter().for_each(lose_a_fifth);
        let orders = [First::Sender, First::Receiver].into_iter().cycle();
        let runs = (0..runs / 2).zip(orders);
        let mut took: Vec<_> = runs.map(|(run, first)| one(hosts, run, first)).collect();
        took.sort_unstable();
        let [half, most] = [took.len() / 2, took.len() * 99 / 100].map(|place| took[place]);
        println!("{networks} networks: p50 {half:.2?}, p99 {most:.2?}");
        if most > limit * times {
            return Err(format!("{networks} networks: p99 {most:.2?}"));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum First {
    Sender,
    Receiver,
}

/// From the start of the later program until the receiver has verified the file.
fn one(hosts: [&Host; 2], run: usize, first: First) -> Duration {
    let [desk, laptop] = hosts.map(Machine::new);
    // Each number is another name in mDNS.
    let code = format!("{}-lamp-size", run % 99 + 1);
    let send = || desk.run(&["send", "film", "--code", &code, "--once", "--yes"]);
    let receive = || laptop.run(&["receive", &code, "--into", "in", "--yes", "--once"]);
    let (sender, receiver, began) = match first {
        First::Sender => {
            let sender = send();
            sender.line_after("there     ");
            let began = Instant::now();
            (sender, receive(), began)
        }
        First::Receiver => {
            let receiver = receive();
            let began = Instant::now();
            (send(), receiver, began)
        }
    };
    // The digest of the file.
    while !receiver.line().ends_with("  film") {}
    let took = began.elapsed();
    let received = receiver.end();
    assert!(received.status.success(), "{code}: {received:?}");
    assert!(laptop.has_received(), "{code}");
    let sent = sender.end();
    assert!(sent.status.success(), "{code}: {sent:?}");
    took
}

/// Of the packets of mDNS that arrive at the host.
fn lose_a_fifth(host: &Host) {
    let rules = "table inet lost { chain mdns { \
        type filter hook prerouting priority raw; \
        udp dport 5353 numgen random mod 5 == 0 drop; }; }";
    let added = host.run(|| Command::new("nft").arg(rules).status());
    assert!(added.unwrap().success());
}
