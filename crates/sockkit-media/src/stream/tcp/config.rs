//! Where to listen or dial, and how patiently.

use std::{net::SocketAddr, time::Duration};

use sockkit_core::{
    options::SocketOptions,
    server::ServerConfig,
    tcp::{Connector, ListenConfig, Listener},
};

use crate::{
    encode::Compression,
    stream::{StreamError, patience::Patience},
};

/// Where a sender listens, and what its viewers may take.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a sender is bound with it"]
pub struct TcpSenderConfig {
    address: SocketAddr,
    max_viewers: usize,
    max_viewers_per_host: Option<usize>,
    write_deadline: Duration,
    pub(super) compression: Compression,
}

impl TcpSenderConfig {
    /// Listens at this machine's address; port 0 lets the system choose.
    ///
    /// The traffic is in the clear and there is no password: whoever reaches
    /// the address sees the pictures.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            max_viewers: 128,
            max_viewers_per_host: None,
            write_deadline: Duration::from_secs(10),
            compression: Compression::default(),
        }
    }

    /// How many may watch at the same time; one more is reset. Default: 128.
    ///
    /// All share the bytes of a picture; each costs a task, a descriptor, and
    /// less than 600 KiB of the kernel's memory.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// How many of one host may watch at the same time; one more is reset.
    /// Default: a quarter of all.
    ///
    /// A host is one IPv4 address or one IPv6 /64 network. Behind address
    /// translation or a relay many viewers are one host.
    pub fn max_viewers_per_host(mut self, viewers: usize) -> Self {
        self.max_viewers_per_host = Some(viewers);
        self
    }

    /// How far a viewer may be behind, take nothing, or say nothing while there
    /// is nothing to show, before it is dropped. Default: 10 s;
    /// [`Duration::MAX`] is never.
    ///
    /// A picture may take a tenth of that, and a second more for each megabyte;
    /// a viewer that needs longer, however its bytes trickle, falls behind. By
    /// default one that needs two seconds for each picture is dropped after
    /// twenty. A viewer that lives dials again, and is shown the newest picture.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// How well raw pictures are compressed, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are sent untouched.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.compression = Compression::Jpeg { quality };
        self
    }

    /// Sends raw pictures as they are. Default: as JPEG.
    ///
    /// It saves the time to compress and loses nothing, at the price of about
    /// ten times the traffic to each viewer.
    pub fn raw(mut self) -> Self {
        self.compression = Compression::None;
        self
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.write_deadline)
    }

    pub(super) fn per_host(&self) -> usize {
        self.max_viewers_per_host
            .unwrap_or_else(|| self.max_viewers.div_ceil(4))
    }

    pub(super) fn listen(&self) -> Result<Listener, StreamError> {
        let options = SocketOptions::new()
            .no_delay(true)
            .send_buffer_bytes(SEND_BUFFER_BYTES)
            .receive_buffer_bytes(CONTROL_BUFFER_BYTES);
        // Less than half of this waits unsent when the next picture is chosen;
        // and what a vanished viewer left is not kept for long.
        #[cfg(target_os = "linux")]
        let options = options
            .not_sent_low_water_bytes(NOT_SENT_BYTES)
            .user_timeout(Some(self.write_deadline.min(LONGEST_USER_TIMEOUT)));
        let config = ListenConfig::default().options(options);
        Ok(Listener::bind_with(self.address, &config)?)
    }

    pub(super) fn limits(&self) -> ServerConfig {
        ServerConfig::default()
            .max_connections(self.max_viewers)
            .max_connections_per_address(self.per_host())
            .write_timeout(self.write_deadline.min(FOR_EVER))
            .idle_timeout(self.write_deadline.min(FOR_EVER))
            .drain_timeout(DRAIN_WITHIN)
            // Reads wait beside the pictures, and see the end only after them.
            .quiet_period(None)
    }
}

/// Whom to dial, and what may wait here.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a receiver dials with it"]
pub struct TcpReceiverConfig {
    pub(super) sender: String,
    receive_buffer_bytes: usize,
    silence: Duration,
}

impl TcpReceiverConfig {
    /// Dials `host:port`: a name, which is resolved anew each time, or an
    /// address, IPv6 in brackets.
    pub fn to(sender: impl Into<String>) -> Self {
        Self {
            sender: sender.into(),
            receive_buffer_bytes: 256 << 10,
            silence: Duration::from_secs(3),
        }
    }

    /// Room for pictures while this program is stopped. Default: 256 KiB.
    ///
    /// What waits there is old when it is read, and is dropped. Longer paths
    /// need more: the rate times the round trip.
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.receive_buffer_bytes = bytes;
        self
    }

    /// How long the sender may send nothing before it is dialled again.
    /// Default: 3 s.
    ///
    /// It answers every second, also while it has no picture.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    pub(super) fn connector(&self) -> Connector {
        let options = SocketOptions::new()
            .no_delay(true)
            .receive_buffer_bytes(self.receive_buffer_bytes)
            .read_timeout(Some(self.silence.min(FOR_EVER)))
            .write_timeout(Some(self.silence.min(FOR_EVER)));
        Connector::default()
            .options(options)
            .timeout(CONNECT_WITHIN)
    }
}

/// Bounds what is on its way to one viewer: a picture or a few.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Reports and clock requests come in forty bytes each.
const CONTROL_BUFFER_BYTES: usize = 16 << 10;

#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 8 << 10;

/// The kernel counts milliseconds in 31 bits.
#[cfg(target_os = "linux")]
const LONGEST_USER_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// A host that was switched off is dialled anew after so long: by then it may
/// be back, and the kernel's own tries come ever more rarely.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// A century: an instant so far away is one still.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// What a viewer that does not read holds up a shutdown by.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
