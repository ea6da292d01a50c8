//! Receives from a group: looks like an ordinary sender to the session that
//! writes the files.
//!
//! ```text
//!   sender ── connection, multicast ── engine ── spool ── sender ═══ receive()
//!                                                         session    into a folder
//! ```

use std::{collections::VecDeque, net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use sockkit_core::{
    multicast::{Group, MulticastEndpoint, Via},
    options::SocketOptions,
    udp::ReceiveBatch,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};

use super::{
    GroupError, GroupKey, GroupReceiver, Layout, Request, ShardId, ToMember, ToSender, Welcome,
    frames::{self, ALIVE},
    restore,
    source::{GroupSource, Progress},
};
use crate::{
    Destination, Digest, FileOutcome, SendConfig, SendError, Summary, greet, store::Spool,
};

/// Settings for receiving from a group.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a group is joined with it"]
pub struct JoinConfig {
    name: String,
    via: Via,
    spool: Destination,
}

impl JoinConfig {
    /// Keeps what arrives in a temporary file in this folder, until it is written
    /// to the files. After an interruption the next attempt continues with it.
    pub fn new(spool: Destination) -> Self {
        Self {
            name: String::new(),
            via: Via::Route,
            spool,
        }
    }

    /// Name that is told to the sender, which does not show it: there, a member has the
    /// label with which it was admitted. Default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where to listen. Default: the interface of the route.
    pub fn via(mut self, via: Via) -> Self {
        self.via = via;
        self
    }
}

/// A member of a group, from the offer on.
#[derive(Debug)]
pub struct JoinedGroup {
    /// The end to pass to [`receive`](crate::receive): there, a sender makes the
    /// offer, and sends the accepted files as they become complete. It may be silent
    /// for as long as the group waits: let its timeouts be long.
    pub stream: DuplexStream,
    /// Ends with the transfer. The files are as the receiving session says; this
    /// tells why it failed, if the group was the cause.
    pub transfer: JoinHandle<Result<(), GroupError>>,
}

/// Joins the group of the sender at the other end of `stream`, which must be
/// authenticated and encrypted.
///
/// # Errors
/// If the connection fails, or the other side is not the sender of a group.
///
/// # Cancel safety
/// Not cancel safe: dropping the future closes the connection.
pub async fn join<S>(stream: S, config: JoinConfig) -> Result<JoinedGroup, GroupError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut reading, mut writing) = split(stream);
    let hello = ToSender::Hello(config.name.clone());
    frames::write(&mut writing, &hello).await?;
    let (welcome, digests) = timeout(WELCOMED, welcomed(&mut reading))
        .await
        .map_err(|_elapsed| GroupError::Slow { after: WELCOMED })??;
    let (near, far) = duplex(LOCAL_BYTES);
    let engine = Engine::new(config, welcome, digests, near, (reading, writing))?;
    Ok(JoinedGroup {
        stream: far,
        transfer: tokio::spawn(engine.run()),
    })
}

/// Reads everything that precedes the transfer.
async fn welcomed(
    reading: &mut (impl AsyncRead + Unpin),
) -> Result<(Welcome, Vec<Digest>), GroupError> {
    let ToMember::Welcome(welcome) = frames::read(reading, ToMember::MAX_BYTES).await? else {
        return Err(GroupError::Protocol("a welcome comes first"));
    };
    let blocks = welcome.layout.blocks() as usize;
    let mut digests = Vec::new();
    while digests.len() < blocks {
        match frames::read(reading, ToMember::MAX_BYTES).await? {
            ToMember::Digests(more) if !more.is_empty() => digests.extend(more),
            ToMember::Working => {}
            _ => return Err(GroupError::Protocol("digests come next")),
        }
    }
    digests.truncate(blocks);
    Ok((*welcome, digests))
}

