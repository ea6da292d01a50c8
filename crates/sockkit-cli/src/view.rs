//! `sockkit view`: a stream in the browser, on disk, or as statistics.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    link::{Address, AddressError, Scheme},
    picture::jpeg,
    sink::{
        record::{RecordError, RecordSummary, Recorder, RecorderConfig},
        web::WebStream,
        window::Window,
    },
    stream::{ConnectionState, Receiver, Stats},
};
use tokio::{
    fs,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use crate::{
    address::{PICTURES_PORT, RECEIVED},
    cam::{PUSHED, VIEWERS},
    find, incoming, interrupt,
    json::Object,
    key,
    link::say_plain,
    progress,
    remote::{self, Remote, bare_name},
    routed,
    say::{self, note, say, tell},
    secure::{self, Secure, Shown},
    unopened::{self, Advice},
    web::Web,
};

/// Receive from `sockkit cam`: statistics, browser, recording, snapshot
///
/// Without a camera it lists those that are announced on this network, and what to type
/// for each.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code that `sockkit cam` shows, such as coral-lamp-orbit (- reads it from
    /// standard input); the name of a machine that this one is paired with;
    /// tcp://HOST:PORT, quic://HOST:PORT or udp://HOST:PORT of a camera that listens there;
    /// udp:// of a group to join; or, if built with zenoh, zenoh://ROUTER/NAME of a camera in
    /// another network, where * in place of a part of NAME means all that are there. More of
    /// them, named if written NAME=ADDRESS, are shown on the page of --web
    #[arg(value_name = "[NAME=]CODE|NAME|ADDRESS", value_parser = named)]
    cameras: Vec<Named>,
    /// Receive at this local udp://ADDR:PORT what `sockkit cam --to` sends here; shows the
    /// command to type there
    #[arg(long, value_name = "ADDRESS", value_parser = receiving, conflicts_with = "cameras")]
    listen: Option<Address>,
    #[command(flatten)]
    web: Web,
    /// Show the pictures in a window; q, Escape or the close button exits
    #[arg(long)]
    window: bool,
    /// Record to this MP4 file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Record H.264: a tenth of the size, playable in browsers and on phones
    #[cfg(feature = "h264")]
    #[arg(long, requires = "record")]
    h264: bool,
    /// Save the first picture as JPEG, and exit
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "window", "record", "stats"])]
    snapshot: Option<PathBuf>,
    /// Print a line of statistics each second
    #[arg(long)]
    stats: bool,
    /// The interface on which to join a group: name, index or address
    #[arg(long)]
    interface: Option<InterfaceSelector>,
    /// Accept pictures from this host only
    #[arg(long, value_name = "ADDR")]
    from: Option<IpAddr>,
    /// Receive udp:// without a connection, and accept only pictures sealed with this key, which
    /// cam has too; see `sockkit key new`
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    key: Option<PathBuf>,
    #[command(flatten)]
    routers: routed::Options,
    /// Exit after this many seconds; without it, exit on Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    #[command(flatten)]
    secure: secure::Security,
}

impl Args {
    fn recorder_config(&self) -> RecorderConfig {
        #[cfg(feature = "h264")]
        if self.h264 {
            use sockkit::sink::record::{Codec, H264Config};
            return RecorderConfig::default().codec(Codec::H264(H264Config::default()));
        }
        RecorderConfig::default()
    }
}

/// Without a scheme it is for datagrams.
fn receiving(text: &str) -> Result<Address, AddressError> {
    RECEIVED.parse(text)
}

