//! `sockkit receive`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use sockkit::file::{
    Destination, Incoming, OnConflict, ReceiveConfig, ReceiveError, escape_name, receive,
    session::{Abort, Limits},
};

use crate::{
    link::{self, Goodbye, Link, Local, Remote},
    prompt::{self, Offer, Question},
    transfer::{self, Bar},
};

/// Receive files and folders from a `sockkit send`
///
/// Shows what would be written, hidden files and programs first, and asks. Nothing
/// is written outside the folder, whatever the names; no file may be run as a
/// program unless --keep-executable says so; an old file stays until the new one is
/// complete and verified. Prints the BLAKE3 digest of each file, as b3sum does.
///
/// Takes one offer at a time, the first that is complete; other senders are told
/// that they wait. A peer that offers nothing within ten seconds is dropped.
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
    /// Accept without asking; needed where there is no terminal to ask on
    #[arg(short, long)]
    yes: bool,
    /// What to do about a file that is there already
    #[arg(long, value_enum, default_value_t = Policy::Refuse)]
    on_conflict: Policy,
    /// Take files that are complete here for done; the same as --on-conflict resume
    #[arg(long, conflicts_with = "on_conflict")]
    resume: bool,
    /// Let files that the sender may run as programs be run here as well
    #[arg(long)]
    keep_executable: bool,
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
    let destination = open(&args.into).with_context(|| {
        format!(
            "cannot receive into {}",
            escape_name(&args.into.to_string_lossy())
        )
    })?;
    prompt::can_ask(args.yes)?;
    let config = config(&args);
    if let Some(from) = &args.from {
        let link = link::dial(from).await?;
        goodbye.remember(&link);
        let waiting = format!("waiting for an offer from {from}");
        // Its user may be asked first.
        let config = config.offer_timeout(OFFER_TIMEOUT);
        let incoming = transfer::patiently(&waiting, receive(link, &config)).await?;
        let address = from.to_string();
        return match receive_one(incoming, &address, &destination, &args).await? {
            Ended::Received => Ok(()),
            Ended::Left => bail!("nothing was received"),
        };
    }
    let mut acceptor = link::listen::<Incoming<Link>>(args.listen, config, goodbye).await?;
    loop {
        let visitor = link::next_visitor(&mut acceptor).await?;
        goodbye.remember_handle(visitor.handle);
        let peer = visitor.peer.to_string();
        let ended = receive_one(visitor.guest, &peer, &destination, &args).await;
        match ended {
            Ok(Ended::Left) => {}
            ended if !args.keep_listening => {
                acceptor.close(Abort::Busy);
                return ended.map(|_received| ());
            }
            Ok(Ended::Received) => {}
            Err(error) => eprintln!("{peer}: {error:#}"),
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

/// How it went with one offer.
enum Ended {
    Received,
    /// The sender did not wait for the answer.
    Left,
}

async fn receive_one(
    mut incoming: Incoming<Link>,
    address: &str,
    destination: &Destination,
    args: &Args,
) -> anyhow::Result<Ended> {
    let question = show(&incoming, address, destination, args);
    if !args.yes {
        let answer = match incoming.hold(question.ask()).await {
            Ok(answer) => answer?,
            Err(error) => {
                let why = anyhow::Error::new(error);
                eprintln!("\n{address} has left; its offer is dropped ({why:#})");
                return Ok(Ended::Left);
            }
        };
        if !answer {
            incoming.decline().await;
            bail!("declined");
        }
    }
    let (bar, on_progress) = Bar::new(incoming.manifest());
    let received = incoming.on_progress(on_progress).accept(destination).await;
    let elapsed = bar.finish();
    let received = received.map_err(|error| match error {
        ReceiveError::Link(_) => transfer::interrupted(error, elapsed),
        error => error.into(),
    })?;
    transfer::summarise(&received, elapsed.unwrap_or_default(), "received")?;
    Ok(Ended::Received)
}

fn show(
    incoming: &Incoming<Link>,
    address: &str,
    destination: &Destination,
    args: &Args,
) -> Question {
    // A look at the disk for each entry.
    let planned = tokio::task::block_in_place(|| incoming.plan(destination));
    let offer = Offer {
        address,
        peer: incoming.peer(),
        manifest: incoming.manifest(),
        planned: &planned,
        keep_executable: args.keep_executable,
        into: &args.into,
    };
    offer.show()
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
        .keep_executable(args.keep_executable)
}

/// For a user at the sender to decide.
const OFFER_TIMEOUT: Duration = Duration::from_secs(3600);
