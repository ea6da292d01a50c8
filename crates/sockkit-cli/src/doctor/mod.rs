//! `sockkit doctor`: finds problems on this machine, and how to solve them.

mod checks;

use anyhow::bail;
use clap::Parser;

use crate::say::say;

/// Find problems on this machine, and show how to solve them
///
/// Changes nothing. Fails if something would not work.
#[derive(Debug, Parser)]
pub(crate) struct Args {}

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

pub(crate) async fn run(_args: Args) -> anyhow::Result<()> {
    let mut failures = 0;
    for finding in checks::all().await {
        let (mark, is, mend) = match finding {
            Finding::Fine(is) => ("ok  ", is, None),
            Finding::Poor { is, mend } => ("poor", is, Some(mend)),
            Finding::Fails { is, mend } => {
                failures += 1;
                ("FAIL", is, Some(mend))
            }
        };
        say!("{mark}  {is}");
        if let Some(mend) = mend {
            say!("      to fix: {mend}");
        }
    }
    match failures {
        0 => Ok(()),
        1 => bail!("one problem found"),
        many => bail!("{many} problems found"),
    }
}
