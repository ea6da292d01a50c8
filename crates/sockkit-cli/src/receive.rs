//! `sockkit receive`.

use std::{
    env, fs,
    future::pending,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use sockkit::{
    file::{
        Destination, NameRules, Offer, OnConflict, Planned, QueuePermit, ReceiveConfig,
        ReceiveError, Summary, escape_path,
        group::{GroupError, JoinConfig, SenderKind, identify, join},
        receive,
        session::{Abort, Limits, RefuseReason},
    },
    interfaces::InterfaceSelector,
    link::{Connection, discovery::Role, pairing::Uses, trust::Right},
    multicast::Via,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    address::shown,
    browser,
    json::Object,
    link::{self, CloseWaiter},
    meeting::Meeting,
    pipe::Output,
    prompt::{self, OfferView, Question},
    remote::{self, Remote},
    resume::{dialled, listened},
    say::{self, tell},
    secure::Purpose,
    skipped::Skipped,
    transfer::{self, Bar},
    units,
};

/// Receive files and folders from a `sockkit send`
///
/// Without CODE it shows a code, and the command that the other person types. Machines
/// that this one is paired with, and that may give it files, need no code. With CODE
/// it connects to the side that shows that code, to a machine that this one is paired
/// with, or to an address.
///
/// Shows what would be written, hidden files and programs first, and asks. Nothing
/// is written outside the folder, whatever the names. Files are not executable
/// unless --keep-executable is given. An existing file is replaced only by a
/// complete and verified one. Prints the BLAKE3 digest of each file, as b3sum does.
///
/// Handles one offer at a time, the first complete one; other senders are told
/// to wait. A peer that makes no offer within ten seconds is dropped.
///
/// ADDR:PORT is TCP, and :PORT means every local address. quic://ADDR:PORT is for
/// links that lose packets, such as crowded Wi-Fi: it uses UDP, and does not treat packet
/// loss as congestion. Both sides must use the same.
///
/// Both sides encrypt and authenticate each other, over either of them: a machine that
/// has neither the code nor a known key cannot even make an offer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code that the sender shows, such as 7-coral-lamp (- reads it from standard
    /// input); the name of a machine that this one is paired with; or an address
    #[arg(
        value_name = "CODE|NAME|[quic://]HOST[:PORT]",
        value_parser = remote::files,
        conflicts_with_all = ["listen", "no_announce"],
    )]
    sender: Option<Remote>,
    /// The destination folder; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// Write the contents of the files to standard output instead, one after the other
    #[arg(long, conflicts_with_all = ["into", "on_conflict", "keep_executable", "web"])]
    stdout: bool,
    /// What to do if a file already exists
    #[arg(long, value_enum, default_value_t = Policy::Resume)]
    on_conflict: Policy,
    /// Accept only names that this system supports
    #[arg(long, value_name = "SYSTEM", value_enum, default_value_t = Names::Native)]
    names: Names,
    /// Keep the executable bit of files
    #[arg(long)]
    keep_executable: bool,
    /// Refuse offers of more bytes than this
    #[arg(long, value_name = "BYTES[K|M|G|T]", value_parser = units::bytes)]
    max_bytes: Option<u64>,
    /// Continue to listen after a transfer
    #[arg(long, conflicts_with = "sender")]
    keep_listening: bool,
    #[command(flatten)]
    page: browser::Page,
    #[command(flatten)]
    meeting: Meeting,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Policy {
    /// Keep it, and refuse the new file
    Refuse,
    /// Save the new file as `name (1).ext`
    Rename,
    /// Replace it when the new file is verified
    Overwrite,
    /// Keep it if it has the same contents, otherwise refuse the new file
    Resume,
    /// Keep it if it has the same contents, otherwise replace it once the new file is verified
    Update,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Names {
    /// The system that this runs on
    Native,
    /// Windows
    Windows,
    /// macOS
    Macos,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(async |goodbye| receive_into(args, goodbye).await).await
}

async fn receive_into(args: Args, goodbye: &CloseWaiter) -> anyhow::Result<()> {
    let target = Target::of(&args)?;
    prompt::can_ask(args.meeting.yes)?;
    let config = config(&args);
    if args.page.is_asked_for() {
        if let Some(sender) = &args.sender {
            browser::check_address(&sender.to_string())?;
            bail!("--web waits for a browser, and does not connect to {sender}: give one of them");
        }
        args.page.check(args.meeting.secure.is_asked_for())?;
        return receive_from_browser(config, &target, &args).await;
    }
    if let Some(from) = &args.sender {
        return receive_from(from, config, &target, &args, goodbye).await;
    }
    let secure = args.meeting.secure.listen(SENDER).await?;
    let listen = link::listen::<Offer<Connection>>;
    let mut waiting = listen(&args.meeting, SENDER, config, secure, goodbye).await?;
    loop {
        let turn = link::next_turn(&mut waiting).await?;
        goodbye.remember(turn.peer.get_ref());
        link::warn_of_namesakes(turn.peer.get_ref());
        let address = link::shown_peer(turn.peer.get_ref(), &turn.address.to_string());
        let place = Some(&turn.place);
        let (peer, known_as) = (turn.peer.get_ref().peer(), waiting.known_as());
        let resume = listened(SENDER, &args.meeting.secure, known_as.as_deref(), peer);
        let resume = (goodbye, resume);
        let ended = receive_one(turn.peer, &address, place, &target, &args, resume).await;
        goodbye.forget_resume();
        match ended {
            Ok(Ended::Left) => {}
            ended if !args.keep_listening || say::has_lost_reader() => {
                waiting.queue.close(Abort::Busy);
                return ended.map(|_received| ());
            }
            Ok(Ended::Received) => {}
            Err(error) => {
                tell!("{address}: {error:#}");
                let message = format!("{address}: {error:#}");
                say::only_json(|| Object::new("error").text("message", message));
            }
        }
    }
}

/// What a connection to the sender is for.
const SENDER: Purpose = Purpose {
    right: Right::Give,
    uses: Uses::Once,
    announces: Role::Receiver,
    seeks: Role::Sender,
    here: "sockkit receive",
    there: "sockkit send FILE --to",
    address: shown,
};

/// Connects to a sender that listens.
async fn receive_from(
    from: &Remote,
    config: ReceiveConfig,
    target: &Target,
    args: &Args,
    goodbye: &CloseWaiter,
) -> anyhow::Result<()> {
    let secure = args.meeting.secure.dial(SENDER, from).await?;
    let (connection, at) = link::reach(from, SENDER, secure.as_ref()).await?;
    goodbye.remember(&connection);
    let address = link::shown_peer(&connection, &shown(&at));
    let local = connection.local_ip();
    let security = &args.meeting.secure;
    let resume = (
        goodbye,
        dialled(SENDER, security, (from, &at), connection.peer()),
    );
    // A group's members are authenticated. Over QUIC, a sender in the clear hears of the
    // stream only when the receiver writes, so that its first bytes cannot be waited for.
    if secure.is_none() {
        return receive_session(connection, &address, config, target, args, resume).await;
    }
    match identify(connection).await {
        SenderKind::Group(connection) => {
            receive_from_group(connection, local, &address, config, target, args, resume).await
        }
        SenderKind::Session(connection) => {
            receive_session(connection, &address, config, target, args, resume).await
        }
        _ => bail!("{address} is of a later version"),
    }
}

async fn receive_session(
    connection: impl Stream,
    address: &str,
    config: ReceiveConfig,
    target: &Target,
    args: &Args,
    resume: Resume<'_>,
) -> anyhow::Result<()> {
    // The sender's user may be asked first.
    let config = config.offer_timeout(OFFER_TIMEOUT);
    let waiting = format!("waiting for an offer from {address}");
    let incoming = transfer::patiently(&waiting, receive(connection, &config)).await?;
    let ended = receive_one(incoming, address, None, target, args, resume).await;
    ended.and_then(Ended::into_result)
}

/// Receives what a browser uploads.
async fn receive_from_browser(
    config: ReceiveConfig,
    target: &Target,
    args: &Args,
) -> anyhow::Result<()> {
    let Target::Folder(destination) = target else {
        bail!("--web and --stdout exclude each other");
    };
    let wishes = browser::Wishes {
        destination,
        into: &args.into,
        yes: args.meeting.yes,
        keep_listening: args.keep_listening,
    };
    browser::receive(config, &args.page, &wishes).await
}

/// Where to remember how the transfer is resumed, and the sentence for it.
type Resume<'a> = (&'a CloseWaiter, String);

