//! Sends files to a group: UDP multicast, and a connection for each member.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sockkit_core::multicast::MulticastEndpoint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout},
};

use super::{
    GroupError, GroupEvent, GroupKey, GroupSendConfig, GroupSender, GroupSummary, Layout, MemberId,
    MemberOutcome, MemberSummary, OVERHEAD_BYTES, ShardId, Step, ToMember, ToSender, Welcome,
    bundle::Bundle,
    member::{self, CLOSING},
    patience::Patience,
    repair::Encoder,
    roster::{NewMember, Roster},
};
use crate::{Digest, FileSet, Manifest};

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
    /// who is admitted later fetches what it missed. Ends when every member has.
    ///
    /// The streams must be authenticated and encrypted: they carry the key of the
    /// group.
    ///
    /// # Errors
    /// If nothing can be sent, or a file changed. What happens to a member
    /// is in the summary.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future ends all connections.
    pub async fn send<S>(
        self,
        config: GroupSendConfig,
        mut admitted: mpsc::Receiver<NewMember<S>>,
        start: impl Future<Output = ()>,
    ) -> Result<GroupSummary, GroupError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut sending = Sending::new(self, config)?;
        let mut start = std::pin::pin!(start);
        loop {
            let next = sending.advance().await?;
            if sending.is_finished() {
                return Ok(sending.into_summary().await);
            }
            tokio::select! {
                // Members that say much delay neither the start nor others that come.
                biased;
                () = &mut start, if !sending.started => sending.started = true,
                Some(member) = admitted.recv() => sending.admit(member),
                event = sending.events.recv() => {
                    let (id, event) = event.ok_or(GroupError::Worker)?;
                    sending.on_event(id, event);
                }
                () = sleep_until(next) => {}
            }
        }
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

struct Member {
    label: String,
    task: member::Handle,
    ready: bool,
    hears: bool,
    fetching: bool,
    fetched_bytes: u64,
    patience: Patience,
    ended: bool,
    /// Its place in the roster.
    place: usize,
    address: Option<IpAddr>,
}

/// The block that is being sent. Its memory is that of the one before.
#[derive(Default)]
struct Loaded {
    block: Option<u32>,
    data: Vec<u8>,
    /// Empty until it is needed.
    parity: Vec<u8>,
    encoder: Encoder,
}

impl Loaded {
    fn has(&self, block: u32, needs_parity: bool) -> bool {
        self.block == Some(block) && !(needs_parity && self.parity.is_empty())
    }

    fn load(
        &mut self,
        bundle: &Mutex<Bundle>,
        layout: &Layout,
        block: u32,
        needs_parity: bool,
    ) -> Result<(), GroupError> {
        if self.block != Some(block) {
            self.block = None;
            self.parity.clear();
            let mut bundle = bundle.lock().unwrap_or_else(PoisonError::into_inner);
            bundle.read(block, &mut self.data)?;
            self.block = Some(block);
        }
        if needs_parity {
            (self.encoder).parity(layout, block, &self.data, &mut self.parity);
        }
        Ok(())
    }
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

    fn admit<S>(&mut self, member: NewMember<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let NewMember {
            stream,
            label,
            key,
            address,
        } = member;
        self.next_id += 1;
        let id = MemberId(self.next_id);
        let task = member::spawn(
            stream,
            id,
            self.to_events.clone(),
            Arc::clone(&self.offer.bundle),
            ToSender::max_bytes(self.offer.layout.blocks()),
        );
        task.greet(Arc::clone(&self.greeting));
        if self.over {
            task.tell(ToMember::Over);
        }
        let now = Instant::now().into_std();
        let place = self.roster.admit(label.clone(), key, now);
        // Of those that have ended, the roster is all that is needed.
        self.members
            .retain(|_, member| !member.ended || !member.task.has_ended());
        self.members.insert(
            id,
            Member {
                label,
                task,
                ready: false,
                hears: true,
                fetching: false,
                fetched_bytes: 0,
                patience: Patience::new(now),
                ended: false,
                place,
                address,
            },
        );
    }

