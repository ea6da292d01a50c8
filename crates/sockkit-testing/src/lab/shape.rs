//! What the kernel does to packets on a cable: nft loses some, tbf limits their rate.

use super::{Port, namespace::Namespace};
use crate::sim::{LinkConfig, Unsupported};

impl Port<'_> {
    /// Lets the kernel treat the packets of this cable as `config` says, in both directions, in
    /// place of what was set before. Needs `nft` and `tc`.
    ///
    /// It takes less of the machine than a [`relay`](Self::relay) and can do less. Turn the
    /// [offloads off](Self::offloads_off) on all hosts first: merged packets share one fate.
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

    /// Drops this share of the packets that reach the host here, by chance;
    /// 1 drops all in silence, the carrier stays. 0 ends it. Needs `nft`.
    ///
    /// Turn the [offloads off](Self::offloads_off) on both hosts first if the
    /// loss must be per packet: merged packets share one fate.
    ///
    /// # Panics
    /// If `nft` fails, or `share` is not between 0 and 1.
    pub fn loss(&self, share: f64) {
        let near = self.interface();
        let rule = format!("type filter hook prerouting priority raw; iifname {near}");
        let table = format!("inet loss{}", self.network);
        lose(&self.host.namespace, &table, &rule, share);
    }

    /// The same for those that the host sends, when they have come to the switch.
    fn lose_what_leaves(&self, share: f64) {
        let far = self.far_end();
        let rule = format!("type filter hook ingress device {far} priority 0;");
        lose(&self.host.switch, &format!("netdev {far}"), &rule, share);
    }

    /// Limits what the host sends here. Needs `tc`.
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

/// Drops a share of what meets `rule`, in place of what the table did before.
fn lose(namespace: &Namespace, table: &str, rule: &str, share: f64) {
    assert!((0.0..=1.0).contains(&share), "{share} is no share");
    let parts = (1..=LOSS_PARTS)
        .filter(|&part| part as f64 / LOSS_PARTS as f64 <= share)
        .count();
    // Deleting what is not there is an error, so it is made first.
    let mut lines = format!("add table {table}\ndelete table {table}\n");
    // nft refuses comparisons that are always true or always false.
    let chance = match parts {
        LOSS_PARTS => String::new(),
        parts => format!("numgen random mod {LOSS_PARTS} < {parts}"),
    };
    if parts > 0 {
        lines += &format!("table {table} {{ chain passing {{ {rule} {chance} drop; }}; }}\n");
    }
    namespace.command(&["nft", "-f", "-"], &lines);
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

/// Puts back what an interface has that nobody limits; it may have that already.
fn end_limit(namespace: &Namespace, interface: &str) {
    namespace.command(
        &[
            "tc", "qdisc", "replace", "dev", interface, "root", "noqueue",
        ],
        "",
    );
}

/// Loss is set in steps of one part in so many.
const LOSS_PARTS: usize = 1_000;

/// tbf holds a packet while its bucket fills: with less, nothing passes.
const LEAST_QUEUE_BYTES: usize = 2_048;
