//! `sockkit cam`: sends a source as datagrams, and to viewers that connect.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{anyhow, bail, ensure};
use sockkit::{
    encode,
    interfaces::InterfaceSelector,
    latest::{self, Publisher},
    link::{Address, Host, Scheme, discovery::Role, pairing::Uses, trust::Right},
    picture::{Picture, jpeg},
    shard::Parity,
    sink::web::WebStream,
    source::{
        Source, SourceConfig, SourceError, SourceSpec,
        camera::{self, CameraError, CameraInfo},
    },
    stream::ConnectionState,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    address::{self, CONNECTED, PICTURES_PORT, destination},
    interrupt,
    json::Object,
    key,
    outgoing::{Outgoing, Wishes},
    players::{self, Players, Settings},
    progress,
    remote::Remote,
    routed,
    say::{self, note, say},
    secure::{self, Purpose, Secure},
    watchers::Many,
    web::Web,
};

/// Send a camera, a test pattern or a clip to viewers that connect, and to hosts and
/// multicast groups
///
/// Without --to and --web it listens, and shows a code for any number of viewers, and the
/// command that they type. With --many it sends each picture once for all of them. Machines
/// that this one is paired with, and that may watch, need no code. Both sides encrypt and
/// authenticate each other; over udp:// by a TCP connection to the same port number. What goes
/// to a group or to zenoh:// is sealed with --key. Players such as ffplay get pictures by
/// rtp:// and rtsp://, which are not encrypted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// camera (or camera:1 …), pattern, clip (the bundled one), or a file
    #[arg(long, default_value = "camera")]
    source: SourceSpec,
    /// Width and height to request from the source, such as 1280x720
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(u32, u32)>,
    /// Pictures a second to request from the source
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// JPEG quality of pictures that are compressed here, 1 to 100
    #[arg(long, value_name = "N", default_value_t = jpeg::DEFAULT_QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// udp://HOST:PORT of a viewer that runs `sockkit view --listen udp://`, or of a
    /// group; rtp://HOST[:PORT] of a player or a group, once; an address to --listen at; or,
    /// if built with zenoh, zenoh://ROUTER/NAME for viewers in other networks; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = destination)]
    to: Vec<Address>,
    /// Local tcp://ADDR:PORT, quic://ADDR:PORT or udp://ADDR:PORT to listen at, for any
    /// number of viewers, or rtsp://[ADDR][:PORT] for players; may be repeated [default:
    /// without --to and --web, every local address, port 5006]
    #[arg(long, value_name = "ADDRESS", value_parser = listening)]
    listen: Vec<Address>,
    /// Write the description that players need for rtp:// to this file, which it replaces
    #[arg(long, value_name = "FILE")]
    sdp: Option<PathBuf>,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    web: Web,
    /// List this machine's cameras and their formats, and exit
    #[arg(long, conflicts_with_all = [
        "source", "size", "rate", "quality", "to", "listen", "sdp", "many", "at", "loss", "parity",
        "key", "viewers_per_host", "interface", "no_announce", "seconds",
    ])]
    list: bool,
    /// Add parity over udp:// for a link with this packet loss in per cent, so that
    /// one of 10,000 pictures is lost; auto follows the loss that receivers
    /// report, up to half of the data
    #[arg(long, value_name = "auto|PERCENT", value_parser = loss, default_value = "auto")]
    loss: Loss,
    /// Parity in per cent of the data, for pictures of any size
    #[arg(long, value_name = "PERCENT", conflicts_with = "loss", value_parser = clap::value_parser!(u8).range(0..=100))]
    parity: Option<u8>,
    /// Seal what goes --to udp:// and zenoh:// with this key, which viewers need too, and
    /// connect to none of them; made by `sockkit key new`
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    key: Option<PathBuf>,
    #[command(flatten)]
    routers: routed::Options,
    /// Maximum number of connected viewers of one host [default: a quarter of
    /// all 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    viewers_per_host: Option<u8>,
    /// The interface for groups: name, index or address
    #[arg(long)]
    interface: Option<InterfaceSelector>,
    /// Do not announce this camera on the network, where `sockkit find` and `sockkit
    /// view NAME` see it
    #[arg(long)]
    no_announce: bool,
    /// Exit after this many seconds; without it, exit on Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    #[command(flatten)]
    secure: secure::Security,
}

