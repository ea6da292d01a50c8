//! `sockkit send --many`: one pass of multicast for a whole class.

use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sockkit::{
    file::{
        FileSet,
        group::{
            GroupEvent, GroupOffer, GroupSendConfig, GroupSummary, MemberOutcome, MemberSummary,
            NewMember, OnGroupEvent,
        },
    },
    interfaces::InterfaceSelector,
    link::{Acceptor, Connection, Node, pairing::Uses},
};
use tokio::{
    sync::{Notify, mpsc},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    interrupt,
    link::{self, CloseWaiter},
    meeting::Meeting,
    progress, prompt, resume,
    say::{note, say},
    secure::{self, Purpose, Security, Shown},
    send,
    skipped::Skipped,
    transfer::{self, plural},
};

/// Options of `send --many`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To many")]
pub(crate) struct Many {
    /// Send to many receivers in one pass, by multicast: each of them types the line
    /// that is shown here
    #[arg(long, conflicts_with_all = ["to", "name", "web"])]
    pub(crate) many: bool,
    /// Start when so many receivers have accepted, or fail a day after the first has come
    /// [default: when Enter is pressed]
    #[arg(long, value_name = "COUNT", requires = "many")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MAX_MEMBERS as i64))]
    members: Option<u32>,
    /// Send at most this many megabits per second
    #[arg(long, value_name = "MBIT", requires = "many", default_value_t = 80)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
}

/// Sends `paths` to everyone who joins.
pub(crate) async fn send(paths: Vec<PathBuf>, many: Many, meeting: Meeting) -> anyhow::Result<()> {
    transfer::to_its_end(async |goodbye| {
        let mut pressed = pin!(interrupt::pressed());
        let (offer, skipped, members, first) = tokio::select! {
            // The handler is installed before anything is sent.
            biased;
            pressed = &mut pressed => {
                pressed?;
                return Err(transfer::stopped(None));
            }
            begun = begin(paths, &many, &meeting, goodbye) => begun?,
        };
        let sent = transfer(offer, &many, members, first, pressed).await;
        conclude(&sent.inspect_err(|_failed| skipped.tell())?, &skipped)
    })
    .await
}

/// Waits for the first member.
async fn begin(
    paths: Vec<PathBuf>,
    many: &Many,
    meeting: &Meeting,
    goodbye: &CloseWaiter,
) -> anyhow::Result<(GroupOffer, Skipped, Members, Connection)> {
    if many.members.is_none() && !std::io::stdin().is_terminal() {
        bail!("there is no terminal on which Enter could start it: add --members COUNT");
    }
    let secure = meeting.secure.listen(MEMBERS).await?;
    let Some(secure) = secure else {
        bail!("--many hands out a key, so it needs encryption: leave out --plain");
    };
    let offer = spawn_blocking(move || prepare(paths));
    let (offer, skipped) = offer.await.context("reading the files was cancelled")??;
    let node = secure.node(Node::default().max_connections(MAX_MEMBERS));
    let (acceptor, code) = link::open(&node, meeting, MEMBERS, Some(secure), goodbye).await?;
    if let Some(wanted) = many.members {
        let have = if wanted == 1 { "has" } else { "have" };
        let wanted = plural(wanted as usize, "receiver");
        note!("starts when {wanted} {have} accepted; Ctrl-C stops");
    }
    let mut members = Members {
        acceptor,
        code,
        security: meeting.secure.clone(),
        resume: None,
    };
    let first = members.next().await?;
    Ok((offer, skipped, members, first))
}

fn prepare(paths: Vec<PathBuf>) -> anyhow::Result<(GroupOffer, Skipped)> {
    let files = FileSet::gather(&paths)?;
    let skipped = Skipped::of(&files);
    skipped.announce(files.manifest())?;
    Ok((GroupOffer::prepare(files)?, skipped))
}

/// Accepts the members, and tells what happens to the code.
struct Members {
    acceptor: Acceptor,
    code: Option<Shown>,
    security: Security,
    /// How the users resume, once a member has come.
    resume: Option<String>,
}

impl Members {
    /// Accepts the next member.
    ///
    /// # Cancel safety
    /// Cancel safe.
    async fn next(&mut self) -> anyhow::Result<Connection> {
        loop {
            tokio::select! {
                biased;
                event = secure::next(&mut self.code) => {
                    let event = event?;
                    if let Some(code) = &self.code {
                        code.tell(&event);
                    }
                }
                accepted = self.acceptor.accept() => {
                    let connection = accepted.context("cannot accept")?;
                    link::warn_of_namesakes(&connection);
                    self.note_how_to_resume(&connection);
                    return Ok(connection);
                }
            }
        }
    }
}

impl Members {
    /// One that came by the code needs what is typed in its place; then others can, too.
    fn note_how_to_resume(&mut self, connection: &Connection) {
        let known_as = self.code.as_ref().and_then(Shown::known_as);
        let peer = connection.peer();
        let how = resume::listened(MEMBERS, &self.security, known_as.as_deref(), peer);
        if self
            .resume
            .as_deref()
            .is_none_or(|before| before == resume::SAME)
        {
            self.resume = Some(how);
        }
    }
}