    fn on_event(&mut self, id: MemberId, event: member::Event) {
        if let (member::Event::Said(_), Some(member)) = (&event, self.members.get(&id)) {
            self.roster.heard(member.place, Instant::now().into_std());
        }
        let handled = match event {
            member::Event::Said(ToSender::Ready) => self.on_ready(id),
            member::Event::Said(ToSender::Report { round, lacks }) => {
                let reported = self.protocol.on_report(id, round, lacks);
                reported.map_err(|_| "a report that makes no sense")
            }
            member::Event::Said(ToSender::Fetch { block, ranges }) => {
                self.on_fetch(id, block, ranges)
            }
            member::Event::Said(ToSender::Done { without }) => {
                let outcome = match without {
                    0 => MemberOutcome::Complete,
                    files => MemberOutcome::Without(files),
                };
                if let Some(member) = self.members.get(&id) {
                    member.task.tell(ToMember::Finished);
                }
                self.end(id, outcome);
                Ok(())
            }
            member::Event::Said(ToSender::Working) => Ok(()),
            member::Event::Said(ToSender::Hello(_)) => Err("it said hello again"),
            member::Event::Served => {
                self.touch(id);
                if let Some(member) = self.members.get_mut(&id) {
                    member.fetching = false;
                }
                Ok(())
            }
            member::Event::Gone(why) => {
                self.end(id, MemberOutcome::Failed(why));
                Ok(())
            }
        };
        if let Err(why) = handled {
            self.end(id, MemberOutcome::Failed(why.to_owned()));
        }
    }

