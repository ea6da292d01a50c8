//! The receiver's worker thread: passes data from the I/O loop to the session,
//! and the session's events to a keeper.

use super::{ReceiveError, disk::abort};
use crate::{
    EntryIndex,
    driver::io_loop::{Chunk, TransferIoError, WorkerChannels},
    session::{Answer, ReceiverEvent, ReceiverSession, RefuseReason},
};

/// The target of received entries.
pub(super) trait Keeper {
    /// What remains of it at the end.
    type Kept;

    /// Decides about each entry.
    fn answer(&mut self, link: &WorkerChannels) -> Result<Vec<Answer>, ReceiveError>;

    /// How many bytes of its own files the sender must still read, to compare
    /// them with files present here, before it can only send.
    fn comparing_bytes(&self) -> u64;

    /// Handles the next event after the answer, up to done.
    fn on_event(&mut self, event: ReceiverEvent<'_>) -> Result<(), ReceiveError>;

    /// Everything has arrived. Returns accepted entries that cannot be stored.
    fn finish(
        &mut self,
        link: &WorkerChannels,
    ) -> Result<Vec<(EntryIndex, RefuseReason)>, ReceiveError>;

    /// The transfer fails: complete files are kept nevertheless.
    fn give_up(&mut self);

    fn into_kept(self) -> Self::Kept;
}

pub(super) struct ReceiveWorker<K> {
    session: ReceiverSession,
    link: WorkerChannels,
    keeper: K,
}

impl<K: Keeper> ReceiveWorker<K> {
    pub(super) fn new(session: ReceiverSession, link: WorkerChannels, keeper: K) -> Self {
        Self {
            session,
            link,
            keeper,
        }
    }

    pub(super) fn run(mut self) -> Result<K::Kept, ReceiveError> {
        match self.receive() {
            Ok(()) => Ok(self.keeper.into_kept()),
            Err(error) => {
                self.keeper.give_up();
                if let Some(abort) = abort(&error) {
                    self.session.abort(abort);
                    let _ = self.transmit();
                }
                Err(error)
            }
        }
    }

    fn receive(&mut self) -> Result<(), ReceiveError> {
        self.link.activity.work();
        let answers = self.keeper.answer(&self.link)?;
        self.session.answer(answers);
        self.transmit()?;
        let mut done = false;
        while !done {
            let left = self.keeper.comparing_bytes();
            self.link.activity.wait_for_peer(left);
            let bytes = self
                .link
                .inbound
                .blocking_recv()
                .ok_or(TransferIoError::Closed)?;
            self.link.activity.work();
            let mut input = bytes.as_slice();
            while let Some(event) = self.session.handle_input(&mut input)? {
                // All of these are progress; a keep-alive produces no event.
                self.link.activity.touch_payload();
                match event {
                    ReceiverEvent::Done => done = true,
                    event => self.keeper.on_event(event)?,
                }
            }
            let _ = self.link.inbound_free.try_send(bytes);
        }
        let failures = self.keeper.finish(&self.link)?;
        self.session.report(failures);
        self.transmit()
    }

    fn transmit(&mut self) -> Result<(), ReceiveError> {
        while let Some(bytes) = self.session.poll_transmit() {
            let filled = bytes.len();
            self.link
                .outbound
                .blocking_send(Chunk::of(bytes, filled))
                .map_err(|_closed| TransferIoError::Closed)?;
        }
        Ok(())
    }
}