impl Args {
    fn source_config(&self) -> SourceConfig {
        let mut config = SourceConfig::default();
        if let Some((width_px, height_px)) = self.size {
            config = config.size(width_px, height_px);
        }
        match self.rate {
            Some(rate_hz) => config.rate_hz(rate_hz),
            None => config,
        }
    }

    /// All addresses to send to and to listen at.
    fn addresses(&self) -> anyhow::Result<Addresses> {
        let mut addresses = Addresses::default();
        for to in self.to.iter().cloned() {
            match to.scheme() {
                Scheme::Udp => addresses.to.push(to),
                Scheme::Zenoh => addresses.routed.push(to),
                Scheme::Rtp | Scheme::Rtsp => addresses.players.push(to),
                _ => addresses.at.push(to),
            }
        }
        for at in self.listen.iter().cloned() {
            match at.scheme() {
                Scheme::Rtsp => addresses.players.push(at),
                _ => addresses.at.push(at),
            }
        }
        if addresses.at.is_empty() {
            addresses.at.extend(self.many.default_address());
        }
        let is_for_others = self.web.is_wanted() || !addresses.players.is_empty();
        if addresses.is_empty() && !is_for_others {
            addresses.at.push(listening("")?);
        }
        Ok(addresses)
    }

    /// How viewers are authenticated: those that are listened for, and those that are
    /// connected to. Others are sent to with --key, or with --plain.
    async fn security(&self, addresses: &Addresses) -> anyhow::Result<Security> {
        let Addresses { to, routed, at, .. } = addresses;
        self.many.check(at, &self.secure)?;
        if addresses.is_empty() && self.secure.is_asked_for() {
            bail!(
                "a browser or a player has neither code nor key: add --listen :{PICTURES_PORT} for \
                 viewers that have, or leave out --code, --known, --allow and --once"
            );
        }
        let (is_plain, has_key) = (self.secure.is_plain(), self.key.is_some());
        if let Some(at) = at.iter().find(|at| at.scheme() == Scheme::Udp && is_plain) {
            bail!(
                "viewers get keys at {at}, so --plain does not listen there: name each viewer with \
                 --to udp://HOST:{}",
                at.port()
            );
        }
        let groups = to.iter().filter(|to| to.group().is_some());
        for to in groups.chain(routed) {
            self.secure.check_sealed(to, has_key)?;
        }
        if let (Some(to), true, true) = (routed.first(), to.is_empty(), at.is_empty()) {
            self.secure.check_unused(to)?;
        }
        if let (Some(to), true, true) = (to.first(), has_key, at.is_empty()) {
            self.secure.check_unused(to)?;
        }
        let listens = match at.is_empty() {
            true => None,
            false => self.secure.listen(VIEWERS).await?,
        };
        let mut pushes = Vec::new();
        if !is_plain && !has_key {
            if self.secure.has_code() && (to.len() > 1 || !(to.is_empty() || at.is_empty())) {
                bail!("one code is for one other side: start another `sockkit cam` for the others");
            }
            for to in to {
                let whom = Remote::Address(to.clone());
                pushes.extend(self.secure.dial(PUSHED, &whom).await?);
            }
        }
        Ok(Security { listens, pushes })
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            quality: self.quality,
            interface: self.interface.as_ref(),
            per_host: self.viewers_per_host,
            sdp: self.sdp.as_deref(),
        }
    }

    /// The interface for viewers, unless it is for players alone.
    fn interface_for(&self, addresses: &Addresses) -> Option<&InterfaceSelector> {
        let has_group = |all: &[Address]| all.iter().any(|to| to.group().is_some());
        let is_theirs =
            has_group(&addresses.players) && !has_group(&addresses.to) && !self.many.many;
        self.interface.as_ref().filter(|_| !is_theirs)
    }

    /// The limit for viewers, unless there are players alone.
    fn per_host_for(&self, addresses: &Addresses) -> Option<u8> {
        let only_players = addresses.is_empty() && !addresses.players.is_empty();
        self.viewers_per_host.filter(|_| !only_players)
    }

    /// `None` follows what receivers report.
    fn parity(&self) -> Option<Parity> {
        match (self.parity, self.loss) {
            (Some(percent), _) => Some(Parity::percent(percent)),
            (None, Loss::Percent(percent)) => {
                Some(Parity::for_loss(f64::from(percent) / 100.0, PICTURES_LOST))
            }
            (None, Loss::Auto) => None,
        }
    }
}

