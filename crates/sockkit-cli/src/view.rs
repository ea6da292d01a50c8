//! `sockkit view`: a stream in the browser, on disk, or as figures.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    link::Address,
    picture::jpeg,
    sink::{
        record::{RecordError, RecordSummary, Recorder, RecorderConfig},
        web::{Embedding, Viewer, ViewerConfig, ViewerStream},
        window::Window,
    },
    stream::{Link, Receiver, Stats},
};
use tokio::{
    fs,
    signal::ctrl_c,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    address::{pictures, web},
    incoming,
    say::say,
    unopened::{self, Advice},
};

/// Watch what `sockkit cam` sends: figures, browser, recording, snapshot
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// udp://ADDR:PORT to receive at, or of the group to join; tcp://HOST:PORT or
    /// quic://HOST:PORT of a cam to connect to
    #[arg(value_name = "ADDRESS", value_parser = pictures)]
    url: Address,
    /// Serve the picture to browsers here
    #[arg(long, value_name = "ADDR", value_parser = web)]
    web: Option<Address>,
    /// Let pages of this origin (http://HOST[:PORT]) show the picture in an
    /// <img>, or any page; repeat it for several
    #[arg(long, value_name = "ORIGIN|any", requires = "web")]
    allow_embedding: Vec<Embedding>,
    /// Show the picture in a window; q, Escape or its close button ends
    #[arg(long)]
    window: bool,
    /// Record to this MP4, which must not exist yet
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Record in H.264: a tenth of the size, and what browsers and phones play
    #[cfg(feature = "h264")]
    #[arg(long, requires = "record")]
    h264: bool,
    /// Save the first picture as JPEG, and end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["web", "window", "record", "stats"])]
    snapshot: Option<PathBuf>,
    /// Print one line of figures a second
    #[arg(long)]
    stats: bool,
    /// The interface by which to join a group, by name, number or address
    #[arg(long)]
    interface: Option<InterfaceSelector>,
    /// Take pictures from this host alone, not from others that send here
    #[arg(long, value_name = "ADDR")]
    from: Option<IpAddr>,
    /// The key that cam has as well: shows what is sealed with it, and nothing else
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// End after so many seconds; without it, Ctrl-C ends
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
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

/// Watches until the time is up or Ctrl-C is pressed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let recorder_config = args.recorder_config();
    let wishes = incoming::Wishes {
        interface: args.interface,
        from: args.from,
        key: args.key,
    };
    let receiver = incoming::open(&args.url, wishes).await?;
    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    if let Some(path) = &args.snapshot {
        return snapshot(&args.url, &receiver, path, limit).await;
    }
    let viewer = match &args.web {
        Some(address) => Some(serve(&receiver, address, args.allow_embedding).await?),
        None => None,
    };
    let mut recording = match &args.record {
        Some(path) => Some(Recording::start(&receiver, path, recorder_config).await?),
        None => None,
    };

    let window = match args.window {
        true => Some(open_window(&receiver).await?),
        false => None,
    };

    let figures = match args.stats {
        true => Figures::Lines,
        false => Figures::Spinner,
    };
    let watched = watch(&receiver, limit, figures, window, &mut recording).await;
    let stats = receiver.stats().snapshot();
    // The recording ends with the pictures.
    receiver.shutdown().await;
    if let Some(viewer) = viewer {
        viewer.shutdown().await;
    }
    say!("received  {}", one_line(&stats));
    if let (Some(recording), Some(path)) = (recording, &args.record) {
        let summary = recording.finish().await?;
        say!(
            "recorded  {} pictures in {}",
            summary.frames,
            path.display()
        );
    }
    watched
}

async fn open_window(receiver: &Receiver) -> anyhow::Result<Window> {
    Window::open("sockkit view", receiver.pictures())
        .await
        .context("without a display use --web")
}

/// How to show how it goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Figures {
    /// On a terminal, as often as there is a picture.
    Spinner,
    /// One line a second on standard output.
    Lines,
}