/// Runs until the time is up or Ctrl-C is pressed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.cameras.is_empty() && args.listen.is_none() {
        return find::cameras().await;
    }
    let recorder_config = args.recorder_config();
    let wishes = Wishes {
        interface: args.interface,
        from: args.from,
        key: args.key,
        routers: args.routers,
        secure: args.secure,
    };
    let several = "several sources are shown on one page: add --web";
    ensure!(args.cameras.len() <= 1 || args.web.is_wanted(), "{several}");
    let mut opened = match &args.listen {
        Some(at) => vec![listen(at, &wishes).await?],
        None => open_all(args.cameras, &wishes).await?,
    };
    ensure!(opened.len() == 1 || args.web.is_wanted(), "{several}");
    let mut code = opened[0].code.take();
    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let Watched { url, receiver, .. } = &opened[0];
    if let Some(path) = &args.snapshot {
        return snapshot(url, receiver, path, limit, &mut code).await;
    }
    let viewer = args.web.serve(opened.iter().map(Watched::stream)).await?;
    let mut recording = match &args.record {
        Some(path) => Some(Recording::start(receiver, path, recorder_config).await?),
        None => None,
    };

    let window = match args.window {
        true => Some(open_window(receiver).await?),
        false => None,
    };

    let figures = match args.stats {
        true => Figures::Lines,
        false => Figures::Spinner,
    };
    let watched = watch(
        url,
        receiver,
        limit,
        figures,
        window,
        (&mut recording, &mut code),
    );
    let watched = watched.await;
    let stats = receiver.stats().snapshot();
    let silent: Vec<_> = opened
        .iter()
        .filter(|one| one.receiver.stats().snapshot().received == 0)
        .map(|one| nothing_came(&one.url, &one.receiver))
        .collect();
    // The recording ends with the pictures.
    for watched in opened {
        watched.receiver.shutdown().await;
    }
    if let Some(viewer) = viewer {
        viewer.shutdown().await;
    }
    say::result(
        &figures_of(&stats),
        format_args!("received  {}", one_line(&stats)),
    );
    if let (Some(recording), Some(path)) = (recording, &args.record) {
        let summary = recording.finish().await?;
        say!(
            "recorded  {} pictures in {}",
            summary.frames,
            path.display()
        );
    }
    watched?;
    ensure!(silent.is_empty(), "{}", silent.join("; "));
    Ok(())
}

/// Options for all sources.
struct Wishes {
    interface: Option<InterfaceSelector>,
    from: Option<IpAddr>,
    key: Option<PathBuf>,
    routers: routed::Options,
    secure: secure::Security,
}

/// A source as it is typed.
#[derive(Clone, Debug)]
struct Named {
    name: Option<String>,
    camera: Remote,
}

fn named(text: &str) -> anyhow::Result<Named> {
    let (name, camera) = match text.split_once('=') {
        Some((name, camera)) => (Some(name.to_owned()), camera),
        None => (None, text),
    };
    let camera = remote::pictures(camera)?;
    Ok(Named { name, camera })
}

/// A source that is received.
struct Watched {
    name: String,
    url: Address,
    receiver: Receiver,
    /// The code that a sender pairs by, if this side listens for one.
    code: Option<Shown>,
}

impl Watched {
    fn stream(&self) -> WebStream {
        let pictures = self.receiver.pictures();
        WebStream::new(&self.name, pictures).stats(self.receiver.stats())
    }
}

/// Opens them in order; one without a name is called by its number.
async fn open_all(all: Vec<Named>, wishes: &Wishes) -> anyhow::Result<Vec<Watched>> {
    let mut opened = Vec::new();
    for (number, named) in (1..).zip(all) {
        if let Remote::Address(router) = &named.camera
            && router.scheme() == Scheme::Zenoh
        {
            opened.extend(open_routed(router, named.name, wishes).await?);
            continue;
        }
        let (url, receiver) = open(&named.camera, wishes).await?;
        let name = named.name.unwrap_or_else(|| match number {
            1 => "view".to_owned(),
            _ => format!("view-{number}"),
        });
        opened.push(Watched {
            name,
            url,
            receiver,
            code: None,
        });
    }
    Ok(opened)
}

/// Begins to receive from all cameras at a router whose names match.
async fn open_routed(
    router: &Address,
    name: Option<String>,
    wishes: &Wishes,
) -> anyhow::Result<Vec<Watched>> {
    wishes.secure.check_unused(router)?;
    wishes.secure.check_sealed(router, wishes.key.is_some())?;
    ensure!(
        wishes.from.is_none() && wishes.interface.is_none(),
        "--from and --interface are for udp:// only"
    );
    let key = wishes.key.as_deref().map(key::load).transpose()?;
    if key.is_none() {
        say_plain(router.scheme());
    }
    let channels = routed::subscribe(router, key, &wishes.routers).await?;
    let is_one = channels.len() == 1;
    let watched = channels.into_iter().map(|channel| {
        let url = channel.address();
        say!("watching  {url}");
        let name = name.clone().filter(|_| is_one);
        Watched {
            name: name.unwrap_or_else(|| routed::page_name(&url)),
            url,
            receiver: Receiver::new(channel),
            code: None,
        }
    });
    Ok(watched.collect())
}

