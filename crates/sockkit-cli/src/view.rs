//! `sockkit view`: a stream in the browser, on disk, or as statistics.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::{
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    link::{Address, Scheme},
    picture::{Picture, jpeg},
    sink::{
        record::{RecordError, RecordSummary, Recorder, RecorderConfig},
        web::WebStream,
        window::Window,
    },
    stream::Receiver,
};
use tokio::{
    fs,
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    address::{self, PICTURES_PORT, RECEIVED},
    cam::{PUSHED, VIEWERS},
    find, incoming, interrupt,
    json::Object,
    key,
    link::say_plain,
    progress,
    remote::{self, Remote, bare_name},
    routed,
    say::{self, say, tell},
    secure::{self, Secure, Shown},
    sources::{Source, tell_sender},
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
    /// Save the first picture as JPEG, to this file, which must not exist yet, and exit
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
    fn choices(&self) -> Choices {
        Choices {
            has_page: self.web.is_wanted(),
            alone: [
                ("--record", self.record.is_some()),
                ("--snapshot", self.snapshot.is_some()),
                ("--window", self.window),
            ],
        }
    }

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
fn receiving(text: &str) -> anyhow::Result<Address> {
    address::parse(RECEIVED, text)
}

/// Runs until the time is up or Ctrl-C is pressed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.cameras.is_empty() && args.listen.is_none() {
        return find::cameras().await;
    }
    let recorder_config = args.recorder_config();
    let choices = args.choices();
    let wishes = Wishes {
        interface: args.interface,
        from: args.from,
        key: args.key,
        routers: args.routers,
        secure: args.secure,
    };
    check_several(&choices, args.cameras.len())?;
    if let Some(path) = &args.snapshot {
        check_free(path)?;
    }
    let mut opened = match &args.listen {
        Some(at) => vec![listen(at, &wishes).await?],
        None => open_all(args.cameras, &wishes).await?,
    };
    check_several(&choices, opened.len())?;
    let mut code = opened[0].code.take();
    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let first = &opened[0].receiver;
    let sources = sources(&opened);
    if let Some(path) = &args.snapshot {
        return snapshot(&sources[0], first, path, limit, &mut code).await;
    }
    let viewer = args.web.serve(opened.iter().map(Watched::stream)).await?;
    let mut recording = match &args.record {
        Some(path) => Some(Recording::start(first, path, recorder_config).await?),
        None => None,
    };

    let window = match args.window {
        true => Some(open_window(first).await?),
        false => None,
    };

    let figures = match args.stats {
        true => Figures::Lines,
        false => Figures::Spinner,
    };
    let watched = watch(
        &sources,
        first.pictures(),
        limit,
        figures,
        window,
        (&mut recording, &mut code),
    );
    let watched = watched.await;
    let results: Vec<_> = sources
        .iter()
        .map(|source| (source.figures(), source.one_line()))
        .collect();
    let silent = sources.iter().filter(|source| source.is_silent());
    let silent: Vec<_> = silent.map(Source::nothing_came).collect();
    // The recording ends with the pictures.
    for watched in opened {
        watched.receiver.shutdown().await;
    }
    if let Some(viewer) = viewer {
        viewer.shutdown().await;
    }
    for (event, line) in results {
        say::result(&event, format_args!("received  {line}"));
    }
    if let Some(recording) = recording {
        say_recorded(&recording.finish().await?);
    }
    watched?;
    ensure!(silent.is_empty(), "{}", silent.join("; "));
    Ok(())
}