/// What a sender is connected by.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Destination of the received files.
enum Target {
    Folder(Destination),
    Output,
}

impl Target {
    fn of(args: &Args) -> anyhow::Result<Self> {
        if args.stdout {
            say::on_standard_error();
            return Ok(Self::Output);
        }
        let folder = open(&args.into)
            .with_context(|| format!("cannot receive into {}", escape_path(&args.into)))?;
        Ok(Self::Folder(folder))
    }

    async fn accept<S: Stream>(&self, incoming: Offer<S>) -> anyhow::Result<Summary> {
        match self {
            Self::Folder(destination) => Ok(incoming.accept(destination).await?),
            Self::Output => {
                let (summary, output) = incoming.accept_into(Output::default()).await?;
                match output.into_error() {
                    Some(error) => Err(error).context("cannot write to standard output"),
                    None => Ok(summary),
                }
            }
        }
    }

    /// The planned outcome of each entry.
    fn plan<S: Stream>(&self, incoming: &Offer<S>) -> Vec<Planned> {
        match self {
            // Accesses the disk for each entry.
            Self::Folder(folder) => tokio::task::block_in_place(|| incoming.plan(folder)),
            Self::Output => {
                let entries = incoming.manifest().entries.iter();
                let entries = entries.zip(incoming.reviewed());
                let planned = entries.map(|(entry, reviewed)| match reviewed.path() {
                    Ok(path) if Output::takes(entry) => Planned::Write(path.clone()),
                    Ok(_) => Planned::Refuse(RefuseReason::Unwanted),
                    Err(reason) => Planned::Refuse(reason),
                });
                planned.collect()
            }
        }
    }
}