/// Everything between the network and the spool.
struct Engine<S> {
    layout: Layout,
    digests: Arc<Vec<Digest>>,
    key: GroupKey,
    endpoint: MulticastEndpoint,
    /// Member of the group while it exists.
    _membership: sockkit_core::multicast::Membership,
    batch: ReceiveBatch,
    said: mpsc::Receiver<Result<ToMember, GroupError>>,
    listener: JoinHandle<()>,
    writing: WriteHalf<S>,
    progress: Arc<Progress>,
    accepted: oneshot::Receiver<Arc<Spool>>,
    local: JoinHandle<Result<Summary, SendError>>,
    /// From the user's consent on.
    active: Option<Active>,
    over: bool,
    alive_at: Instant,
}

/// The protocol, and the blocks that are worked on.
struct Active {
    protocol: GroupReceiver,
    spool: Arc<Spool>,
    /// Blocks of an earlier attempt to look at, while there is nothing to restore.
    to_check: VecDeque<u32>,
    work: Option<Running>,
    /// Shards to be written.
    unwritten: Vec<(u64, Vec<u8>)>,
    fetching: Option<u32>,
}

/// Work on a block, on a thread of its own.
struct Running {
    block: u32,
    work: Work,
    /// Whether the block matches its digest.
    matches: JoinHandle<Result<bool, GroupError>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    Restore,
    Check {
        /// Shards of the block that were kept before.
        kept: u16,
    },
}

