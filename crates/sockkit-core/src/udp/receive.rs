//! Receiving, singly and in batches.

use std::{io, iter, slice, sync::atomic::Ordering};

use tokio::io::Interest;

use super::{Datagram, ReceiveBatch, UdpEndpoint, UdpError, batch};
use crate::sys::datagram::{self, Received};

impl UdpEndpoint {
    /// Waits for one datagram and puts it into `buffer`.
    ///
    /// What does not fit is lost, and [`Datagram::is_truncated`] says so.
    ///
    /// # Errors
    /// [`UdpError::Peer`] on a connected endpoint if word came back that the
    /// peer cannot be reached, [`UdpError::TimedOut`] if the endpoint has a
    /// read deadline, [`UdpError::Io`] if the system fails.
    ///
    /// # Cancel safety
    /// Cancel safe: no datagram is lost.
    pub async fn recv<'a>(&self, buffer: &'a mut [u8]) -> Result<Datagram<'a>, UdpError> {
        let received = if self.receive_offload.is_on.load(Ordering::Relaxed) {
            self.recv_one_of_many(buffer).await?
        } else {
            let mut received = Received::EMPTY;
            self.receive(|| {
                let room = iter::once(&mut *buffer);
                datagram::receive_messages(&self.socket, room, slice::from_mut(&mut received))
            })
            .await?;
            received
        };
        let bytes = &buffer[..received.wire_bytes.min(buffer.len())];
        Ok(batch::datagram(bytes, received.wire_bytes, &received))
    }

    /// Waits until there is something, then takes as much as there is and
    /// `batch` has room for, in one system call.
    ///
    /// What was in `batch` before is gone.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Cancel safe: no datagram is lost.
    pub async fn recv_batch(&self, batch: &mut ReceiveBatch) -> Result<(), UdpError> {
        self.allow_joining();
        if let Some(held) = self.held().take()
            && !held.is_empty()
        {
            *batch = held;
            return Ok(());
        }
        self.receive(|| self.refill(batch)).await
    }

    /// Receives singly while the kernel joins: the rest of a run waits in
    /// `held`.
    async fn recv_one_of_many(&self, buffer: &mut [u8]) -> Result<Received, UdpError> {
        let mut take_or_receive = || {
            let mut held = self.held();
            let batch = held.get_or_insert_with(|| ReceiveBatch::with_slots(1));
            if let Some(received) = batch.take_first(buffer) {
                return Ok(received);
            }
            self.refill(batch)?;
            batch
                .take_first(buffer)
                .ok_or_else(|| io::ErrorKind::WouldBlock.into())
        };
        // What is held makes no socket readable.
        if let Ok(received) = take_or_receive() {
            return Ok(received);
        }
        self.receive(take_or_receive).await
    }

    fn refill(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        batch.refill(|slots, received| datagram::receive_messages(&self.socket, slots, received))
    }

    /// Waits until `call` has something other than "not yet" to say.
    async fn receive<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> Result<T, UdpError> {
        let is_connected = self.is_connected.load(Ordering::Relaxed);
        loop {
            if is_connected && let Some(error) = self.pop_error() {
                return Err(UdpError::Peer(error));
            }
            // Word from the network wakes only those who ask for errors.
            let interest = Interest::READABLE | Interest::ERROR;
            let answer = self.when_ready(interest, self.read_deadline, &mut call);
            match answer.await? {
                Ok(value) => return Ok(value),
                Err(error) if self.absorb(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
