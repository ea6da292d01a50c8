//! Multicasts shards, at the chosen rate.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    super::{GroupError, GroupEvent, OVERHEAD_BYTES, ShardId},
    Sending,
};

impl Sending {
    /// Sends shards, and moves the time of the next ones.
    pub(super) async fn send(&mut self, shards: &[ShardId]) -> Result<(), GroupError> {
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
    pub(super) async fn beacon(&mut self) -> Result<(), GroupError> {
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
}

/// Ethernet, IPv4 and UDP.
const HEADERS_BYTES: usize = 42;
const CATCH_UP: Duration = Duration::from_millis(5);