/// What only one source can have, and whether it is wanted.
struct Choices {
    has_page: bool,
    alone: [(&'static str, bool); 3],
}

/// Rejects several sources where one of them would be taken without a word.
fn check_several(choices: &Choices, sources: usize) -> anyhow::Result<()> {
    if sources <= 1 {
        return Ok(());
    }
    if let Some((option, _)) = choices.alone.iter().find(|(_, is_wanted)| *is_wanted) {
        bail!(
            "{option} takes one source, and there are {sources}: run another `sockkit view` for \
             each of the others"
        );
    }
    ensure!(
        choices.has_page,
        "several sources are shown on one page: add --web"
    );
    Ok(())
}

/// Rejects an existing file before there is a picture. As with --record, none is replaced;
/// what is no file, such as a pipe, is written to.
fn check_free(path: &Path) -> anyhow::Result<()> {
    let is_taken = path
        .metadata()
        .is_ok_and(|there| there.is_file() || there.is_dir());
    ensure!(
        !is_taken,
        "{} exists; choose another file with --snapshot",
        path.display()
    );
    Ok(())
}

/// What is told of them: with names if there are several.
fn sources(opened: &[Watched]) -> Vec<Source> {
    let sources = opened.iter().map(|watched| {
        let source = Source::new(&watched.name, &watched.url, &watched.receiver);
        match opened.len() {
            1 => source,
            _ => source.labelled(),
        }
    });
    sources.collect()
}

/// Names every file: a new one begins each time that the pictures' size changes.
fn say_recorded(summary: &RecordSummary) {
    let files = summary.files.iter().map(|file| file.display().to_string());
    let files: Vec<_> = files.collect();
    for file in &files {
        say::only_json(|| Object::new("recorded").text("path", file));
    }
    match &files[..] {
        [] => say!("recorded  0 pictures, and so no file"),
        [file] => say!("recorded  {} pictures in {file}", summary.frames),
        files => say!(
            "recorded  {} pictures in {} files, as their size changed: {}",
            summary.frames,
            files.len(),
            files.join(", ")
        ),
    }
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
    sources: &[Source],
    mut pictures: Subscriber<Picture>,
    limit: Duration,
    figures: Figures,
    mut window: Option<Window>,
    (recording, code): (&mut Option<Recording>, &mut Option<Shown>),
) -> anyhow::Result<()> {
    let progress = match figures {
        Figures::Spinner => progress::spinner(),
        Figures::Lines => ProgressBar::hidden(),
    };
    // They end with this function.
    let mut telling = JoinSet::new();
    for source in sources {
        telling.spawn(source.clone().tell_events(progress.clone()));
    }
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.reset();
    let end = Instant::now() + limit;
    let pressed = interrupt::pressed();
    tokio::pin!(pressed);
    loop {
        tokio::select! {
            Some(_) = pictures.next() => {
                progress.set_message(in_one_line(sources));
                progress.tick();
            }
            _ = seconds.tick() => {
                // Without pictures, the last rate must not remain.
                progress.set_message(in_one_line(sources));
                for source in sources {
                    say::only_json(|| source.figures());
                    if figures == Figures::Lines && !say::is_json() {
                        say!("{}", source.logfmt());
                    }
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

fn in_one_line(sources: &[Source]) -> String {
    let lines: Vec<_> = sources.iter().map(Source::one_line).collect();
    lines.join("; ")
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
    source: &Source,
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
        bail!(source.nothing_came());
    };
    let jpeg = jpeg::encode(&picture, jpeg::DEFAULT_QUALITY)?;
    write_whole(path, jpeg.data())
        .await
        .with_context(|| format!("cannot write {}", path.display()))?;
    tell_sender("", None, receiver.stats().snapshot().sender);
    say!("saved     {}", path.display());
    Ok(())
}

/// The picture gets its name when it is complete.
async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
        // As for any new file, the umask restricts them.
        #[cfg(unix)]
        part.permissions(PermissionsExt::from_mode(0o666));
        let mut part = part.tempfile_in(folder)?;
        part.write_all(&bytes)?;
        part.persist_noclobber(&path)?;
        Ok(())
    });
    written.await?
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

/// A day: the command ends even without a limit.
const MAX_SECONDS: u64 = 24 * 3_600;