    fn touch(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.patience.on_progress(Instant::now().into_std());
        }
    }

    fn on_ready(&mut self, id: MemberId) -> Result<(), &'static str> {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return Ok(());
        };
        if !member.ready {
            member.ready = true;
            // Its user had to answer first.
            member.patience = Patience::new(Instant::now().into_std());
            self.protocol.join(id, member.address);
            let member = member.label.clone();
            self.config.on_event.tell(GroupEvent::Ready { member });
        }
        Ok(())
    }

    fn on_fetch(
        &mut self,
        id: MemberId,
        block: u32,
        ranges: Vec<Range<u16>>,
    ) -> Result<(), &'static str> {
        self.touch(id);
        let shards = self.offer.layout.data_shards(block);
        if ranges.is_empty() || ranges.iter().any(|range| range.end > shards) {
            return Err("it asked for shards that are not there");
        }
        let count: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let bytes = (count * self.offer.layout.shard_bytes()) as u64;
        let limit = MAX_FETCHES * (self.offer.layout.total_bytes() + bytes);
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return Ok(());
        };
        if member.fetching || !member.ready {
            return Err("it asked for more before it had an answer");
        }
        member.fetched_bytes += bytes;
        if member.fetched_bytes > limit {
            return Err("it asked for the same again and again");
        }
        member.fetching = true;
        if !self.over && std::mem::take(&mut member.hears) {
            self.protocol.leave(id);
            let member = member.label.clone();
            self.config.on_event.tell(GroupEvent::Deaf { member });
        }
        self.fetches.push_back((id, block, ranges));
        Ok(())
    }

    fn end(&mut self, id: MemberId, outcome: MemberOutcome) {
        self.protocol.leave(id);
        self.fetches.retain(|(fetching, ..)| *fetching != id);
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return;
        };
        member.ended = true;
        match outcome {
            MemberOutcome::Failed(_) => member.task.cut(),
            _ => member.task.finish(),
        }
        let summary = MemberSummary {
            label: member.label.clone(),
            outcome,
        };
        self.roster.end(member.place, summary.outcome.clone());
        let event = GroupEvent::Ended { member: summary };
        self.config.on_event.tell(event);
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

    /// Sends shards, and moves the time of the next ones.
    async fn send(&mut self, shards: &[ShardId]) -> Result<(), GroupError> {
        if shards.is_empty() {
            return Ok(());
        }
        let (mut packets, mut packet, mut fresh) = (Vec::new(), Vec::new(), 0);
        let shard_bytes = self.offer.layout.shard_bytes();
        for &id in shards {
            self.load(id).await?;
            let loaded = &self.loaded;
            let data = self.offer.layout.data_shards(id.block);
            let shard = match id.index.checked_sub(data) {
                None => &loaded.data[usize::from(id.index) * shard_bytes..][..shard_bytes],
                Some(number) => &loaded.parity[usize::from(number) * shard_bytes..][..shard_bytes],
            };
            fresh += self.offer.layout.file_bytes(id);
            self.counter += 1;
            self.key.seal(self.counter, Some((id, shard)), &mut packet);
            packets.extend_from_slice(&packet);
        }
        let packet_bytes = shard_bytes + OVERHEAD_BYTES;
        let is_sent = self.multicast(&packets, packet_bytes).await?;
        if is_sent {
            self.summary.multicast_bytes += packets.len() as u64;
        }
        if is_sent && fresh > 0 {
            self.config.on_event.tell(GroupEvent::Sent { bytes: fresh });
        }
        self.pace(packets.len() + shards.len() * HEADERS_BYTES);
        Ok(())
    }

    fn pace(&mut self, bytes: usize) {
        let now = Instant::now();
        let rate = self.config.bits_per_second as f64 * self.protocol.rate_share();
        // What was late is caught up with, within limits.
        let from = self.next_send.max(now.checked_sub(CATCH_UP).unwrap_or(now));
        self.next_send = from + Duration::from_secs_f64(bytes as f64 * 8.0 / rate);
    }

    /// Reads a block, and computes its parity if that is needed.
    async fn load(&mut self, id: ShardId) -> Result<(), GroupError> {
        let layout = self.offer.layout;
        let needs_parity = id.index >= layout.data_shards(id.block);
        if self.loaded.has(id.block, needs_parity) {
            return Ok(());
        }
        let (bundle, mut loaded) = (
            Arc::clone(&self.offer.bundle),
            std::mem::take(&mut self.loaded),
        );
        let loading = spawn_blocking(move || {
            loaded.load(&bundle, &layout, id.block, needs_parity)?;
            Ok::<_, GroupError>(loaded)
        });
        self.loaded = loading.await.map_err(|_panic| GroupError::Worker)??;
        Ok(())
    }

    /// A datagram without a shard, so that members know whether they hear.
    async fn beacon(&mut self) -> Result<(), GroupError> {
        let mut packet = Vec::new();
        self.counter += 1;
        self.key.seal(self.counter, None, &mut packet);
        self.multicast(&packet, packet.len()).await?;
        Ok(())
    }

    /// Returns whether the datagrams were sent. Once some were, others that the system
    /// refuses are as good as lost: they are repaired.
    async fn multicast(&mut self, packets: &[u8], packet_bytes: usize) -> Result<bool, GroupError> {
        let to = Some(self.config.group);
        let endpoint = self.endpoint.endpoint();
        let sent = endpoint.send_segments(to, packets, packet_bytes).await;
        self.sent_at = Instant::now();
        match sent {
            Ok(_) => self.has_sent = true,
            Err(error) if self.has_sent => {
                tracing::debug!(%error, "datagrams to the group were refused");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Hands fetches to the members' tasks; few while the group is being sent to.
    fn serve(&mut self) {
        let is_sending = self.started && !self.over;
        while let Some((id, block, ranges)) = self.fetches.front() {
            let allowed = self.summary.multicast_bytes / FETCH_SHARE + FETCH_BURST_BYTES;
            if is_sending && self.summary.fetched_bytes >= allowed {
                return;
            }
            let count: usize = ranges.iter().map(ExactSizeIterator::len).sum();
            let bytes = (count * self.offer.layout.shard_bytes()) as u64;
            self.summary.fetched_bytes += bytes;
            if let Some(member) = self.members.get(id) {
                member.task.serve(*block, ranges.clone());
            }
            self.fetches.pop_front();
        }
    }

    /// After the end, members that take too long are given up.
    fn give_up_slow(&mut self) {
        if !self.over {
            return;
        }
        // The last that members do is to write everything to their files.
        let writing = self.offer.layout.total_bytes() / WRITTEN_BYTES_A_SECOND;
        let max_idle = MAX_IDLE + Duration::from_secs(writing);
        let now = Instant::now().into_std();
        let exhausted = |member: &Member| {
            let patience = &member.patience;
            patience.exhausted(now, max_idle, member.fetched_bytes)
        };
        let slow: Vec<_> = (self.members.iter())
            .filter(|(_, member)| !member.ended)
            .filter_map(|(id, member)| Some((*id, exhausted(member)?)))
            .collect();
        for (id, why) in slow {
            self.end(id, MemberOutcome::Failed(why));
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
/// Ethernet, IPv4 and UDP.
const HEADERS_BYTES: usize = 42;
const CATCH_UP: Duration = Duration::from_millis(5);
const BEACON: Duration = Duration::from_millis(250);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// While reports are awaited.
const FOR_REPORTS: Duration = Duration::from_millis(5);
const MAX_IDLE: Duration = Duration::from_secs(60);
/// That of a slow disk.
const WRITTEN_BYTES_A_SECOND: u64 = 10_000_000;
/// While the group is being sent to, a 25th as much may be fetched.
const FETCH_SHARE: u64 = 25;
const FETCH_BURST_BYTES: u64 = 256 << 10;
/// A member may fetch everything so many times: twice because of forged shards.
const MAX_FETCHES: u64 = 3;
const DIGESTS_A_MESSAGE: usize = 4_096;
const EVENTS: usize = 64;