/// Finds a camera, and begins to receive from it.
async fn open(camera: &Remote, wishes: &Wishes) -> anyhow::Result<(Address, Receiver)> {
    if let Some(at) = wishes.received_at(camera) {
        wishes.secure.check_unused(at)?;
        return incoming::open(at, wishes.of(None)).await;
    }
    let secure = wishes.secure.dial(VIEWERS, camera).await?;
    let url = find::locate(VIEWERS.seeks, camera, secure.as_ref()).await?;
    if url.group().is_some() {
        wishes.secure.check_sealed(&url, false)?;
    }
    incoming::open(&url, wishes.of(secure)).await
}

/// Listens for a camera that sends to this machine.
async fn listen(at: &Address, wishes: &Wishes) -> anyhow::Result<Watched> {
    let (receiver, code) = if wishes.connects_not() {
        wishes.secure.check_unused(at)?;
        (incoming::open(at, wishes.of(None)).await?.1, None)
    } else {
        let secure = wishes.secure.listen(PUSHED).await?;
        incoming::listen(at, wishes.of(secure)).await?
    };
    Ok(Watched {
        name: "view".to_owned(),
        url: receiver.address().clone(),
        receiver,
        code,
    })
}

impl Wishes {
    /// Whether datagrams are received without a connection to their sender.
    fn connects_not(&self) -> bool {
        self.secure.is_plain() || self.key.is_some()
    }

    /// The address to receive at, if `camera` is one and no name of a camera.
    fn received_at<'a>(&self, camera: &'a Remote) -> Option<&'a Address> {
        match camera {
            Remote::Address(at)
                if at.scheme() == Scheme::Udp && bare_name(at, PICTURES_PORT).is_none() =>
            {
                self.connects_not().then_some(at)
            }
            _ => None,
        }
    }

    fn of(&self, secure: Option<Secure>) -> incoming::Wishes {
        incoming::Wishes {
            interface: self.interface.clone(),
            from: self.from,
            key: self.key.clone(),
            secure,
        }
    }
}

/// The error of a view that has received no picture.
fn nothing_came(url: &Address, receiver: &Receiver) -> String {
    match receiver.connection_state().and_then(|link| link.latest()) {
        Some(ConnectionState::Down { why }) => format!("no picture arrived from {url}: {why}"),
        _ if url.scheme() == Scheme::Zenoh => format!(
            "no picture arrived from {url}{}: does `sockkit cam --to {url}` run?",
            left_out(receiver)
        ),
        _ => format!(
            "no picture arrived from {url}{}: does `sockkit cam` send to this machine and port, \
             and does a firewall let it through?",
            left_out(receiver)
        ),
    }
}

async fn open_window(receiver: &Receiver) -> anyhow::Result<Window> {
    Window::open("sockkit view", receiver.pictures())
        .await
        .context("without a display use --web")
}

/// How to show statistics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Figures {
    /// On a terminal, updated with each picture.
    Spinner,
    /// One line a second on standard output.
    Lines,
}