/// Creates the folder if only its last component is new, so that a typo in the rest
/// of the path remains an error. Also checks that it is writable, before the user
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

/// Result of one offer.
enum Ended {
    Received,
    /// The sender disconnected before the answer, or kept others waiting.
    Left,
}

impl Ended {
    fn into_result(self) -> anyhow::Result<()> {
        match self {
            Self::Received => Ok(()),
            Self::Left => bail!("nothing was received"),
        }
    }
}

/// Joins the group of a `sockkit send --many`.
async fn receive_from_group<S: Stream + Send + 'static>(
    connection: S,
    local: Option<IpAddr>,
    address: &str,
    config: ReceiveConfig,
    target: &Target,
    args: &Args,
    resume: Resume<'_>,
) -> anyhow::Result<()> {
    let goodbye = resume.0;
    let spool = match target {
        Target::Folder(folder) => folder.clone(),
        Target::Output => {
            Destination::open(env::temp_dir()).context("cannot use a temporary folder")?
        }
    };
    let via = local.map_or(Via::Route, |ip| {
        Via::Interface(InterfaceSelector::Address(ip))
    });
    let joining = JoinConfig::new(spool).name(transfer::own_name()).via(via);
    let waiting = format!("waiting for {address} to begin");
    let joining = transfer::patiently(&waiting, join(connection, joining));
    let joined = timeout(OFFER_TIMEOUT, joining)
        .await
        .with_context(|| format!("{address} did not begin within an hour; try again"))??;
    // The group may wait for others; the connection to it has its own timeouts.
    let config = config
        .idle_timeout(GROUP_TIMEOUT)
        .stall_timeout(GROUP_TIMEOUT);
    let incoming = receive(joined.stream, &config).await?;
    // After Ctrl-C, the sender is told that before the program exits.
    let (to_ended, ended) = oneshot::channel();
    goodbye.remember_end(Some(tokio::spawn(async move {
        let _ = to_ended.send(joined.transfer.await);
    })));
    let received = receive_one(incoming, address, None, target, args, resume).await;
    let transfer = timeout(FAREWELL, ended).await;
    let received = received.and_then(Ended::into_result);
    match (received, transfer) {
        // What happened to the group is why the session saw its connection end.
        (Err(_), Ok(Ok(Ok(Err(error))))) if !matches!(error, GroupError::Session(_)) => {
            let error = anyhow::Error::new(error);
            let error = error.context(format!("transfer from {address} failed"));
            Err(transfer::interrupted(error, goodbye.resume()))
        }
        (received, _) => received,
    }
}

async fn receive_one<S: Stream>(
    mut incoming: Offer<S>,
    address: &str,
    place: Option<&QueuePermit>,
    target: &Target,
    args: &Args,
    (goodbye, resume): Resume<'_>,
) -> anyhow::Result<Ended> {
    let (question, compared_bytes) = show(&incoming, address, target, args);
    if !args.meeting.yes {
        let answer = match incoming.hold(question.ask()).await {
            Ok(answer) => answer?,
            Err(error) => {
                let why = anyhow::Error::new(error);
                tell!("\n{address} disconnected; its offer is dropped ({why:#})");
                return Ok(Ended::Left);
            }
        };
        if !answer {
            incoming.decline().await;
            bail!("declined");
        }
    }
    let (bar, on_progress) = Bar::new(incoming.manifest());
    let moved = bar.moved();
    if matches!(target, Target::Folder(_)) {
        goodbye.remember_resume(resume, moved.clone());
    }
    let others_wait = || place.is_some_and(QueuePermit::others_wait);
    let received = tokio::select! {
        biased;
        received = target.accept(incoming.on_progress(on_progress)) => Some(received),
        () = overstayed(time_to_begin(compared_bytes), || moved.any(), others_wait) => None,
    };
    let elapsed = bar.finish();
    let Some(received) = received else {
        tell!("{address} has sent none of the accepted files while others wait; it is dropped");
        return Ok(Ended::Left);
    };
    let received = received.map_err(|error| match error.downcast_ref() {
        Some(ReceiveError::Io(_)) => transfer::interrupted(error, goodbye.resume()),
        _ => error,
    })?;
    let skipped = Skipped::told(&received);
    transfer::summarise(&received, &skipped, elapsed.unwrap_or_default(), "received")?;
    Ok(Ended::Received)
}