impl<S> Engine<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    fn new(
        config: JoinConfig,
        welcome: Welcome,
        digests: Vec<Digest>,
        near: DuplexStream,
        (reading, writing): (ReadHalf<S>, WriteHalf<S>),
    ) -> Result<Self, GroupError> {
        let (endpoint, membership) = listen_to(welcome.group, &config.via)?;
        let (to_said, said) = mpsc::channel(SAID);
        let listener = tokio::spawn(listen(reading, to_said));
        let (to_accepted, accepted) = oneshot::channel();
        let progress = Arc::new(Progress::new(welcome.layout));
        let source = GroupSource::new(
            welcome.manifest.clone(),
            Arc::clone(&progress),
            config.spool,
            transfer_id(&welcome, &digests),
            to_accepted,
        );
        let sending = SendConfig::default()
            .name(welcome.name)
            .idle_timeout(FOREVER)
            .answer_timeout(FOREVER);
        let local = tokio::spawn(async move {
            greet(near, welcome.manifest, &sending)
                .await?
                .offer(source)
                .await
        });
        Ok(Self {
            layout: welcome.layout,
            digests: Arc::new(digests),
            key: GroupKey::new(welcome.secret),
            endpoint,
            _membership: membership,
            batch: ReceiveBatch::new(),
            said,
            listener,
            writing,
            progress,
            accepted,
            local,
            active: None,
            over: false,
            alive_at: Instant::now(),
        })
    }

    async fn run(mut self) -> Result<(), GroupError> {
        let ended = self.transfer().await;
        if let Err(error) = &ended {
            tracing::info!(%error, "transfer from a group failed");
        }
        ended
    }

    async fn transfer(&mut self) -> Result<(), GroupError> {
        loop {
            self.advance().await?;
            let wake = self.wake();
            let is_active = self.active.is_some();
            tokio::select! {
                biased;
                ended = &mut self.local => return self.finish(ended).await,
                worked = worked(&mut self.active) => self.on_worked(worked)?,
                accepted = &mut self.accepted, if !is_active => match accepted {
                    Ok(spool) => self.begin(spool).await?,
                    // Nothing was accepted: the session is about to end.
                    Err(_) => self.wait_for_end().await?,
                },
                said = self.said.recv() => {
                    let said = said.unwrap_or(Err(GroupError::Worker))?;
                    self.on_said(said)?;
                }
                heard = self.endpoint.endpoint().recv_batch(&mut self.batch) => {
                    heard.map_err(GroupError::Receive)?;
                    self.on_heard();
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn wait_for_end(&mut self) -> Result<(), GroupError> {
        let ended = (&mut self.local).await;
        // Polled again by the caller's loop, which must find it ended.
        self.local = tokio::spawn(async move { ended.unwrap_or(Err(SendError::Worker)) });
        Ok(())
    }

    /// The user has accepted something.
    async fn begin(&mut self, spool: Arc<Spool>) -> Result<(), GroupError> {
        let mut protocol = GroupReceiver::new(self.layout, Instant::now().into_std());
        if self.over {
            protocol.on_over();
        }
        let to_check = match spool.end()? {
            0 => VecDeque::new(),
            _ => (0..self.layout.blocks()).collect(),
        };
        self.active = Some(Active {
            protocol,
            spool,
            to_check,
            work: None,
            unwritten: Vec::new(),
            fetching: None,
        });
        frames::write(&mut self.writing, &ToSender::Ready).await
    }

    /// Writes shards, starts work on a block, and sends what is due.
    async fn advance(&mut self) -> Result<(), GroupError> {
        if self.alive_at.elapsed() >= ALIVE {
            self.tell(&ToSender::Working).await?;
        }
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        active.write().await?;
        active.work_on_next(&self.layout, &self.digests);
        let now = Instant::now().into_std();
        // Earlier blocks are looked at before they are asked for.
        while !active.is_checking() || !self.over {
            let Some(request) = active.protocol.poll_request(now) else {
                return Ok(());
            };
            let message = match request {
                Request::Report { round, lacks } => ToSender::Report { round, lacks },
                Request::Fetch { block, ranges } => {
                    active.fetching = Some(block);
                    ToSender::Fetch { block, ranges }
                }
            };
            frames::write(&mut self.writing, &message).await?;
            self.alive_at = Instant::now();
        }
        Ok(())
    }

    async fn tell(&mut self, message: &ToSender) -> Result<(), GroupError> {
        frames::write(&mut self.writing, message).await?;
        self.alive_at = Instant::now();
        Ok(())
    }

    fn wake(&self) -> Instant {
        let active = self.active.as_ref();
        let due = active.and_then(|active| active.protocol.deadline());
        let alive = self.alive_at + ALIVE;
        due.map_or(alive, |due| Instant::from_std(due).min(alive))
    }

    fn on_said(&mut self, said: ToMember) -> Result<(), GroupError> {
        if said == ToMember::Over {
            self.over = true;
        }
        let Some(active) = &mut self.active else {
            return match said {
                ToMember::Over | ToMember::Working | ToMember::Poll { .. } => Ok(()),
                _ => Err(GroupError::Protocol("not asked for")),
            };
        };
        match said {
            ToMember::Poll {
                round,
                blocks,
                newest,
            } => active.on_poll(round, blocks, newest),
            ToMember::Over => active.protocol.on_over(),
            ToMember::Shards { first, bytes } => active.on_shards(&self.layout, first, &bytes)?,
            ToMember::Fetched => {
                active.fetching = None;
                active.protocol.on_fetch_done();
            }
            ToMember::Working => {}
            _ => return Err(GroupError::Protocol("not now")),
        }
        Ok(())
    }

    /// Keeps the shards of authentic datagrams.
    fn on_heard(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        let mut packet = Vec::new();
        for datagram in self.batch.iter() {
            packet.clear();
            packet.extend_from_slice(datagram.bytes);
            let Some(opened) = self.key.open(&mut packet) else {
                continue;
            };
            match opened.shard {
                None => active.protocol.on_heard(opened.counter),
                Some((id, shard)) => {
                    if shard.len() == self.layout.shard_bytes()
                        && active.protocol.on_shard(opened.counter, id)
                    {
                        let place = self.layout.place(id);
                        active.unwritten.push((place, shard.to_vec()));
                    }
                }
            }
        }
    }

    fn on_worked(
        &mut self,
        (block, work, matches): (u32, Work, Result<bool, GroupError>),
    ) -> Result<(), GroupError> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if active.on_worked(block, work, matches?)? {
            self.progress.verified(block);
        }
        Ok(())
    }

    /// Tells the sender how it ended.
    async fn finish(
        &mut self,
        ended: Result<Result<Summary, SendError>, tokio::task::JoinError>,
    ) -> Result<(), GroupError> {
        let summary = ended.map_err(|_panic| GroupError::Worker)??;
        let missing = summary
            .files
            .iter()
            .filter(|file| !matches!(file.outcome, FileOutcome::Complete(_)));
        let without = u32::try_from(missing.count()).unwrap_or(u32::MAX);
        self.tell(&ToSender::Done { without }).await?;
        // Kept only where the transfer was interrupted.
        if let Some(active) = &self.active {
            active.spool.remove()?;
        }
        // Closing earlier could discard the message.
        let acknowledged = async {
            while let Some(Ok(said)) = self.said.recv().await {
                if said == ToMember::Finished {
                    break;
                }
            }
        };
        let _ = timeout(FAREWELL, acknowledged).await;
        Ok(())
    }
}

impl<S> Drop for Engine<S> {
    /// However it ends: nothing may wait for it any longer.
    fn drop(&mut self) {
        // What waits for a block gets an error.
        self.progress.fail();
        self.listener.abort();
        // Who is asked for consent sees that the sender has gone.
        if self.active.is_none() {
            self.local.abort();
        }
    }
}

impl Active {
    /// Whether blocks of an earlier attempt remain to be looked at.
    fn is_checking(&self) -> bool {
        let checks = |running: &Running| matches!(running.work, Work::Check { .. });
        !self.to_check.is_empty() || self.work.as_ref().is_some_and(checks)
    }

    async fn write(&mut self) -> Result<(), GroupError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let shards = std::mem::take(&mut self.unwritten);
        let spool = Arc::clone(&self.spool);
        let writing = spawn_blocking(move || {
            let mut shards = shards.iter();
            shards.try_for_each(|(place, shard)| spool.write(*place, shard))
        });
        Ok(writing.await.map_err(|_panic| GroupError::Worker)??)
    }

    fn on_poll(&mut self, round: u32, blocks: Range<u32>, newest: u64) {
        let now = Instant::now().into_std();
        let delay = random_below(MAX_DELAY);
        self.protocol.on_poll(now, round, blocks, newest, delay);
    }

    fn on_shards(
        &mut self,
        layout: &Layout,
        first: ShardId,
        bytes: &[u8],
    ) -> Result<(), GroupError> {
        let shards = bytes.chunks_exact(layout.shard_bytes());
        if self.fetching != Some(first.block) || !shards.remainder().is_empty() {
            return Err(GroupError::Protocol("shards that were not asked for"));
        }
        let left = (layout.data_shards(first.block)).saturating_sub(first.index);
        if shards.len() > usize::from(left) {
            return Err(GroupError::Protocol("shards beyond the block"));
        }
        for (index, shard) in (first.index..u16::MAX).zip(shards) {
            let id = ShardId {
                block: first.block,
                index,
            };
            if self.protocol.on_fetched(id) {
                self.unwritten.push((layout.place(id), shard.to_vec()));
            }
        }
        Ok(())
    }

    /// Returns whether the block is verified.
    fn on_worked(&mut self, block: u32, work: Work, matches: bool) -> Result<bool, GroupError> {
        match (matches, work) {
            // Shards that came meanwhile stand where it was looked at, or will.
            (true, Work::Check { kept }) if self.protocol.kept(block) != kept => {
                self.to_check.push_back(block);
                return Ok(false);
            }
            (true, _) => self.protocol.on_verified(block),
            (false, Work::Restore) => self.protocol.on_rejected(block)?,
            (false, Work::Check { .. }) => {}
        }
        Ok(matches)
    }

    /// Restores or looks at one block beside reception.
    fn work_on_next(&mut self, layout: &Layout, digests: &Arc<Vec<Digest>>) {
        if self.work.is_some() {
            return;
        }
        let (layout, digests) = (*layout, Arc::clone(digests));
        let spool = Arc::clone(&self.spool);
        if let Some(block) = self.protocol.next_ready() {
            let shards = layout.data_shards(block) + layout.parity_shards(block);
            let has = (0..shards)
                .map(|index| self.protocol.has(ShardId { block, index }))
                .collect();
            let task = spawn_blocking(move || restore_block(&spool, &layout, &digests, block, has));
            self.work = Some(Running {
                block,
                work: Work::Restore,
                matches: task,
            });
            return;
        }
        while let Some(block) = self.to_check.pop_front() {
            if !self.protocol.is_verified(block) {
                let task = spawn_blocking(move || check_block(&spool, &layout, &digests, block));
                self.work = Some(Running {
                    block,
                    work: Work::Check {
                        kept: self.protocol.kept(block),
                    },
                    matches: task,
                });
                return;
            }
        }
    }
}

/// The result of the work in progress. Cancel safe.
async fn worked(active: &mut Option<Active>) -> (u32, Work, Result<bool, GroupError>) {
    let work = active.as_mut().and_then(|active| active.work.as_mut());
    let Some(running) = work else {
        return std::future::pending().await;
    };
    let matches = (&mut running.matches).await;
    let matches = matches.unwrap_or(Err(GroupError::Worker));
    let done = (running.block, running.work, matches);
    if let Some(active) = active {
        active.work = None;
    }
    done
}

/// Completes the data shards of a block in the spool. Returns whether they match
/// the digest.
fn restore_block(
    spool: &Spool,
    layout: &Layout,
    digests: &[Digest],
    block: u32,
    has: Vec<bool>,
) -> Result<bool, GroupError> {
    let (has_data, has_parity) = has.split_at(usize::from(layout.data_shards(block)));
    let shard_bytes = layout.shard_bytes();
    let mut data = vec![0; has_data.len() * shard_bytes];
    spool.read(layout.block_offset(block), &mut data)?;
    let is_complete = has_data.iter().all(|has| *has);
    if !is_complete {
        let mut parity = Vec::new();
        let first = layout.data_shards(block);
        for (number, _) in (0..).zip(has_parity).filter(|(_, has)| **has) {
            let index = first + number;
            let mut shard = vec![0; shard_bytes];
            spool.read(layout.place(ShardId { block, index }), &mut shard)?;
            parity.push((number, shard));
        }
        restore(layout, block, &mut data, has_data, &parity);
    }
    let matches = matches_digest(layout, digests, block, &data);
    if matches && !is_complete {
        spool.write(layout.block_offset(block), &data)?;
    }
    Ok(matches)
}

/// Whether a block of an earlier attempt is there.
fn check_block(
    spool: &Spool,
    layout: &Layout,
    digests: &[Digest],
    block: u32,
) -> Result<bool, GroupError> {
    let mut data = vec![0; layout.block_bytes(block)];
    spool.read(layout.block_offset(block), &mut data)?;
    Ok(matches_digest(layout, digests, block, &data))
}

fn matches_digest(layout: &Layout, digests: &[Digest], block: u32, data: &[u8]) -> bool {
    let digest = blake3::hash(&data[..layout.block_bytes(block)]);
    digests
        .get(block as usize)
        .is_some_and(|announced| announced.0 == *digest.as_bytes())
}

fn listen_to(
    group: SocketAddr,
    via: &Via,
) -> Result<(MulticastEndpoint, sockkit_core::multicast::Membership), GroupError> {
    let any = match group {
        SocketAddr::V4(_) => ([0, 0, 0, 0], group.port()).into(),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], group.port())),
    };
    let options = SocketOptions::new().receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
    let endpoint = MulticastEndpoint::bind_with(any, &options)?;
    let not_a_group = |_| GroupError::Protocol("its group is not one");
    let group = Group::new(group.ip()).map_err(not_a_group)?;
    let membership = endpoint.join(group, via)?;
    Ok((endpoint, membership))
}

