//! Receives datagrams, singly and in batches.

use std::{io, iter, slice, sync::atomic::Ordering};

use tokio::io::Interest;

use super::{Datagram, ReceiveBatch, UdpEndpoint, UdpError, batch, endpoint::RECEIVE_INTEREST};
use crate::sys::datagram::{self, Received};

impl UdpEndpoint {
    /// Waits for one datagram and copies it into `buffer`.
    ///
    /// If the buffer is too small, the rest is lost and
    /// [`Datagram::is_truncated`] returns `true`.
    ///
    /// # Errors
    /// [`UdpError::Peer`] on a connected endpoint if an ICMP error reports the
    /// peer unreachable, [`UdpError::TimedOut`] if the endpoint has a read
    /// timeout, [`UdpError::Io`] if the operating system fails.
    ///
    /// # Cancel safety
    /// Cancel safe: no datagram is lost.
    pub async fn recv<'a>(&self, buffer: &'a mut [u8]) -> Result<Datagram<'a>, UdpError> {
        let mut received = Received::EMPTY;
        if !self.take_held(buffer, &mut received) {
            self.receive(|| self.receive_one(buffer, &mut received))
                .await?;
        }
        Ok(filled(buffer, &received))
    }

    /// Receives one datagram if one has arrived, without waiting.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use sockkit::udp::{Transmit, UdpEndpoint};
    ///
    /// let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
    /// let mut buffer = [0; 64];
    /// assert!(endpoint.try_recv(&mut buffer)?.is_none());
    /// endpoint.send(Transmit::new(endpoint.local_addr()?, b"hi")).await?;
    /// endpoint.readable().await?;
    /// let datagram = endpoint.try_recv(&mut buffer)?.ok_or("nothing")?;
    /// assert_eq!(datagram.bytes, b"hi");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Self::recv), except [`UdpError::TimedOut`].
    pub fn try_recv<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<Datagram<'a>>, UdpError> {
        let mut received = Received::EMPTY;
        let is_taken = self.take_held(buffer, &mut received)
            || self
                .try_receive(|| self.receive_one(buffer, &mut received))?
                .is_some();
        Ok(is_taken.then(|| filled(buffer, &received)))
    }

    /// Waits for a datagram, then receives as many as have arrived and fit into
    /// `batch`, in one system call.
    ///
    /// The previous contents of `batch` are dropped.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Cancel safe: no datagram is lost.
    pub async fn recv_batch(&self, batch: &mut ReceiveBatch) -> Result<(), UdpError> {
        self.allow_joining();
        if self.take_all_held(batch) {
            return Ok(());
        }
        self.receive(|| self.refill(batch)).await
    }

    /// Receives as many datagrams as have arrived and fit into `batch`, without
    /// waiting; leaves `batch` empty if there are none.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_batch(&self, batch: &mut ReceiveBatch) -> Result<(), UdpError> {
        self.allow_joining();
        if !self.take_all_held(batch) && self.try_receive(|| self.refill(batch))?.is_none() {
            batch.clear();
        }
        Ok(())
    }

    /// Moves the datagrams left by single receives to `batch`. Returns whether
    /// there were any.
    fn take_all_held(&self, batch: &mut ReceiveBatch) -> bool {
        match self.held().take() {
            Some(held) if !held.is_empty() => {
                *batch = held;
                true
            }
            _ => false,
        }
    }

    /// Takes a datagram that was merged with one received before, if there is
    /// one.
    fn take_held(&self, buffer: &mut [u8], received: &mut Received) -> bool {
        if !self.receive_offload.is_on.load(Ordering::Relaxed) {
            return false;
        }
        let first = self
            .held()
            .as_mut()
            .and_then(|held| held.take_first(buffer));
        first.is_some_and(|first| {
            *received = first;
            true
        })
    }

    /// One system call for a single datagram; while the kernel merges, the rest
    /// of a run is kept in `held`.
    fn receive_one(&self, buffer: &mut [u8], received: &mut Received) -> io::Result<()> {
        if self.receive_offload.is_on.load(Ordering::Relaxed) {
            let mut held = self.held();
            let batch = held.get_or_insert_with(|| ReceiveBatch::with_slots(1));
            // Another task may have received a run in the meantime.
            if batch.is_empty() {
                self.refill(batch)?;
            }
            *received = batch.take_first(buffer).ok_or(io::ErrorKind::WouldBlock)?;
            return Ok(());
        }
        if !self.has_control_data {
            return datagram::receive_plain(&self.socket, buffer, received);
        }
        let room = iter::once(buffer);
        datagram::receive_messages(&self.socket, room, slice::from_mut(received))?;
        Ok(())
    }

    fn refill(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        batch.refill(|slots, received| datagram::receive_messages(&self.socket, slots, received))
    }

    /// Waits until `call` returns anything other than `WouldBlock`.
    async fn receive<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> Result<T, UdpError> {
        loop {
            self.check_peer()?;
            let answer = self.when_ready(RECEIVE_INTEREST, self.read_timeout, &mut call);
            match answer.await? {
                Ok(value) => return Ok(value),
                Err(error) if self.absorb(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns the result of `call`, or `None` for `WouldBlock`.
    fn try_receive<T>(
        &self,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Result<Option<T>, UdpError> {
        // Each absorbed error is removed from the kernel's queue.
        for _ in 0..MAX_ABSORBED {
            self.check_peer()?;
            // tokio's `try_io` accepts one interest only.
            let called = match self.socket.try_io(Interest::READABLE, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.try_io(Interest::ERROR, &mut call)
                }
                called => called,
            };
            match called {
                Ok(value) => return Ok(Some(value)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if self.absorb(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Returns the ICMP error about the connected peer, if there is one.
    fn check_peer(&self) -> Result<(), UdpError> {
        let is_connected = self.is_connected.load(Ordering::Relaxed);
        if is_connected && let Some(error) = self.pop_error() {
            return Err(UdpError::Peer(error));
        }
        Ok(())
    }
}

/// The datagram that the kernel wrote into `buffer`.
fn filled<'a>(buffer: &'a [u8], received: &Received) -> Datagram<'a> {
    let bytes = &buffer[..received.wire_bytes.min(buffer.len())];
    batch::datagram(bytes, received.wire_bytes, received)
}

/// Bounds a non-blocking receive during a flood of ICMP errors.
const MAX_ABSORBED: usize = 64;
