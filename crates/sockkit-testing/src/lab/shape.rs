//! Impairments by the kernel: nft drops packets, tbf limits their rate.

use super::{Port, namespace::Namespace};
use crate::sim::{LinkConfig, Unsupported};

impl Port<'_> {
    /// Lets the kernel impair the packets of this cable as `config` says, in
    /// both directions, replacing earlier settings. Needs `nft` and `tc`.
    ///
    /// Uses less CPU than a [`relay`](Self::relay), but supports less. Turn the
    /// [offloads off](Self::offloads_off) on all hosts first: merged packets
    /// are dropped together.
    ///
    /// # Errors
    /// [`Unsupported`] for delay, jitter, reordering, duplication and bursts.
    ///
    /// # Panics
    /// If `nft` or `tc` fails.
    pub fn shape(&self, config: &LinkConfig) -> Result<(), Unsupported> {
        let shaping = config.shaping()?;
        let (near, far) = (self.interface(), self.far_end());
        let ends = [(&self.host.namespace, &near), (&*self.host.switch, &far)];
        for (namespace, interface) in ends {
            match shaping.bits_per_second {
                Some(rate) => {
                    let limit = shaping.queue_bytes.max(LEAST_QUEUE_BYTES).to_string();
                    limit_rate(namespace, interface, rate, ["limit", &limit]);
                }
                None => end_limit(namespace, interface),
            }
        }
        self.loss(shaping.loss);
        self.lose_what_leaves(shaping.loss);
        Ok(())
    }

    /// Randomly drops this fraction of the packets that arrive at the host.
    /// With 1 all packets are dropped silently while the carrier stays; 0 turns
    /// it off. Needs `nft`.
    ///
    /// Turn the [offloads off](Self::offloads_off) on both hosts first if
    /// losses must be per packet: merged packets are dropped together.
    ///
    /// # Panics
    /// If `nft` fails, or `share` is not between 0 and 1.
    pub fn loss(&self, share: f64) {
        let near = self.interface();
        let rule = format!("type filter hook prerouting priority raw; iifname {near}");
        let table = format!("inet loss{}", self.network);
        lose(&self.host.namespace, &table, &rule, share);
    }

    /// As [`loss`](Self::loss), but in bursts of `mean` packets on average: the first lost
    /// packet of a flow begins one, and each further packet ends it with probability
    /// 1/`mean`. Needs `nft`, and a kernel that tracks connections: a flow's state is its
    /// mark.
    ///
    /// # Panics
    /// If `nft` fails, `share` is not between 0 and 1/2, or `mean` is less than 1.
    pub fn loss_in_bursts(&self, share: f64, mean: f64) {
        assert!((0.0..=0.5).contains(&share), "{share} is no share");
        assert!(mean >= 1.0, "{mean} packets are no burst");
        // Of the packets between two bursts, the first passes in any case.
        let between = (mean * (1.0 - share) / share - 1.0).max(1.0);
        let (ends, begins) = (one_in(mean), one_in(between));
        let (near, table) = (self.interface(), format!("inet loss{}", self.network));
        let mut lines = format!("add table {table}\ndelete table {table}\n");
        if share > 0.0 {
            lines += &format!(
                "table {table} {{\n\
                 chain bursts {{\n\
                 ct mark 1 {ends} ct mark set 0 accept\n\
                 ct mark 1 drop\n\
                 {begins} ct mark set 1 drop\n\
                 }}\n\
                 chain passing {{\n\
                 type filter hook prerouting priority mangle; iifname {near} jump bursts\n\
                 }}\n\
                 }}\n"
            );
        }
        (self.host.namespace).command(&["nft", "-f", "-"], &lines);
    }

    /// As `loss`, for packets that the host sends, when they arrive at the
    /// switch.
    fn lose_what_leaves(&self, share: f64) {
        let far = self.far_end();
        let rule = format!("type filter hook ingress device {far} priority 0;");
        lose(&self.host.switch, &format!("netdev {far}"), &rule, share);
    }

    /// Limits the host's send rate. Needs `tc`.
    ///
    /// # Panics
    /// If `tc` fails.
    pub fn rate(&self, bits_per_second: u64) {
        let queue = ["latency", "50ms"];
        limit_rate(
            &self.host.namespace,
            &self.interface(),
            bits_per_second,
            queue,
        );
    }
}

/// Drops a fraction of the packets that match `rule`, replacing the table's
/// earlier rules.
fn lose(namespace: &Namespace, table: &str, rule: &str, share: f64) {
    assert!((0.0..=1.0).contains(&share), "{share} is no share");
    let parts = (1..=LOSS_PARTS)
        .filter(|&part| part as f64 / LOSS_PARTS as f64 <= share)
        .count();
    // Deleting a missing table is an error, so it is created first.
    let mut lines = format!("add table {table}\ndelete table {table}\n");
    // nft rejects comparisons that are always true or always false.
    let chance = match parts {
        LOSS_PARTS => String::new(),
        parts => format!("numgen random mod {LOSS_PARTS} < {parts}"),
    };
    if parts > 0 {
        lines += &format!("table {table} {{ chain passing {{ {rule} {chance} drop; }}; }}\n");
    }
    namespace.command(&["nft", "-f", "-"], &lines);
}

/// The condition that is met once in so many times, on average.
fn one_in(times: f64) -> String {
    match times > 1.0 {
        // nft rejects comparisons that are always true.
        false => String::new(),
        true => format!(
            "numgen random mod {CHANCE_PARTS} < {:.0}",
            f64::from(CHANCE_PARTS) / times
        ),
    }
}

fn limit_rate(namespace: &Namespace, interface: &str, bits_per_second: u64, queue: [&str; 2]) {
    let rate = format!("{bits_per_second}bit");
    let [kind, size] = queue;
    namespace.command(
        &[
            "tc", "qdisc", "replace", "dev", interface, "root", "tbf", "rate", &rate, "burst",
            "16kb", kind, size,
        ],
        "",
    );
}

/// Restores the default queue of an interface; it may have it already.
fn end_limit(namespace: &Namespace, interface: &str) {
    namespace.command(
        &[
            "tc", "qdisc", "replace", "dev", interface, "root", "noqueue",
        ],
        "",
    );
}

/// Resolution of the probabilities in bursts.
const CHANCE_PARTS: u32 = 100_000;

/// Resolution of the loss fraction.
const LOSS_PARTS: usize = 1_000;

/// tbf holds a packet while its bucket fills: with less, no packet passes.
const LEAST_QUEUE_BYTES: usize = 2_048;
