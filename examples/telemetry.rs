//! Telemetry: readings from many sensors, each with the time at which the kernel
//! received it, however late this program gets to read it.
//!
//! ```console
//! $ cargo run --example telemetry
//! $ echo -n 21.5 | nc -u -w0 127.0.0.1 7001
//! ```

use std::{
    collections::{HashMap, hash_map::Entry},
    error::Error,
    net::SocketAddr,
    time::SystemTime,
};

use sockkit::{
    BindError,
    options::SocketOptions,
    udp::{Datagram, ReceiveBatch, UdpEndpoint, UdpError},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut collector = Collector::bind("0.0.0.0:7001".parse()?)?;
    loop {
        collector.receive().await?;
        for (address, sensor) in &collector.sensors {
            println!("{address}: {sensor:?}");
        }
    }
}

/// What is known of one sender.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) readings: u64,
    pub(crate) newest: f64,
    pub(crate) received: SystemTime,
}

pub(crate) struct Collector {
    pub(crate) endpoint: UdpEndpoint,
    pub(crate) sensors: HashMap<SocketAddr, Sensor>,
    /// Datagrams that the kernel had no room for.
    pub(crate) dropped: u32,
    batch: ReceiveBatch,
}

impl Collector {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BindError> {
        // Room for a burst of all sensors at once.
        let options = SocketOptions::new().receive_buffer_bytes(1 << 20);
        #[cfg(target_os = "linux")]
        let options = options.receive_timestamp(true).receive_drop_count(true);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(address, &options)?,
            sensors: HashMap::new(),
            dropped: 0,
            batch: ReceiveBatch::new(),
        })
    }

    /// Takes what has arrived, in one system call.
    pub(crate) async fn receive(&mut self) -> Result<(), UdpError> {
        self.endpoint.recv_batch(&mut self.batch).await?;
        for datagram in self.batch.iter() {
            self.dropped = datagram.drops;
            note(&mut self.sensors, &datagram);
        }
        Ok(())
    }
}

/// Counts one reading; what is no number is not counted.
fn note(sensors: &mut HashMap<SocketAddr, Sensor>, datagram: &Datagram<'_>) {
    let text = str::from_utf8(datagram.bytes).unwrap_or_default();
    let Ok(newest) = text.trim().parse() else {
        return;
    };
    let is_full = sensors.len() >= MAX_SENSORS;
    let sensor = match sensors.entry(datagram.from) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(_) if is_full => return,
        Entry::Vacant(new) => new.insert(Sensor {
            readings: 0,
            newest,
            received: SystemTime::UNIX_EPOCH,
        }),
    };
    sensor.readings += 1;
    sensor.newest = newest;
    // Only Linux tells; elsewhere it is the time of the call.
    sensor.received = datagram.received.unwrap_or_else(SystemTime::now);
}

/// Any host can send from as many ports as it likes.
const MAX_SENSORS: usize = 1_000;