/// Returns when a sender has sent nothing within its time, and others wait.
async fn overstayed(time: Duration, has_moved: impl Fn() -> bool, others_wait: impl Fn() -> bool) {
    sleep(time).await;
    loop {
        if has_moved() {
            return pending().await;
        }
        if others_wait() {
            return;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// A sender first reads the files that are present here, to compare them.
fn time_to_begin(compared_bytes: u64) -> Duration {
    TIME_TO_BEGIN + Duration::from_secs(compared_bytes / COMPARED_BYTES_A_SECOND)
}

/// Returns the question, and how many bytes must be compared before the transfer.
fn show<S: Stream>(
    incoming: &Offer<S>,
    address: &str,
    target: &Target,
    args: &Args,
) -> (Question, u64) {
    let planned = target.plan(incoming);
    let offer = OfferView {
        address,
        peer: incoming.peer(),
        manifest: incoming.manifest(),
        planned: &planned,
        keep_executable: args.keep_executable,
        into: match target {
            Target::Folder(_) => &args.into,
            Target::Output => Path::new("standard output"),
        },
    };
    let entries = incoming.manifest().entries.iter().zip(&planned);
    let compared =
        entries.filter(|(_, planned)| matches!(planned, Planned::Compare(_) | Planned::Update(_)));
    let bytes = compared.fold(0_u64, |sum, (entry, _)| {
        sum.saturating_add(entry.size_bytes)
    });
    (offer.show(), bytes)
}

fn config(args: &Args) -> ReceiveConfig {
    let mut limits = Limits::default();
    if let Some(max_bytes) = args.max_bytes {
        limits = limits.max_total_bytes(max_bytes);
    }
    let on_conflict = match args.on_conflict {
        Policy::Refuse => OnConflict::Refuse,
        Policy::Rename => OnConflict::Rename,
        Policy::Overwrite => OnConflict::Overwrite,
        Policy::Resume => OnConflict::Resume,
        Policy::Update => OnConflict::Update,
    };
    let names = match args.names {
        Names::Native => NameRules::native(),
        Names::Windows => NameRules::Windows,
        Names::Macos => NameRules::MacOs,
    };
    ReceiveConfig::default()
        .name(transfer::own_name())
        .limits(limits)
        .on_conflict(on_conflict)
        .name_rules(names)
        .keep_executable(args.keep_executable)
}

/// Applies while others wait; otherwise a sender that is working has no limit.
const TIME_TO_BEGIN: Duration = Duration::from_secs(60);
/// That of a slow disk, as assumed by `ReceiveConfig::stall_timeout`.
const COMPARED_BYTES_A_SECOND: u64 = 10_000_000;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A class may take its time to gather.
const GROUP_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
/// To tell the sender that everything is here.
const FAREWELL: Duration = Duration::from_secs(10);

/// Time for the sender's user to decide.
const OFFER_TIMEOUT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_has_a_minute_once_others_wait() {
        let began = Instant::now();
        overstayed(time_to_begin(0), || false, || true).await;
        assert_eq!(began.elapsed(), TIME_TO_BEGIN);

        let began = Instant::now();
        overstayed(time_to_begin(0), || false, || began.elapsed() > HOUR).await;
        assert!(began.elapsed() < HOUR + 2 * LOOK_AGAIN);

        let began = Instant::now();
        let compares = time_to_begin(1_000_000_000);
        overstayed(compares, || false, || true).await;
        assert_eq!(began.elapsed(), TIME_TO_BEGIN + Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_has_as_long_as_it_takes() {
        let asked = Cell::new(false);
        let others_wait = || {
            asked.set(true);
            true
        };
        let stays = overstayed(time_to_begin(0), || true, others_wait);
        assert!(timeout(HOUR, stays).await.is_err());
        assert!(!asked.get());
    }
}
