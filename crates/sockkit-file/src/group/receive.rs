//! Receives from a group: looks like an ordinary sender to the session that
//! writes the files.
//!
//! ```text
//!   sender ── connection, multicast ── engine ── spool ── sender ═══ receive()
//!                                                         session    into a folder
//! ```

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use sockkit_core::{
    multicast::{Group, MulticastEndpoint, Via},
    options::SocketOptions,
    udp::ReceiveBatch,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    GroupError, GroupKey, GroupReceiver, Layout, Request, ToMember, ToSender, Welcome,
    active::{Active, Work, worked},
    frames::{self, ALIVE},
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
    /// Where the spool is.
    destination: Destination,
    accepted: oneshot::Receiver<io::Result<Arc<Spool>>>,
    local: JoinHandle<Result<Summary, SendError>>,
    /// From the user's consent on.
    active: Option<Active>,
    over: bool,
    alive_at: Instant,
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
            config.spool.clone(),
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
            destination: config.spool,
            accepted,
            local,
            active: None,
            over: false,
            alive_at: Instant::now(),
        })
    }

    async fn run(mut self) -> Result<(), GroupError> {
        let ended = match self.transfer().await {
            // It needs the sender no longer.
            Err(_) if self.lacks_nothing() => {
                let ended = (&mut self.local).await;
                self.finish(ended).await
            }
            Err(GroupError::Gone) => Err(self.why_gone().await),
            ended => ended,
        };
        let Err(error) = ended else {
            return Ok(());
        };
        let error = self.without_room(error);
        tracing::info!(%error, "transfer from a group failed");
        self.end_session().await;
        if let Some(reason) = error.abort() {
            self.leave(&ToSender::Abort(reason)).await;
        }
        Err(error)
    }

    /// What cannot be written any more is found out before what the sender has said last.
    async fn why_gone(&mut self) -> GroupError {
        let told = async {
            while let Some(Ok(said)) = self.said.recv().await {
                if let ToMember::Abort(reason) = said {
                    return GroupError::Ended(reason);
                }
            }
            GroupError::Gone
        };
        timeout(FAREWELL, told).await.unwrap_or(GroupError::Gone)
    }

    /// Whether the session has only to write what is there.
    fn lacks_nothing(&self) -> bool {
        self.active.is_some() && self.progress.is_complete() && !self.local.is_finished()
    }

    /// The error of a full disk, with what is free there.
    fn without_room(&self, error: GroupError) -> GroupError {
        let GroupError::Spool(full) = &error else {
            return error;
        };
        match (full.kind(), self.destination.free_bytes()) {
            (io::ErrorKind::StorageFull, Ok(available_bytes)) => GroupError::NoSpace {
                needed_bytes: self.layout.total_bytes(),
                available_bytes,
            },
            _ => error,
        }
    }

    /// Ends the session that writes the files, before what it reads fails: the receiver
    /// sees a connection that was closed, and not a file that cannot be read.
    async fn end_session(&mut self) {
        if !self.local.is_finished() {
            self.local.abort();
            let _ = (&mut self.local).await;
        }
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
                    Ok(spool) => self.begin(spool.map_err(GroupError::Spool)?).await?,
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
        self.active = Some(Active::new(protocol, spool, &self.layout)?);
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
        match said {
            ToMember::Over => self.over = true,
            ToMember::Abort(reason) => return Err(GroupError::Ended(reason)),
            _ => {}
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
        self.discard_spool();
        self.leave(&ToSender::Done { without }).await;
        Ok(())
    }

    /// Says the last message, and waits until the sender has it: closing earlier could
    /// discard it.
    async fn leave(&mut self, last: &ToSender) {
        let leaving = async {
            self.tell(last).await?;
            while let Some(Ok(said)) = self.said.recv().await {
                if said == ToMember::Finished {
                    break;
                }
            }
            Ok::<_, GroupError>(())
        };
        let _ = timeout(FAREWELL, leaving).await;
    }

    /// Kept only where the transfer was interrupted.
    fn discard_spool(&self) {
        if let Some(active) = &self.active
            && let Err(error) = active.spool.remove()
        {
            tracing::warn!(%error, "cannot remove a temporary file");
        }
    }
}

impl<S> Drop for Engine<S> {
    /// However it ends: nothing may wait for it any longer.
    fn drop(&mut self) {
        self.local.abort();
        // What waits for a block gets an error.
        self.progress.fail();
        self.listener.abort();
    }
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

const LOCAL_BYTES: usize = 1 << 20;
/// Time for the offer and all digests, 32 MiB at most.
const WELCOMED: Duration = Duration::from_secs(300);
const SAID: usize = 16;
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
const FAREWELL: Duration = Duration::from_secs(5);
/// The connection has its own limits.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

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
}
