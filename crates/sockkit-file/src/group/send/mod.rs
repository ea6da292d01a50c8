//! Sends files to a group: UDP multicast, and a connection for each member.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use sockkit_core::multicast::MulticastEndpoint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use self::{loaded::Loaded, members::Member};
use super::{
    GroupError, GroupEvent, GroupKey, GroupSendConfig, GroupSender, GroupSummary, Layout, MemberId,
    Step, ToMember, Welcome,
    bundle::Bundle,
    member::{self, CLOSING},
    patience::Patience,
    roster::{NewMember, Roster},
};
use crate::{Digest, FileSet, Manifest, session::Abort};

mod loaded;
mod members;
mod shards;

/// Files that have been read once, so that their digests are known.
#[derive(Debug)]
pub struct GroupOffer {
    pub(super) bundle: Arc<Mutex<Bundle>>,
    pub(super) manifest: Manifest,
    pub(super) layout: Layout,
    pub(super) digests: Vec<Digest>,
}

impl GroupOffer {
    /// Reads the files. Call it from a blocking thread, because it reads all of them.
    ///
    /// # Errors
    /// If one cannot be read, or they are too large.
    pub fn prepare(files: FileSet) -> Result<Self, GroupError> {
        let layout = Layout::new(files.manifest().total_bytes())?;
        let mut bundle = Bundle::new(files, layout);
        let digests = bundle.digest()?;
        Ok(Self {
            manifest: bundle.manifest().clone(),
            bundle: Arc::new(Mutex::new(bundle)),
            layout,
            digests,
        })
    }

    /// What is offered.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sends to everyone that is admitted. Multicasting begins when `start` is ready;
    /// who is admitted later fetches what it missed. Ends when every member has, or when
    /// `stop` is ready: then the members are told, and keep what they have for the next
    /// attempt.
    ///
    /// The streams must be authenticated and encrypted: they carry the key of the
    /// group.
    ///
    /// # Errors
    /// If nothing can be sent, or a file changed. What happens to a member
    /// is in the summary.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future ends all connections, and the members are not
    /// told why.
    pub async fn send<S>(
        self,
        config: GroupSendConfig,
        mut admitted: mpsc::Receiver<NewMember<S>>,
        start: impl Future<Output = ()>,
        stop: impl Future<Output = ()>,
    ) -> Result<GroupSummary, GroupError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut sending = Sending::new(self, config)?;
        let sent = tokio::select! {
            biased;
            () = stop => {
                sending.stop(Abort::Cancelled).await;
                Ok(())
            }
            sent = sending.run(&mut admitted, start) => sent,
        };
        if let Err(reason) = sent.as_ref().map_err(GroupError::abort) {
            sending.stop(reason.unwrap_or(Abort::Cancelled)).await;
        }
        sent?;
        Ok(sending.into_summary().await)
    }
}

/// A transfer in progress.
struct Sending {
    offer: GroupOffer,
    config: GroupSendConfig,
    endpoint: MulticastEndpoint,
    key: GroupKey,
    /// The welcome and the digests, the same for each member.
    greeting: Arc<[u8]>,
    protocol: GroupSender,
    counter: u64,
    members: BTreeMap<MemberId, Member>,
    events: mpsc::Receiver<(MemberId, member::Event)>,
    to_events: mpsc::Sender<(MemberId, member::Event)>,
    next_id: u64,
    started: bool,
    over: bool,
    next_send: Instant,
    /// When something was multicast last.
    sent_at: Instant,
    /// Whether anything was.
    has_sent: bool,
    loaded: Loaded,
    fetches: VecDeque<(MemberId, u32, Vec<Range<u16>>)>,
    roster: Roster,
    summary: GroupSummary,
}

impl Sending {
    fn new(offer: GroupOffer, config: GroupSendConfig) -> Result<Self, GroupError> {
        let any = match config.group {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
        };
        let endpoint = MulticastEndpoint::bind(any)?;
        if let Some(interface) = &config.outgoing {
            endpoint.set_outgoing(interface)?;
        }
        let (to_events, events) = mpsc::channel(EVENTS);
        let key = GroupKey::random().map_err(GroupError::Random)?;
        let now = Instant::now();
        Ok(Self {
            protocol: GroupSender::new(offer.layout),
            greeting: greeting(&offer, &config, &key),
            offer,
            config,
            endpoint,
            key,
            counter: 0,
            members: BTreeMap::new(),
            events,
            to_events,
            next_id: 0,
            started: false,
            over: false,
            next_send: now,
            sent_at: now,
            has_sent: false,
            loaded: Loaded::default(),
            fetches: VecDeque::new(),
            roster: Roster::default(),
            summary: GroupSummary::default(),
        })
    }

