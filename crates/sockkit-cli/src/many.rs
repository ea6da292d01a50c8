//! `sockkit send --many`: one pass of multicast for a whole class.

use std::{
    collections::BTreeSet,
    io::IsTerminal,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail};
use indicatif::{HumanBytes, ProgressBar};
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
};

use crate::{
    link::{self, CloseWaiter},
    meeting::Meeting,
    progress, prompt,
    say::{note, say},
    secure::{self, Purpose, Shown},
    send,
    skipped::Skipped,
    transfer,
};

/// Options of `send --many`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To many")]
pub(crate) struct Many {
    /// Send to many receivers in one pass, by multicast: each of them types the line
    /// that is shown here
    #[arg(long, conflicts_with_all = ["to", "name", "web"])]
    pub(crate) many: bool,
    /// Start when so many receivers have accepted [default: when Enter is pressed]
    #[arg(long, value_name = "COUNT", requires = "many")]
    members: Option<u32>,
    /// Send at most this many megabits per second
    #[arg(long, value_name = "MBIT", requires = "many", default_value_t = 80)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
}

/// Sends `paths` to everyone who joins.
pub(crate) async fn send(
    paths: Vec<PathBuf>,
    many: Many,
    meeting: Meeting,
    goodbye: &CloseWaiter,
) -> anyhow::Result<()> {
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
    let (acceptor, code) = link::open(&node, &meeting, MEMBERS, Some(secure), goodbye).await?;
    let mut members = Members { acceptor, code };
    let first = members.next().await?;
    let sent = transfer(offer, &many, members, first).await;
    let summary = sent.inspect_err(|_failed| skipped.tell())?;
    conclude(&summary, &skipped)
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
                    return Ok(connection);
                }
            }
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

async fn transfer(
    offer: GroupOffer,
    many: &Many,
    mut members: Members,
    first: Connection,
) -> anyhow::Result<GroupSummary> {
    let crowd = Arc::new(Crowd::default());
    let bar = progress::bar().with_style(transfer::style());
    let mut config = GroupSendConfig::random()
        .context("cannot choose a group")?
        .name(transfer::own_name())
        .bits_per_second(many.rate * 1_000_000)
        .on_event(show_events(
            bar.clone(),
            Arc::clone(&crowd),
            offer.manifest().total_bytes(),
        ));
    // Multicast leaves where the members are.
    if let Some(ip) = first.local_ip() {
        config = config.outgoing(InterfaceSelector::Address(ip));
    }
    let (admit, admitted) = mpsc::channel(1);
    let sending = offer.send(config, admitted, crowd.complete(many.members));
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
    bar.finish_and_clear();
    Ok(sent?)
}

/// Who has accepted, and is still there.
#[derive(Default)]
struct Crowd {
    /// Their labels, each of one connection.
    ready: Mutex<BTreeSet<String>>,
    more: Notify,
}

impl Crowd {
    /// Returns how many there are now.
    fn add(&self, member: &str) -> usize {
        let mut ready = self.ready();
        ready.insert(member.to_owned());
        self.more.notify_one();
        ready.len()
    }

    /// Who is gone before the start is not counted.
    fn remove(&self, member: &str) {
        self.ready().remove(member);
    }

    fn ready(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reaches(&self, members: u32) {
        while self.ready().len() < members as usize {
            self.more.notified().await;
        }
    }

    /// Returns when it is to start: with so many, or at a key.
    async fn complete(&self, members: Option<u32>) {
        match members {
            Some(members) => self.reaches(members).await,
            None => {
                self.reaches(1).await;
                if prompt::enter("press Enter to start\n").await.is_err() {
                    std::future::pending().await
                }
            }
        }
    }
}

fn show_events(bar: ProgressBar, crowd: Arc<Crowd>, total_bytes: u64) -> OnGroupEvent {
    OnGroupEvent::new(move |event| match event {
        GroupEvent::Ready { member } => {
            let ready = crowd.add(&member);
            bar.suspend(|| note!("{member} has accepted ({ready})"));
        }
        GroupEvent::Deaf { member } => bar.suspend(|| {
            note!("{member} does not hear the group; it is served over its own connection");
        }),
        GroupEvent::Sent { bytes } => {
            if bar.length().is_none() {
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
            bar.suspend(|| note!("{}", line(&member)));
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

/// The members that lack something, and the exit code.
fn conclude(summary: &GroupSummary, skipped: &Skipped) -> anyhow::Result<()> {
    skipped.tell();
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
    for member in summary.members.iter().filter(|member| !is_complete(member)) {
        say!("{}", line(member));
    }
    bail!("not everyone has everything; start again, and those join who lack something");
}

/// What the connections to members are for.
const MEMBERS: Purpose = Purpose {
    uses: Uses::Many,
    ..send::RECEIVER
};
const MAX_MEMBERS: usize = 256;

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    #[test]
    fn who_has_gone_again_is_not_counted() {
        let crowd = Crowd::default();
        let mut complete = pin!(crowd.complete(Some(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(crowd.add("first"), 1);
        crowd.remove("first");
        assert_eq!(crowd.add("second"), 1);
        assert!(complete.as_mut().poll(&mut context).is_pending());
        assert_eq!(crowd.add("third"), 2);
        assert_eq!(complete.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