async fn watch(
    url: &Address,
    receiver: &Receiver,
    limit: Duration,
    figures: Figures,
    mut window: Option<Window>,
    (recording, code): (&mut Option<Recording>, &mut Option<Shown>),
) -> anyhow::Result<()> {
    let progress = match figures {
        Figures::Spinner => progress::spinner(),
        Figures::Lines => ProgressBar::hidden(),
    };
    let (mut pictures, stats) = (receiver.pictures(), receiver.stats());
    let (mut link, mut told) = (receiver.connection_state(), None);
    let (mut told_sender, mut advice) = (None, Advice::default());
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.reset();
    let end = Instant::now() + limit;
    let patience = sleep(PATIENCE);
    tokio::pin!(patience);
    let mut is_patient = true;
    let pressed = interrupt::pressed();
    tokio::pin!(pressed);
    loop {
        tokio::select! {
            Some(_) = pictures.next() => {
                let stats = stats.snapshot();
                // A connection has already been reported.
                if link.is_none() && told_sender != stats.sender {
                    progress.suspend(|| tell_sender(told_sender, stats.sender));
                    told_sender = stats.sender;
                }
                progress.set_message(one_line(&stats));
                progress.tick();
            }
            _ = seconds.tick() => {
                let stats = stats.snapshot();
                if let Some(words) = advice.on_figures(&stats) {
                    progress.suspend(|| note!("{words}"));
                }
                say::only_json(|| figures_of(&stats));
                match figures {
                    Figures::Lines if say::is_json() => {}
                    Figures::Lines => say!("{}", logfmt(&stats)),
                    // Without pictures, the last rate must not remain.
                    Figures::Spinner => progress.set_message(one_line(&stats)),
                }
            }
            Some(link) = next_link(&mut link) => if told != Some(link) {
                // Several attempts a second: each reason is reported once.
                progress.suspend(|| tell(link));
                told = Some(link);
            },
            () = &mut patience, if is_patient => {
                is_patient = false;
                // The state of a connection is printed anyway.
                if link.is_none() && stats.snapshot().received == 0 {
                    progress.suspend(|| note!("{}", nothing_came(url, receiver)));
                }
            }
            event = secure::next(code) => {
                let event = event?;
                if let Some(code) = code {
                    progress.suspend(|| code.tell(&event));
                }
            }
            error = stopped(recording) => progress.suspend(|| tell!("{error}; still watching")),
            closed = closed(&mut window) => break closed?,
            () = sleep_until(end) => break,
            pressed = &mut pressed => break pressed?,
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Waits for the next state of the connection.
async fn next_link(link: &mut Option<Subscriber<ConnectionState>>) -> Option<ConnectionState> {
    match link {
        Some(link) => link.next().await,
        None => None,
    }
}

fn tell(link: ConnectionState) {
    match link {
        ConnectionState::Up { peer } => say::result(
            &Object::new("connected").text("peer", peer),
            format_args!("connected {peer}"),
        ),
        ConnectionState::Down { why } => note!("not connected: {why}; retrying"),
        _ => {}
    }
}

/// Reports the sender of the pictures, so that an unexpected one is noticed.
fn tell_sender(before: Option<SocketAddr>, sender: Option<SocketAddr>) {
    match (before, sender) {
        (None, Some(sender)) => say!("pictures from {sender}"),
        (Some(before), Some(sender)) => {
            say!("pictures from {sender} now, previously from {before}");
        }
        (_, None) => {}
    }
}

/// Waits until the window is closed; pending if there is none.
async fn closed(window: &mut Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) => Ok(window.closed().await?),
        None => std::future::pending().await,
    }
}

/// Prints the events of a code: pairings, and the next code. Returns only if one cannot be drawn.
async fn tell_events(code: &mut Option<Shown>) -> anyhow::Result<()> {
    loop {
        let event = secure::next(code).await?;
        if let Some(code) = code {
            code.tell(&event);
        }
    }
}

async fn snapshot(
    url: &Address,
    receiver: &Receiver,
    path: &Path,
    limit: Duration,
    code: &mut Option<Shown>,
) -> anyhow::Result<()> {
    let mut pictures = receiver.pictures();
    let first = tokio::select! {
        // Pairing comes before the picture.
        biased;
        ended = tell_events(code) => return ended,
        first = timeout(limit, pictures.next()) => first.ok().flatten(),
        pressed = interrupt::pressed() => {
            pressed?;
            None
        }
    };
    let Some(picture) = first else {
        bail!(nothing_came(url, receiver));
    };
    let jpeg = jpeg::encode(&picture, jpeg::DEFAULT_QUALITY)?;
    write_whole(path, jpeg.data())
        .await
        .with_context(|| format!("cannot write {}", path.display()))?;
    tell_sender(None, receiver.stats().snapshot().sender);
    say!("saved     {}", path.display());
    Ok(())
}

/// What a filter has rejected, for a user who waits for a picture.
fn left_out(receiver: &Receiver) -> String {
    let stats = receiver.stats().snapshot();
    if let Some(why) = stats.why_unopened {
        return format!("; {}", unopened::words(why));
    }
    match stats.filtered {
        0 => String::new(),
        filtered => format!(
            "; {filtered} datagrams were ignored: from hosts other than --from, or not sent to the group"
        ),
    }
}

/// An existing picture is replaced only by a complete one.
async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The target of a link is replaced, not the link; a device is written to.
    let path = &fs::canonicalize(path)
        .await
        .unwrap_or_else(|_new| path.to_owned());
    if fs::metadata(path).await.is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes).await;
    }
    let (path, bytes) = (path.to_owned(), bytes.to_owned());
    let written = spawn_blocking(move || {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // An unpredictable name, which cannot exist already as a link to elsewhere.
        let mut part = tempfile::Builder::new();
        part.prefix(".sockkit-").suffix(".part");
        #[cfg(unix)]
        part.permissions(permissions(&path));
        let mut part = part.tempfile_in(folder)?;
        part.write_all(&bytes)?;
        part.persist(&path)?;
        Ok(())
    });
    written.await?
}

