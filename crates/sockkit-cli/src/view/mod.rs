//! `sockkit view`: a stream in the browser, on disk, or as statistics.

mod opening;
mod recording;
mod snapshot;
mod sources;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use sockkit::{
    interfaces::InterfaceSelector,
    latest::Subscriber,
    link::Address,
    picture::Picture,
    sink::{record::RecorderConfig, window::Window},
    stream::Receiver,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use self::{
    opening::{Named, Watched, Wishes, listen, named, open_all},
    recording::{Recording, say_recorded, stopped},
    sources::Source,
};
use crate::{
    address::{self, RECEIVED},
    find, interrupt, progress, routed,
    say::{self, say, tell},
    secure::{self, Shown},
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
        are_several: args.cameras.len() > 1,
    };
    check_several(&choices, args.cameras.len())?;
    if let Some(path) = &args.snapshot {
        snapshot::check_free(path)?;
    }
    let mut opened = match &args.listen {
        Some(at) => vec![listen(at, &wishes).await?],
        None => open_all(args.cameras, &wishes).await?,
    };
    check_several(&choices, opened.len())?;
    let mut code = opened[0].code.take();
    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let first = &opened[0].receiver;
    let sources = sources(&opened, wishes.secure.is_plain());
    if let Some(path) = &args.snapshot {
        return snapshot::save(&sources[0], first, path, limit, &mut code).await;
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

/// What is told of them: with names if there are several.
fn sources(opened: &[Watched], is_plain: bool) -> Vec<Source> {
    let sources = opened.iter().map(|watched| {
        let source = Source::new(&watched.name, &watched.url, &watched.receiver, is_plain);
        match opened.len() {
            1 => source,
            _ => source.labelled(),
        }
    });
    sources.collect()
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

/// A day: the command ends even without a limit.
const MAX_SECONDS: u64 = 24 * 3_600;