/// Where pictures go.
#[derive(Default)]
pub(crate) struct Addresses {
    /// Hosts and groups that datagrams are sent to.
    pub(crate) to: Vec<Address>,
    /// Routers.
    pub(crate) routed: Vec<Address>,
    /// Where viewers connect.
    pub(crate) at: Vec<Address>,
    /// Players: those that are sent to, and where they connect.
    pub(crate) players: Vec<Address>,
}

impl Addresses {
    /// Whether there are none for viewers.
    fn is_empty(&self) -> bool {
        self.to.is_empty() && self.routed.is_empty() && self.at.is_empty()
    }

    fn all(&self) -> String {
        let all = self.to.iter().chain(&self.routed).chain(&self.at);
        let all: Vec<_> = all.map(ToString::to_string).collect();
        all.join(", ")
    }
}

/// How viewers are authenticated.
pub(crate) struct Security {
    /// Those that connect.
    pub(crate) listens: Option<Secure>,
    /// Those that are connected to, one for each address.
    pub(crate) pushes: Vec<Secure>,
}

/// What the link is taken to lose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loss {
    Auto,
    Percent(u8),
}

fn loss(text: &str) -> Result<Loss, &'static str> {
    if text == "auto" {
        return Ok(Loss::Auto);
    }
    let percent = text
        .parse()
        .ok()
        .filter(|percent| (1..=50).contains(percent));
    percent.map(Loss::Percent).ok_or("auto, or 1 to 50")
}

/// Without a scheme it means TCP.
fn listening(text: &str) -> anyhow::Result<Address> {
    address::parse(CONNECTED, text)
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once(['x', 'X', '×'])
        .and_then(|(width, height)| {
            let side = |text: &str| text.parse().ok().filter(|side| *side > 0);
            Some((side(width)?, side(height)?))
        });
    sides.ok_or_else(|| "a size is written WIDTHxHEIGHT in pixels, such as 1280x720".to_owned())
}

async fn list() -> anyhow::Result<()> {
    let cameras = camera::list().await?;
    if cameras.is_empty() {
        say!("no camera found; use --source pattern, clip or a file");
    }
    cameras.into_iter().for_each(show);
    Ok(())
}

fn show(camera: CameraInfo) {
    let source = format!("camera:{}", camera.index);
    let path = camera.path.map(|path| path.display().to_string());
    let problem = camera.problem.map(|problem| problem.to_string());
    let event = Object::new("camera")
        .text("source", &source)
        .text("name", &camera.name)
        .text("path", path.as_deref().unwrap_or_default())
        .text("problem", problem.as_deref().unwrap_or_default());
    let at = path.map_or_else(String::new, |path| format!(", {path}"));
    say::result(&event, format_args!("{source}  {}{at}", camera.name));
    if let Some(problem) = problem.filter(|_| !say::is_json()) {
        say!("  {problem}");
    }
    for format in camera.formats {
        let format = format.to_string();
        let event = Object::new("format").text("source", &source);
        let event = event.text("format", &format);
        say::result(&event, format_args!("  {format}"));
    }
}

