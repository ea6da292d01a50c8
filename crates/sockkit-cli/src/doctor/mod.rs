//! `sockkit doctor`: what on this machine would fail, and how to mend it.

mod checks;

use anyhow::bail;
use clap::Parser;

use crate::say::say;

/// Look for what on this machine would fail, and say how to mend it
///
/// It changes nothing. Ends with an error if something would fail.
#[derive(Debug, Parser)]
pub(crate) struct Args {}

/// What one look has found.
enum Finding {
    Fine(String),
    /// Works, but worse than it could.
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
            say!("      to mend: {mend}");
        }
    }
    match failures {
        0 => Ok(()),
        1 => bail!("one thing would fail"),
        many => bail!("{many} things would fail"),
    }
}
