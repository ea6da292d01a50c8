//! `sockkit options`: the table of socket options.

use anyhow::ensure;
use clap::Parser;
use sockkit::options::{self, ALL, Access, OptionSpec, Row};

use crate::say::say;

/// Show every socket option, with its value on a fresh socket of this machine
///
/// With names such as SO_RCVBUF, also explain each, and where it exists.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only these options, with an explanation
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// IPv6 sockets instead of IPv4
    #[arg(short = '6', long)]
    ipv6: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    if !args.names.is_empty() {
        return explain(&args.names);
    }
    let [tcp, udp] = options::defaults(args.ipv6)?;
    show(&tcp);
    say!("");
    show(&udp);
    Ok(())
}

/// A fresh socket has the default values, so one column suffices.
fn show((transport, rows): &(&str, Vec<Row>)) {
    say!("{transport:<26} {:<20} unit", "value");
    for row in rows {
        let value = match &row.value {
            Ok(value) => value.to_string(),
            Err(_) => "unreadable".to_owned(),
        };
        say!("{:<26} {value:<20} {}", row.spec.name, row.spec.unit);
    }
}

fn explain(names: &[String]) -> anyhow::Result<()> {
    for name in names {
        let wanted = name.to_ascii_uppercase();
        let found: Vec<_> = ALL
            .iter()
            .filter(|spec| spec.name.contains(&wanted))
            .collect();
        ensure!(
            !found.is_empty(),
            "there is no option {name}; `sockkit options` lists all"
        );
        found.into_iter().for_each(explain_one);
    }
    Ok(())
}

fn explain_one(spec: &OptionSpec) {
    let OptionSpec {
        name,
        method,
        level,
        scope,
        platforms,
        value_type,
        default,
        summary,
        ..
    } = spec;
    let access = match spec.access {
        Access::ReadWrite => "set and read",
        Access::ReadOnly => "read only",
    };
    say!("{name}: {summary}");
    say!("  level    {level}, {scope} sockets, {access}");
    say!(
        "  value    {value_type} {}, by default {default}",
        spec.unit
    );
    say!("  method   SocketOptions::{method}");
    say!("  exists   {platforms}");
}