/// What a connection between camera and viewer is for.
pub(crate) const VIEWERS: Purpose = Purpose {
    right: Right::Watch,
    uses: Uses::Many,
    announces: Role::Camera,
    seeks: Role::Camera,
    here: "sockkit view",
    there: "sockkit view",
    address: ToString::to_string,
};

/// What a connection that the camera makes to a viewer is for.
pub(crate) const PUSHED: Purpose = Purpose {
    right: Right::Show,
    uses: Uses::Once,
    announces: Role::Camera,
    seeks: Role::Camera,
    here: "sockkit cam --to",
    there: "sockkit cam --to",
    address: ToString::to_string,
};

/// Sends until the time is up or Ctrl-C is pressed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.list {
        return list().await;
    }
    let key = args.key.as_deref().map(key::load).transpose()?;
    let addresses = args.addresses()?;
    let settings = args.settings();
    players::check(&addresses.players, settings)?;
    let security = args.security(&addresses).await?;
    let mut source = Source::open(&args.source, args.source_config())
        .await
        .map_err(|error| cannot_open(&args.source, error))?;
    let (camera, pictures) = latest::channel();
    // Once for all destinations, and not on the threads that serve sockets.
    let pictures = encode::as_jpeg(pictures, args.quality);
    let wishes = Wishes {
        parity: args.parity(),
        interface: args.interface_for(&addresses),
        group: args.many.group()?,
        viewers_per_host: args.per_host_for(&addresses),
        key,
        routers: &args.routers,
        is_announced: !args.no_announce,
        security,
    };
    let outgoing = Outgoing::bind(&addresses, wishes, &pictures).await?;
    let players = Players::open(&addresses.players, settings, &pictures).await?;
    let mut shown = WebStream::new("camera", pictures.clone());
    if let Some(description) = players.description() {
        shown = shown.sdp(description.to_string());
    }
    let viewer = args.web.serve([shown]).await?;
    let page = viewer
        .as_ref()
        .map(|viewer| args.web.url(viewer.local_addr()));
    players.say(&args.source.to_string(), page.as_deref(), settings.sdp);
    for to in addresses.to.iter().chain(&addresses.routed) {
        say!("sending {} to {to}", args.source);
        if let Some(path) = &args.key {
            say!("there     {}", viewing(to, path));
        }
    }

    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let mut sinks = (outgoing, players);
    let published = publish(&mut source, camera, &mut sinks, &addresses, limit).await?;
    let (outgoing, players) = sinks;
    outgoing.finished().await;
    summarize(source.missed(), &outgoing, &addresses);
    let reached = players.end().await;
    let was_sent = outgoing.has_sent();
    outgoing.shutdown().await;
    if let Some(viewer) = viewer {
        viewer.shutdown().await;
    }
    ensure!(published > 0, "the source gave no picture");
    ensure!(
        was_sent || addresses.is_empty(),
        "nothing was sent; {}",
        unanswered(&addresses)
    );
    reached
}

/// What happened, and what to do without a camera.
fn cannot_open(source: &SourceSpec, error: SourceError) -> anyhow::Error {
    let is_missing = matches!(error, SourceError::Camera(CameraError::NotFound { .. }));
    let error = anyhow::Error::new(error).context(format!("cannot open the source {source}"));
    match is_missing {
        true => anyhow!("{error:#}; --source pattern, clip or a file does without a camera"),
        false => error,
    }
}