/// Says how to call the member, and by what it is known when it comes back.
fn new_member(connection: Connection) -> NewMember<Connection> {
    let address = connection.peer_addr().to_string();
    let label = link::shown_peer(&connection, &address);
    let key = (connection.peer()).map(|peer| *peer.fingerprint.as_bytes());
    let ip = connection.peer_addr().ip();
    let member = NewMember::new(connection, label).address(ip);
    match key {
        Some(key) => member.key(key),
        None => member,
    }
}

/// How it ended, as far as the exit code and the last words depend on it.
struct Sent {
    summary: GroupSummary,
    /// If it was stopped before the end.
    stopped: Option<Stopped>,
    resume: Option<String>,
}

enum Stopped {
    ByUser,
    /// So few came.
    Waiting {
        ready: usize,
        wanted: u32,
    },
}

async fn transfer(
    offer: GroupOffer,
    many: &Many,
    mut members: Members,
    first: Connection,
    pressed: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Sent> {
    let crowd = Arc::new(Crowd::new(many.members));
    let mut config = GroupSendConfig::random()
        .context("cannot choose a group")?
        .name(transfer::own_name())
        .bits_per_second(many.rate * 1_000_000)
        .on_event(show_events(
            Arc::clone(&crowd),
            offer.manifest().total_bytes(),
        ));
    // Multicast leaves where the members are.
    if let Some(ip) = first.local_ip() {
        config = config.outgoing(InterfaceSelector::Address(ip));
    }
    let (admit, admitted) = mpsc::channel(1);
    let mut stopped = None;
    let stop = async {
        stopped = Some(tokio::select! {
            _pressed = pressed => Stopped::ByUser,
            too_few = crowd.overdue() => too_few,
        });
        crowd.is_stopped.store(true, Ordering::Relaxed);
    };
    let sending = offer.send(config, admitted, crowd.complete(), stop);
    let admitting = async {
        admit.send(new_member(first)).await.ok();
        loop {
            let next = members.next().await?;
            admit.send(new_member(next)).await.ok();
        }
    };
    let sent = tokio::select! {
        sent = sending => sent,
        failed = admitting => {
            let failed: anyhow::Result<()> = failed;
            failed?;
            bail!("cannot accept")
        }
    };
    crowd.bar.finish_and_clear();
    Ok(Sent {
        summary: sent?,
        stopped,
        resume: members.resume,
    })
}

/// Who has accepted, and is still there.
struct Crowd {
    /// How many it starts with; without, at a key.
    wanted: Option<u32>,
    /// Their labels, each of one connection.
    ready: Mutex<BTreeSet<String>>,
    changed: Notify,
    has_begun: AtomicBool,
    is_stopped: AtomicBool,
    bar: ProgressBar,
}

impl Crowd {
    fn new(wanted: Option<u32>) -> Self {
        let waiting = ProgressStyle::with_template("{wide_msg}").expect("the template is constant");
        Self {
            wanted,
            ready: Mutex::default(),
            changed: Notify::default(),
            has_begun: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            bar: progress::bar().with_style(waiting),
        }
    }

    /// Returns how many there are now.
    fn add(&self, member: &str) -> usize {
        let mut ready = self.ready();
        ready.insert(member.to_owned());
        self.changed.notify_one();
        ready.len()
    }

    /// Who is gone before the start is not counted.
    fn remove(&self, member: &str) {
        self.ready().remove(member);
        self.changed.notify_one();
    }

    fn ready(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once so many are there, and says for how many it waits.
    async fn reaches(&self, wanted: u32) {
        loop {
            let ready = self.ready().len();
            let Some(more @ 1..) = (wanted as usize).checked_sub(ready) else {
                return;
            };
            let here = waits(ready, wanted, more);
            self.bar.set_message(here.clone());
            if timeout(A_FEW_SECONDS, self.changed.notified())
                .await
                .is_err()
            {
                (self.bar).suspend(|| note!("{here}, for a day at most; Ctrl-C stops"));
                self.changed.notified().await;
            }
        }
    }

    /// Returns when it is to start: with so many, or at a key.
    async fn complete(&self) {
        match self.wanted {
            Some(wanted) => self.reaches(wanted).await,
            None => {
                while self.ready().is_empty() {
                    self.changed.notified().await;
                }
                if prompt::enter("press Enter to start\n").await.is_err() {
                    std::future::pending().await
                }
            }
        }
        self.bar.set_message("");
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Returns if so many are not there within a day: then the receivers give up, too.
    async fn overdue(&self) -> Stopped {
        sleep(A_DAY).await;
        match self.wanted {
            Some(wanted) if !self.has_begun.load(Ordering::Relaxed) => Stopped::Waiting {
                ready: self.ready().len(),
                wanted,
            },
            _ => std::future::pending().await,
        }
    }
}

/// Such as `2 of 3 receivers are here; waiting for 1 more`.
fn waits(ready: usize, wanted: u32, more: usize) -> String {
    let verb = if ready == 1 { "is" } else { "are" };
    let wanted = plural(wanted as usize, "receiver");
    format!("{ready} of {wanted} {verb} here; waiting for {more} more")
}

fn show_events(crowd: Arc<Crowd>, total_bytes: u64) -> OnGroupEvent {
    let bar = crowd.bar.clone();
    OnGroupEvent::new(move |event| match event {
        GroupEvent::Ready { member } => {
            let ready = crowd.add(&member);
            let of = match crowd.wanted {
                Some(wanted) if ready <= wanted as usize => format!(" of {wanted}"),
                _ => String::new(),
            };
            bar.suspend(|| note!("{member} has accepted ({ready}{of})"));
        }
        GroupEvent::Deaf { member } => bar.suspend(|| {
            note!("{member} does not hear the group; it is served over its own connection");
        }),
        GroupEvent::Sent { bytes } => {
            if bar.length().is_none() {
                bar.set_style(transfer::style());
                bar.set_length(total_bytes);
                bar.reset_elapsed();
            }
            bar.inc(bytes);
        }
        GroupEvent::Over => bar.set_message("all sent; waiting for the last"),
        GroupEvent::Ended { member } => {
            if matches!(member.outcome, MemberOutcome::Failed(_)) {
                crowd.remove(&member.label);
            }
            // Once it is stopped all end at once, and are listed.
            if !crowd.is_stopped.load(Ordering::Relaxed) {
                bar.suspend(|| note!("{}", line(&member)));
            }
        }
        _ => {}
    })
}

fn line(member: &MemberSummary) -> String {
    let label = &member.label;
    match &member.outcome {
        MemberOutcome::Complete => format!("{label} has everything"),
        MemberOutcome::Without(1) => format!("{label} has everything but 1 file"),
        MemberOutcome::Without(files) => format!("{label} has everything but {files} files"),
        MemberOutcome::Failed(why) => format!("{label} does not have everything: {why}"),
        _ => format!("{label} has ended"),
    }
}

/// The members that lack something, or all if it was stopped, and the exit code.
fn conclude(sent: &Sent, skipped: &Skipped) -> anyhow::Result<()> {
    skipped.tell();
    let summary = &sent.summary;
    let is_complete = |member: &&MemberSummary| member.outcome == MemberOutcome::Complete;
    let complete = summary.members.iter().filter(is_complete).count();
    let all = summary.members.len();
    say!(
        "{complete} of {all} have everything; multicast {}, fetched {}{}",
        HumanBytes(summary.multicast_bytes),
        HumanBytes(summary.fetched_bytes),
        skipped.totals()
    );
    if complete == all {
        return match skipped.lack() {
            Some(lack) => bail!("{lack}"),
            None => Ok(()),
        };
    }
    let is_told = |member: &&MemberSummary| sent.stopped.is_some() || !is_complete(member);
    for member in summary.members.iter().filter(is_told) {
        say!("{}", line(member));
    }
    let has_moved = summary.multicast_bytes + summary.fetched_bytes > 0;
    let how = sent.resume.as_deref().unwrap_or(resume::SAME);
    match sent.stopped {
        Some(Stopped::ByUser) => Err(transfer::stopped(has_moved.then(|| how.to_owned()))),
        Some(Stopped::Waiting { ready, wanted }) => {
            let wanted = plural(wanted as usize, "receiver");
            bail!("only {ready} of {wanted} came within a day; nothing was sent")
        }
        None => bail!("not everyone has everything; {how}"),
    }
}

/// What the connections to members are for.
const MEMBERS: Purpose = Purpose {
    uses: Uses::Many,
    ..send::RECEIVER
};
const MAX_MEMBERS: usize = 256;
/// Then a user wonders what it waits for.
const A_FEW_SECONDS: Duration = Duration::from_secs(3);
/// As long as a receiver waits for a group.
const A_DAY: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn too_few_are_waited_for_a_day() {
        let crowd = Crowd::new(Some(3));
        crowd.add("first");
        let began_at = Instant::now();
        let Stopped::Waiting { ready, wanted } = crowd.overdue().await else {
            panic!("it was not stopped");
        };
        assert_eq!((ready, wanted), (1, 3));
        assert_eq!(began_at.elapsed(), A_DAY);
        crowd.add("second");
        crowd.add("third");
        crowd.complete().await;
        assert!(timeout(2 * A_DAY, crowd.overdue()).await.is_err());
    }

    #[tokio::test]
    async fn who_has_gone_again_is_not_counted() {
        let crowd = Crowd::new(Some(2));
        let mut complete = pin!(crowd.complete());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(crowd.add("first"), 1);
        crowd.remove("first");
        assert_eq!(crowd.add("second"), 1);
        assert!(complete.as_mut().poll(&mut context).is_pending());
        assert_eq!(crowd.add("third"), 2);
        assert_eq!(complete.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