async fn listen<S: AsyncRead>(
    mut stream: ReadHalf<S>,
    said: mpsc::Sender<Result<ToMember, GroupError>>,
) {
    loop {
        let message = frames::read(&mut stream, ToMember::MAX_BYTES).await;
        let is_last = message.is_err();
        if said.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// The same for the next attempt, as long as the offer is the same.
fn transfer_id(welcome: &Welcome, digests: &[Digest]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&crate::session::encode_manifest(&welcome.manifest));
    for digest in digests {
        hasher.update(&digest.0);
    }
    *hasher.finalize().as_bytes()
}

fn random_below(most: Duration) -> Duration {
    let mut bytes = [0; 2];
    // Without randomness all answer at once, which is no error.
    let _ = getrandom::fill(&mut bytes);
    most.mul_f64(f64::from(u16::from_be_bytes(bytes)) / 65_536.0)
}

const LOCAL_BYTES: usize = 1 << 20;
/// Time for the offer and all digests, 32 MiB at most.
const WELCOMED: Duration = Duration::from_secs(300);
const SAID: usize = 16;
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
const MAX_DELAY: Duration = Duration::from_millis(3);
const FAREWELL: Duration = Duration::from_secs(5);
/// The connection has its own limits.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    /// A member with an empty spool, which has accepted.
    fn active(layout: Layout) -> (tempfile::TempDir, Active) {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let active = Active {
            protocol: GroupReceiver::new(layout, Instant::now().into_std()),
            spool: Arc::new(Spool::open(&destination, [1; 32]).unwrap()),
            to_check: VecDeque::new(),
            work: None,
            unwritten: Vec::new(),
            fetching: None,
        };
        (folder, active)
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_only_says_that_it_is_working_is_given_up() {
        let (mut near, far) = duplex(1 << 16);
        let folder = tempfile::tempdir().unwrap();
        let config = JoinConfig::new(Destination::open(folder.path()).unwrap());
        let layout = Layout::with(7, 64, 10, 4).unwrap();
        let manifest = crate::Manifest::new(vec![crate::Entry::file("b", 7)]);
        let group = ([239, 1, 2, 3], 4).into();
        let welcome = Welcome::new("desk", group, [5; 32], layout, manifest);
        let working = tokio::spawn(async move {
            let mut message = ToMember::Welcome(Box::new(welcome));
            while frames::write(&mut near, &message).await.is_ok() {
                message = ToMember::Working;
                tokio::time::sleep(ALIVE).await;
            }
        });
        let error = join(far, config).await.unwrap_err();
        assert!(matches!(error, GroupError::Slow { .. }), "{error:?}");
        working.await.unwrap();
    }

    #[test]
    fn a_block_of_which_a_shard_came_while_it_was_checked_is_checked_again() {
        let layout = Layout::with(64 * 10, 64, 10, 4).unwrap();
        let (_folder, mut active) = active(layout);
        let shard = ShardId { block: 0, index: 3 };
        assert!(active.protocol.on_shard(1, shard));
        let kept = active.protocol.kept(0);
        let shard = ShardId { block: 0, index: 4 };
        assert!(active.protocol.on_shard(2, shard));
        let is_verified = active.on_worked(0, Work::Check { kept }, true).unwrap();
        assert!(!is_verified && !active.protocol.is_verified(0));
        assert_eq!(active.to_check, [0]);

        let kept = active.protocol.kept(0);
        assert!(active.on_worked(0, Work::Check { kept }, true).unwrap());
        assert!(active.protocol.is_verified(0));
    }

    #[test]
    fn a_block_that_became_ready_while_it_was_checked_is_restored() {
        let layout = Layout::with(64 * 2, 64, 2, 2).unwrap();
        let (_folder, mut active) = active(layout);
        for index in 0..2 {
            let shard = ShardId { block: 0, index };
            assert!(active.protocol.on_shard(index.into(), shard));
        }
        let work = Work::Check { kept: 1 };
        assert!(!active.on_worked(0, work, true).unwrap());
        assert_eq!(active.protocol.next_ready(), Some(0));
        assert!(active.protocol.has(ShardId { block: 0, index: 1 }));
    }

    #[test]
    fn shards_beyond_the_block_are_refused() {
        let layout = Layout::with(64 * 10, 64, 10, 4).unwrap();
        let (_folder, mut active) = active(layout);
        active.fetching = Some(0);
        for (index, count) in [(u16::MAX, 1), (u16::MAX, 2), (9, 2), (10, 1), (0, 11)] {
            let first = ShardId { block: 0, index };
            let shards = vec![0; 64 * count];
            assert!(active.on_shards(&layout, first, &shards).is_err());
        }
        let first = ShardId { block: 0, index: 9 };
        active.on_shards(&layout, first, &[0; 64]).unwrap();
    }
}
