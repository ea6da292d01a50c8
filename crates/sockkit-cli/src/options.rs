//! `sockkit options`: the live option table.

use anyhow::ensure;
use clap::Parser;
use sockkit::options::{self, ALL, Access, OptionSpec, Row};

use crate::say::say;

/// Show every socket option: what a fresh socket has on this machine
///
/// With names, such as SO_RCVBUF, also what each is for and where it exists.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// These options alone, explained
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Sockets of IPv6 instead of IPv4
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

/// A fresh socket has its defaults, so one column says it all.
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
            "no option is called {name}; `sockkit options` lists them"
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
