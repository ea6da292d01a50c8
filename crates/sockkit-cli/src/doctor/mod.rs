//! `sockkit doctor`: finds problems on this machine, and how to solve them.

mod checks;
mod reach;

use anyhow::bail;
use clap::Parser;

use crate::{
    json::Object,
    say::{self, say},
};

/// Find problems on this machine, and show how to solve them
///
/// Changes nothing. Fails if something would not work. A firewall is found by packets
/// that this machine sends to itself; how it treats other machines is found by `sockkit
/// doctor ADDRESS` on one of them.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Check whether this other machine can be reached from here instead
    #[arg(value_name = "HOST")]
    host: Option<String>,
}

/// Result of one check.
enum Finding {
    Fine(String),
    /// Works, but not optimally.
    Poor {
        is: String,
        mend: String,
    },
    Fails {
        is: String,
        mend: String,
    },
}

/// What to type, or where to look, on Windows or elsewhere.
const fn by_system<'a>(windows: &'a str, elsewhere: &'a str) -> &'a str {
    if cfg!(windows) { windows } else { elsewhere }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut failures = 0;
    let findings = match &args.host {
        Some(host) => reach::other(host).await?,
        None => checks::all().await,
    };
    for finding in findings {
        let (mark, is, mend) = match finding {
            Finding::Fine(is) => ("ok  ", is, None),
            Finding::Poor { is, mend } => ("poor", is, Some(mend)),
            Finding::Fails { is, mend } => {
                failures += 1;
                ("FAIL", is, Some(mend))
            }
        };
        let event = Object::new("check")
            .text("state", mark.trim_end().to_ascii_lowercase())
            .text("is", &is)
            .text("fix", mend.as_deref().unwrap_or_default());
        say::result(&event, format_args!("{mark}  {is}"));
        if let Some(mend) = mend.filter(|_| !say::is_json()) {
            say!("      to fix: {mend}");
        }
    }
    match failures {
        0 => Ok(()),
        1 => bail!("one problem found"),
        many => bail!("{many} problems found"),
    }
}