    /// Runs until every member has ended.
    async fn run<S>(
        &mut self,
        admitted: &mut mpsc::Receiver<NewMember<S>>,
        start: impl Future<Output = ()>,
    ) -> Result<(), GroupError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut start = std::pin::pin!(start);
        loop {
            let next = self.advance().await?;
            if self.is_finished() {
                return Ok(());
            }
            tokio::select! {
                // Members that say much delay neither the start nor others that come.
                biased;
                () = &mut start, if !self.started => self.started = true,
                Some(member) = admitted.recv() => self.admit(member),
                event = self.events.recv() => {
                    let (id, event) = event.ok_or(GroupError::Worker)?;
                    self.on_event(id, event);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Does what is due, and returns when something is due again.
    async fn advance(&mut self) -> Result<Instant, GroupError> {
        self.serve();
        self.give_up_slow();
        let now = Instant::now();
        if self.started && !self.over && now >= self.next_send {
            self.step(now).await?;
        }
        if !self.over && self.sent_at + BEACON <= now {
            self.beacon().await?;
        }
        Ok(match (self.started, self.over) {
            (true, false) => self.next_send.min(self.sent_at + BEACON),
            (false, _) => self.sent_at + BEACON,
            (true, true) => now + LOOK_AGAIN,
        })
    }

    /// Multicasts a few shards, or polls.
    async fn step(&mut self, now: Instant) -> Result<(), GroupError> {
        let mut shards = Vec::with_capacity(BATCH);
        while shards.len() < BATCH {
            match self.protocol.next(now.into_std()) {
                Step::Send(id) => shards.push(id),
                step => {
                    self.send(&shards).await?;
                    shards.clear();
                    match step {
                        Step::Poll { round, blocks } => self.poll(round, &blocks),
                        Step::Wait(until) => {
                            self.next_send = Instant::from_std(until).min(now + FOR_REPORTS);
                            return Ok(());
                        }
                        _ => {
                            self.on_over();
                            return Ok(());
                        }
                    }
                }
            }
        }
        self.send(&shards).await
    }

    fn poll(&self, round: u32, blocks: &Range<u32>) {
        for member in self
            .members
            .values()
            .filter(|member| member.ready && member.hears)
        {
            member.task.tell_unless_busy(ToMember::Poll {
                round,
                blocks: blocks.clone(),
                newest: self.counter,
            });
        }
    }

    fn on_over(&mut self) {
        self.over = true;
        self.loaded = Loaded::default();
        self.config.on_event.tell(GroupEvent::Over);
        let now = Instant::now().into_std();
        for member in self.members.values_mut().filter(|member| !member.ended) {
            member.patience = Patience::new(now);
            member.task.tell(ToMember::Over);
        }
    }

    fn is_finished(&self) -> bool {
        self.over && self.members.values().all(|member| member.ended)
    }

    /// Waits for what is still being written, for all members together.
    async fn into_summary(mut self) -> GroupSummary {
        let written = async {
            for member in self.members.values_mut() {
                member.task.ended().await;
            }
        };
        let _ = timeout(CLOSING, written).await;
        self.summary.members = self.roster.into_members();
        self.summary
    }
}

fn greeting(offer: &GroupOffer, config: &GroupSendConfig, key: &GroupKey) -> Arc<[u8]> {
    let welcome = Welcome::new(
        &config.name,
        config.group,
        *key.secret(),
        offer.layout,
        offer.manifest.clone(),
    );
    let mut greeting = Vec::new();
    ToMember::Welcome(Box::new(welcome)).encode(&mut greeting);
    for digests in offer.digests.chunks(DIGESTS_A_MESSAGE) {
        ToMember::Digests(digests.to_vec()).encode(&mut greeting);
    }
    greeting.into()
}

/// Datagrams sent at once.
const BATCH: usize = 16;
const BEACON: Duration = Duration::from_millis(250);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// While reports are awaited.
const FOR_REPORTS: Duration = Duration::from_millis(5);
const DIGESTS_A_MESSAGE: usize = 4_096;
const EVENTS: usize = 64;