async fn watch(
    receiver: &Receiver,
    limit: Duration,
    figures: Figures,
    mut window: Option<Window>,
    recording: &mut Option<Recording>,
) -> anyhow::Result<()> {
    let progress = match figures {
        Figures::Spinner => ProgressBar::new_spinner(),
        Figures::Lines => ProgressBar::hidden(),
    };
    let (mut pictures, stats) = (receiver.pictures(), receiver.stats());
    let (mut link, mut told) = (receiver.link(), None);
    let (mut told_sender, mut advice) = (None, Advice::default());
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.reset();
    let end = Instant::now() + limit;
    let pressed = ctrl_c();
    tokio::pin!(pressed);
    loop {
        tokio::select! {
            Some(_) = pictures.next() => {
                let stats = stats.snapshot();
                // A connection was told when it was made.
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
                    progress.suspend(|| eprintln!("{words}"));
                }
                match figures {
                    Figures::Lines => say!("{}", logfmt(&stats)),
                    // Where no pictures come, the last rate must not stay.
                    Figures::Spinner => progress.set_message(one_line(&stats)),
                }
            }
            Some(link) = next_link(&mut link) => if told != Some(link) {
                // Tried several times a second: each reason is news but once.
                progress.suspend(|| tell(link));
                told = Some(link);
            },
            error = stopped(recording) => progress.suspend(|| eprintln!("{error}; watching on")),
            closed = closed(&mut window) => break closed?,
            () = sleep_until(end) => break,
            pressed = &mut pressed => break pressed.context("cannot wait for Ctrl-C")?,
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// How the connection stands now, when that has changed.
async fn next_link(link: &mut Option<Subscriber<Link>>) -> Option<Link> {
    match link {
        Some(link) => link.next().await,
        None => None,
    }
}

fn tell(link: Link) {
    match link {
        Link::Up { peer } => say!("connected {peer}"),
        Link::Down { why } => eprintln!("not connected: {why}; trying on"),
        _ => {}
    }
}

/// Whose pictures these are; nothing else would tell a stranger's.
fn tell_sender(before: Option<SocketAddr>, sender: Option<SocketAddr>) {
    match (before, sender) {
        (None, Some(sender)) => say!("pictures from {sender}"),
        (Some(before), Some(sender)) => {
            say!("pictures from {sender} now, before from {before}");
        }
        (_, None) => {}
    }
}

/// Returns when the window is closed, and never if there is none.
async fn closed(window: &mut Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) => Ok(window.closed().await?),
        None => std::future::pending().await,
    }
}

async fn snapshot(
    url: &Address,
    receiver: &Receiver,
    path: &Path,
    limit: Duration,
) -> anyhow::Result<()> {
    let mut pictures = receiver.pictures();
    let first = tokio::select! {
        first = timeout(limit, pictures.next()) => first.ok().flatten(),
        pressed = ctrl_c() => {
            pressed?;
            None
        }
    };
    let Some(picture) = first else {
        match receiver.link().and_then(|link| link.latest()) {
            Some(Link::Down { why }) => bail!("no picture came from {url}: {why}"),
            _ => bail!("no picture came from {url}{}", left_out(receiver)),
        }
    };
    let jpeg = jpeg::encode(&picture, jpeg::DEFAULT_QUALITY)?;
    write_whole(path, jpeg.data())
        .await
        .with_context(|| format!("cannot write {}", path.display()))?;
    tell_sender(None, receiver.stats().snapshot().sender);
    say!("saved     {}", path.display());
    Ok(())
}

/// What a filter kept out, for who waits for a picture in vain.
fn left_out(receiver: &Receiver) -> String {
    let stats = receiver.stats().snapshot();
    if let Some(why) = stats.why_unopened {
        return format!("; {}", unopened::words(why));
    }
    match stats.filtered {
        0 => String::new(),
        filtered => format!(
            "; {filtered} datagrams came from other hosts than --from names, or not to the group"
        ),
    }
}

/// An old picture stays until the new one is whole.
async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What is behind a link is replaced, not the link; and a device is written to.
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
        // A name that cannot have been made beforehand, as a link to elsewhere.
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

/// Those of the picture that is replaced; for a new one, what the umask leaves.
#[cfg(unix)]
fn permissions(path: &Path) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;

    let old = std::fs::metadata(path).map(|old| old.permissions().mode());
    PermissionsExt::from_mode(old.unwrap_or(0o666) & 0o666)
}

async fn serve(
    receiver: &Receiver,
    address: &Address,
    embeddings: Vec<Embedding>,
) -> anyhow::Result<Viewer> {
    let stream = ViewerStream::new("view", receiver.pictures()).stats(receiver.stats());
    let at = address.to_bind().await?;
    let at = *at.first().context("no address to serve the browser at")?;
    let config = ViewerConfig::default().address(at);
    let config = embeddings
        .into_iter()
        .fold(config, ViewerConfig::allow_embedding);
    let viewer = Viewer::bind(config, [stream])
        .await
        .context("cannot serve the browser; choose another address with --web")?;
    say!("watch     http://{}/", viewer.address());
    Ok(viewer)
}

/// A recording that runs until its pictures end, or its disk fails.
struct Recording {
    task: JoinHandle<Result<RecordSummary, RecordError>>,
    /// How it ended, once that has been seen.
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

/// Returns when the recording has failed, once, and never if there is none.
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

/// The figures for programs: `name=value`, `-` where a value is unknown.
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

fn millis(age: Duration) -> f64 {
    age.as_secs_f64() * 1_000.0
}

/// A day: without a limit of its own it still ends.
const MAX_SECONDS: u64 = 24 * 3_600;
