//! `sockkit receive`.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, bail};
use indicatif::HumanBytes;
use sockkit::file::{
    Destination, EntryKind, Incoming, OnConflict, ReceiveConfig, ReceiveError, escape_name,
    receive,
    session::{Limits, Reviewed},
};
use tokio::sync::oneshot;

use crate::{
    link::{self, Goodbye, Link, Listener, Local, Remote},
    transfer::{self, Bar},
};

/// Receive files and folders from a `sockkit send`
///
/// Shows what is on offer and asks. Nothing is written outside the folder,
/// whatever the names; an old file stays until the new one is complete and
/// verified. Prints the BLAKE3 digest of each file, as b3sum does.
///
/// ADDR:PORT is TCP. quic://ADDR:PORT is for links that lose packets, such as
/// crowded Wi-Fi: it is over UDP, does not take a lost packet for a full link, and
/// encrypts. Both sides must use the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that receives them; made if there is none
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Where to wait for a sender
    #[arg(long, value_name = "[quic://]ADDR:PORT", default_value = transfer::DEFAULT_ADDRESS)]
    listen: Local,
    /// Dial a sender that listens, instead
    #[arg(long, value_name = "[quic://]HOST:PORT", conflicts_with = "listen")]
    from: Option<Remote>,
    /// Accept without asking
    #[arg(short, long)]
    yes: bool,
    /// What to do about a file that is there already
    #[arg(long, value_enum, default_value_t = Policy::Refuse)]
    on_conflict: Policy,
    /// Take files that are complete here for done; the same as --on-conflict resume
    #[arg(long, conflicts_with = "on_conflict")]
    resume: bool,
    /// Refuse offers of more bytes than this
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Go on listening after a transfer
    #[arg(long, conflicts_with = "from")]
    keep_listening: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Policy {
    /// Leave it, and refuse the new one
    Refuse,
    /// Save the new one as `name (1).ext`
    Rename,
    /// Replace it, once the new one is verified
    Overwrite,
    /// Keep it if it is the same, else refuse the new one
    Resume,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(async |goodbye| receive_into(args, goodbye).await).await
}

async fn receive_into(args: Args, goodbye: &Goodbye) -> anyhow::Result<()> {
    let destination =
        open(&args.into).with_context(|| format!("cannot receive into {}", args.into.display()))?;
    if let Some(from) = &args.from {
        let link = link::dial(from).await?;
        goodbye.remember(&link);
        let incoming = receive(link, &config(&args)).await?;
        return receive_one(incoming, &from.to_string(), &destination, &args).await;
    }
    let listener = Listener::bind(args.listen).await?;
    loop {
        let (link, peer) = listener.accept().await?;
        goodbye.remember(&link);
        // Whoever offers nothing must not end the wait for somebody who does.
        let incoming = match receive(link, &config(&args)).await {
            Ok(incoming) => incoming,
            Err(error) => {
                eprintln!("{peer}: {:#}", anyhow::Error::new(error));
                continue;
            }
        };
        let received = receive_one(incoming, &peer.to_string(), &destination, &args).await;
        if !args.keep_listening {
            return received;
        }
        if let Err(error) = received {
            eprintln!("{peer}: {error:#}");
        }
    }
}

/// Makes the folder if its last name alone is new: a slip in the path before it
/// stays an error. That nothing can be written there shows now, before anybody
/// is asked.
fn open(folder: &Path) -> io::Result<Destination> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let destination = Destination::open(folder)?;
    tempfile::tempfile_in(folder)?;
    Ok(destination)
}

async fn receive_one(
    incoming: Incoming<Link>,
    address: &str,
    destination: &Destination,
    args: &Args,
) -> anyhow::Result<()> {
    show(&incoming, address);
    if !args.yes && !ask().await? {
        incoming.decline().await;
        bail!("declined");
    }
    let (bar, on_progress) = Bar::new(incoming.manifest());
    let received = incoming.on_progress(on_progress).accept(destination).await;
    let elapsed = bar.finish();
    let received = received.map_err(|error| match error {
        ReceiveError::Link(_) => transfer::interrupted(error),
        error => error.into(),
    })?;
    transfer::summarise(&received, elapsed, "received")
}

fn config(args: &Args) -> ReceiveConfig {
    let mut limits = Limits::default();
    if let Some(max_bytes) = args.max_bytes {
        limits = limits.max_total_bytes(max_bytes);
    }
    let on_conflict = match args.on_conflict {
        _ if args.resume => OnConflict::Resume,
        Policy::Refuse => OnConflict::Refuse,
        Policy::Rename => OnConflict::Rename,
        Policy::Overwrite => OnConflict::Overwrite,
        Policy::Resume => OnConflict::Resume,
    };
    ReceiveConfig::default()
        .name(transfer::own_name())
        .limits(limits)
        .on_conflict(on_conflict)
}

/// Every name is the peer's, so none is shown as it came.
fn show(incoming: &Incoming<Link>, address: &str) {
    let manifest = incoming.manifest();
    let name = match escape_name(incoming.peer()) {
        name if name.is_empty() => String::new(),
        name => format!(" (calls itself {name})"),
    };
    eprintln!("{address}{name} offers {}:", transfer::count(manifest));
    for (entry, reviewed) in manifest.entries.iter().zip(incoming.reviewed()).take(SHOWN) {
        let name = escape_name(&entry.path);
        let size = match entry.kind {
            EntryKind::Folder => "folder".to_owned(),
            EntryKind::File => HumanBytes(entry.size_bytes).to_string(),
        };
        match reviewed {
            Reviewed::Allowed(_) => eprintln!("  {size:>12}  {name}"),
            Reviewed::BadName(error) => eprintln!("  {size:>12}  {name}  (refused: {error})"),
            Reviewed::Collision => eprintln!("  {size:>12}  {name}  (refused: name collides)"),
        }
    }
    if manifest.entries.len() > SHOWN {
        eprintln!("  … and {} more", manifest.entries.len() - SHOWN);
    }
}

/// Anything but a yes is a no, the end of input too.
async fn ask() -> anyhow::Result<bool> {
    eprint!("receive them? [y/N] ");
    io::stderr().flush()?;
    let (answered, answer) = oneshot::channel();
    // A thread of its own: the program waits at its end for the runtime's.
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = answered.send(read.map(|_bytes| line));
    });
    let answer = answer.await.context("asking was stopped")??;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// A screenful.
const SHOWN: usize = 20;
