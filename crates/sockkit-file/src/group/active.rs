//! The part of a member that has accepted: which shards go into the spool, and
//! which blocks there are whole.

use std::{collections::VecDeque, io, ops::Range, sync::Arc, time::Duration};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

use super::{GroupError, GroupReceiver, Layout, ShardId, repair::Decoder};
use crate::{Digest, store::Spool};

/// The protocol, and the blocks that are worked on.
pub(super) struct Active {
    pub(super) protocol: GroupReceiver,
    pub(super) spool: Arc<Spool>,
    /// Blocks of an earlier attempt to look at, while there is nothing to restore.
    to_check: VecDeque<u32>,
    work: Option<Running>,
    workbench: Workbench,
    /// Shards to be written.
    pub(super) unwritten: Vec<(u64, Vec<u8>)>,
    pub(super) fetching: Option<u32>,
}

/// Work on a block, on a thread of its own.
struct Running {
    block: u32,
    work: Work,
    /// Whether the block matches its digest.
    matches: JoinHandle<(Workbench, io::Result<bool>)>,
}

/// Memory for the work on a block, of which there is one at a time.
#[derive(Default)]
struct Workbench {
    data: Vec<u8>,
    shard: Vec<u8>,
    decoder: Decoder,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Work {
    Restore,
    Check {
        /// Shards of the block that were kept before.
        kept: u16,
    },
}

impl Active {
    /// What an earlier attempt has left in the spool is looked at.
    pub(super) fn new(
        protocol: GroupReceiver,
        spool: Arc<Spool>,
        layout: &Layout,
    ) -> Result<Self, GroupError> {
        let to_check = match spool.end().map_err(GroupError::Spool)? {
            0 => VecDeque::new(),
            _ => (0..layout.blocks()).collect(),
        };
        Ok(Self {
            protocol,
            spool,
            to_check,
            work: None,
            workbench: Workbench::default(),
            unwritten: Vec::new(),
            fetching: None,
        })
    }

    /// Whether blocks of an earlier attempt remain to be looked at.
    pub(super) fn is_checking(&self) -> bool {
        let checks = |running: &Running| matches!(running.work, Work::Check { .. });
        !self.to_check.is_empty() || self.work.as_ref().is_some_and(checks)
    }

    pub(super) async fn write(&mut self) -> Result<(), GroupError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let shards = std::mem::take(&mut self.unwritten);
        let spool = Arc::clone(&self.spool);
        let writing = spawn_blocking(move || {
            let mut shards = shards.iter();
            shards.try_for_each(|(place, shard)| spool.write(*place, shard))
        });
        let written = writing.await.map_err(|_panic| GroupError::Worker)?;
        written.map_err(GroupError::Spool)
    }

    pub(super) fn on_poll(&mut self, round: u32, blocks: Range<u32>, newest: u64) {
        let now = Instant::now().into_std();
        let delay = random_below(MAX_DELAY);
        self.protocol.on_poll(now, round, blocks, newest, delay);
    }