/// Those of the picture that is replaced; for a new one, according to the umask.
#[cfg(unix)]
fn permissions(path: &Path) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;

    let old = std::fs::metadata(path).map(|old| old.permissions().mode());
    PermissionsExt::from_mode(old.unwrap_or(0o666) & 0o666)
}

/// A recording that runs until the pictures end, or the disk fails.
struct Recording {
    task: JoinHandle<Result<RecordSummary, RecordError>>,
    /// Its result, once known.
    ended: Option<anyhow::Result<RecordSummary>>,
}

impl Recording {
    async fn start(
        receiver: &Receiver,
        path: &Path,
        config: RecorderConfig,
    ) -> anyhow::Result<Self> {
        let mut recorder = Recorder::create(path, config)
            .await
            .context("cannot record; choose another file with --record")?;
        say!("recording {}", path.display());
        let mut pictures = receiver.pictures();
        let task = tokio::spawn(async move {
            recorder.follow(&mut pictures).await?;
            recorder.finish().await
        });
        Ok(Self { task, ended: None })
    }

    async fn finish(self) -> anyhow::Result<RecordSummary> {
        match self.ended {
            Some(ended) => ended,
            None => Ok(self.task.await.context("the recorder was stopped")??),
        }
    }
}

/// Waits until the recording fails, and returns once; pending if there is none.
async fn stopped(recording: &mut Option<Recording>) -> String {
    if let Some(Recording {
        task,
        ended: ended @ None,
    }) = recording
    {
        let joined = task.await.context("the recorder was stopped");
        if let Err(error) = ended.insert(joined.and_then(|ended| Ok(ended?))) {
            return format!("{error:#}");
        }
    }
    std::future::pending().await
}

fn one_line(stats: &Stats) -> String {
    let age = match (stats.age_p50, stats.age_error) {
        (Some(age), Some(error)) => format!("{:.1} ± {:.1} ms", millis(age), millis(error)),
        _ => "of unknown age".to_owned(),
    };
    let from = stats.sender.map(|sender| format!(", from {sender}"));
    format!(
        "{} pictures, {:.1}/s, {} lost, {} late, {age}{}",
        stats.received,
        stats.frames_per_second,
        stats.lost,
        stats.late,
        from.unwrap_or_default()
    )
}

/// Statistics for programs: `name=value`, `-` for an unknown value.
fn logfmt(stats: &Stats) -> String {
    let millis = |age: Option<Duration>| {
        age.map_or_else(|| "-".to_owned(), |age| format!("{:.3}", millis(age)))
    };
    format!(
        "received={} rate={:.1} lost={} late={} skipped={} refused={} restarts={} \
         age_p50_ms={} age_p99_ms={} age_error_ms={} filtered={} unopened={} sender={}",
        stats.received,
        stats.frames_per_second,
        stats.lost,
        stats.late,
        stats.skipped,
        stats.refused,
        stats.restarts,
        millis(stats.age_p50),
        millis(stats.age_p99),
        millis(stats.age_error),
        stats.filtered,
        stats.unopened,
        stats
            .sender
            .map_or_else(|| "-".to_owned(), |sender| sender.to_string()),
    )
}

/// The same as an object.
fn figures_of(stats: &Stats) -> Object {
    let age = |age: Option<Duration>| age.map(millis);
    Object::new("pictures")
        .number("received", stats.received)
        .float("rate", Some(stats.frames_per_second))
        .number("lost", stats.lost)
        .number("late", stats.late)
        .float("age_p50_ms", age(stats.age_p50))
        .float("age_p99_ms", age(stats.age_p99))
        .text(
            "sender",
            stats.sender.map_or_else(String::new, |at| at.to_string()),
        )
}

fn millis(age: Duration) -> f64 {
    age.as_secs_f64() * 1_000.0
}

/// A running camera sends within a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// A day: the command ends even without a limit.
const MAX_SECONDS: u64 = 24 * 3_600;