/// Publishes the pictures of `source` until the time is up or Ctrl-C is pressed.
/// Returns how many.
async fn publish(
    source: &mut Source,
    camera: Publisher<Picture>,
    (outgoing, players): &mut (Outgoing, Players),
    addresses: &Addresses,
    limit: Duration,
) -> anyhow::Result<u64> {
    let mut published = 0_u64;
    let progress = progress::spinner();
    let end = Instant::now() + limit;
    let pressed = interrupt::pressed();
    tokio::pin!(pressed);
    let patience = sleep(PATIENCE);
    tokio::pin!(patience);
    let mut is_patient = true;
    loop {
        tokio::select! {
            frame = source.next() => {
                camera.publish(frame?);
                published += 1;
                for (to, state) in outgoing.link_events() {
                    progress.suspend(|| tell(&to, state));
                }
                if let Some(words) = outgoing.attendance() {
                    progress.suspend(|| note!("{words}"));
                }
                progress.set_message(one_line(outgoing, players));
                progress.tick();
                players.tell(&progress);
            }
            event = outgoing.code_event() => {
                let event = event?;
                progress.suspend(|| outgoing.tell(&event));
            }
            () = &mut patience, if is_patient => {
                is_patient = false;
                if !addresses.is_empty() && outgoing.reports().is_empty() {
                    progress.suspend(|| note!("{}", unanswered(addresses)));
                }
            }
            () = sleep_until(end) => break,
            pressed = &mut pressed => break pressed?,
        }
    }
    progress.finish_and_clear();
    Ok(published)
}

/// Prints the state of the connection to a viewer.
fn tell(to: &Address, state: ConnectionState) {
    match state {
        ConnectionState::Up { .. } => say!("connected {to}"),
        state if state.is_busy() => {
            note!("not connected to {to}: another camera is shown there; retrying");
        }
        ConnectionState::Down { why } => note!("not connected to {to}: {why}; retrying"),
        _ => {}
    }
}

/// Prints what was sent, and what the viewers report.
fn summarize(missed: u64, outgoing: &Outgoing, addresses: &Addresses) {
    if missed > 0 {
        say!("missed  {} pictures of the source", missed);
    }
    for (to, stats, sent) in outgoing.figures() {
        let event = Object::new("sent_pictures")
            .text("address", to)
            .number("pictures", stats.sent)
            .number("bytes", stats.bytes)
            .number("skipped", stats.skipped)
            .number("failed", stats.failed);
        say::result(&event, format_args!("sent    {sent}"));
    }
    for (from, report) in outgoing.reports() {
        let age = report.age_p99.as_secs_f64() * 1_000.0;
        let event = Object::new("viewer")
            .text("address", from)
            .number("received", report.received)
            .number("lost", report.lost)
            .float("age_p99_ms", Some(age));
        // The last seconds of pictures may have come after it.
        let text = format_args!(
            "viewer  {from}: by its last report {} received, {} lost, {age:.1} ms old (99th \
             percentile)",
            report.received, report.lost,
        );
        say::result(&event, text);
    }
    // Where viewers connect, one that took a picture and went had no time to report.
    if addresses.at.is_empty() && outgoing.has_sent() && outgoing.reports().is_empty() {
        note!("{}", unanswered(addresses));
    }
}

/// What to check if no viewer reports.
fn unanswered(addresses: &Addresses) -> String {
    format!(
        "no viewer has answered at {}: is `sockkit view` running there, and does a firewall \
         drop the packets?",
        addresses.all()
    )
}

/// The command to run at the viewer.
fn viewing(to: &Address, key: &Path) -> String {
    // A viewer receives at any of its addresses, or in the group, or from the router.
    let at = match to.group().is_some() || to.scheme() == Scheme::Zenoh {
        true => to.clone(),
        false => Address::new(Scheme::Udp, Host::Unspecified, to.port()),
    };
    format!("sockkit view {at} {}", key::option(key))
}

fn one_line(outgoing: &Outgoing, players: &Players) -> String {
    let (viewers, reports) = (outgoing.viewers(), outgoing.reports().len());
    let sent = [outgoing.sent(), players.sent()].concat();
    let now = match viewers {
        0 => String::new(),
        viewers => format!(", {viewers} connected"),
    };
    format!("{}{now}, {reports} report", sent.join(", "))
}

/// A viewer reports within a second or two.
const PATIENCE: Duration = Duration::from_secs(5);

/// The picture loss that `--loss` accepts.
const PICTURES_LOST: f64 = 1e-4;

/// A day: the command ends even without a limit.
const MAX_SECONDS: u64 = 24 * 3_600;