    pub(super) fn on_shards(
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
    pub(super) fn on_worked(
        &mut self,
        block: u32,
        work: Work,
        matches: bool,
    ) -> Result<bool, GroupError> {
        match (matches, work) {
            // Shards that came meanwhile stand where it was looked at, or will.
            (true, Work::Check { kept }) if self.protocol.kept(block) != kept => {
                self.to_check.push_back(block);
                return Ok(false);
            }
            (true, _) => self.protocol.on_verified(block),
            (false, Work::Restore) => {
                self.protocol.on_rejected(block)?;
                tracing::info!(block, "a member forged shards: the block is received again");
            }
            (false, Work::Check { .. }) => {}
        }
        Ok(matches)
    }

    /// Restores or looks at one block beside reception.
    pub(super) fn work_on_next(&mut self, layout: &Layout, digests: &Arc<Vec<Digest>>) {
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
            let mut workbench = std::mem::take(&mut self.workbench);
            let task = spawn_blocking(move || {
                let matches = workbench.restore(&spool, &layout, &digests, block, has);
                (workbench, matches)
            });
            self.work = Some(Running {
                block,
                work: Work::Restore,
                matches: task,
            });
            return;
        }
        while let Some(block) = self.to_check.pop_front() {
            if !self.protocol.is_verified(block) {
                let mut workbench = std::mem::take(&mut self.workbench);
                let task = spawn_blocking(move || {
                    let matches = workbench.check(&spool, &layout, &digests, block);
                    (workbench, matches)
                });
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
pub(super) async fn worked(active: &mut Option<Active>) -> (u32, Work, Result<bool, GroupError>) {
    let work = active.as_mut().and_then(|active| active.work.as_mut());
    let Some(running) = work else {
        return std::future::pending().await;
    };
    let ended = (&mut running.matches).await;
    let (workbench, matches) = match ended {
        Ok((workbench, matches)) => (workbench, matches.map_err(GroupError::Spool)),
        Err(_panic) => (Workbench::default(), Err(GroupError::Worker)),
    };
    let done = (running.block, running.work, matches);
    if let Some(active) = active {
        (active.work, active.workbench) = (None, workbench);
    }
    done
}

impl Workbench {
    /// Completes the data shards of a block in the spool. Returns whether they match
    /// the digest.
    fn restore(
        &mut self,
        spool: &Spool,
        layout: &Layout,
        digests: &[Digest],
        block: u32,
        has: Vec<bool>,
    ) -> io::Result<bool> {
        let (has_data, has_parity) = has.split_at(usize::from(layout.data_shards(block)));
        self.data.resize(has_data.len() * layout.shard_bytes(), 0);
        spool.read(layout.block_offset(block), &mut self.data)?;
        let is_complete = has_data.iter().all(|has| *has);
        if !is_complete {
            self.decoder.begin(layout, block, &self.data, has_data);
            let first = layout.data_shards(block);
            self.shard.resize(layout.shard_bytes(), 0);
            for (number, _) in (0..).zip(has_parity).filter(|(_, has)| **has) {
                let index = first + number;
                spool.read(layout.place(ShardId { block, index }), &mut self.shard)?;
                self.decoder.add_parity(number, &self.shard);
            }
            self.decoder.finish(layout, &mut self.data);
        }
        let matches = matches_digest(layout, digests, block, &self.data);
        if matches && !is_complete {
            spool.write(layout.block_offset(block), &self.data)?;
        }
        Ok(matches)
    }

    /// Whether a block of an earlier attempt is there.
    fn check(
        &mut self,
        spool: &Spool,
        layout: &Layout,
        digests: &[Digest],
        block: u32,
    ) -> io::Result<bool> {
        self.data.resize(layout.block_bytes(block), 0);
        spool.read(layout.block_offset(block), &mut self.data)?;
        Ok(matches_digest(layout, digests, block, &self.data))
    }
}

fn matches_digest(layout: &Layout, digests: &[Digest], block: u32, data: &[u8]) -> bool {
    let digest = blake3::hash(&data[..layout.block_bytes(block)]);
    digests
        .get(block as usize)
        .is_some_and(|announced| announced.0 == *digest.as_bytes())
}

fn random_below(most: Duration) -> Duration {
    let mut bytes = [0; 2];
    // Without randomness all answer at once, which is no error.
    let _ = getrandom::fill(&mut bytes);
    most.mul_f64(f64::from(u16::from_be_bytes(bytes)) / 65_536.0)
}

const MAX_DELAY: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;

    /// A member with an empty spool, which has accepted.
    fn active(layout: Layout) -> (tempfile::TempDir, Active) {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let protocol = GroupReceiver::new(layout, Instant::now().into_std());
        let spool = Arc::new(Spool::open(&destination, [1; 32]).unwrap());
        let active = Active::new(protocol, spool, &layout).unwrap();
        (folder, active)
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
