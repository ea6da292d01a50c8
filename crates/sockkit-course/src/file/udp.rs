//! The course's file protocol over UDP. Best effort: lost datagrams are
//! missing, and only the byte count reveals it.
//!
//! ```text
//!   sender                            receiver
//!     one datagram: the name ──────────▶
//!     ◀───────────────────────────── OK
//!     the bytes, datagram by datagram ─▶
//!     an empty datagram ───────────────▶   or silence for 2 s
//! ```

use std::{fs::File, io::Read, net::SocketAddr, path::Path, time::Duration};

use sockkit_codec::file::course::{MAX_NAME_BYTES, OK};
use sockkit_core::udp::{Transmit, UdpEndpoint};
use sockkit_file::{Destination, Whole};
use sockkit_link::channel::Pacer;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Awaited, Completion, CourseError, Received, name_of, on_disk, parse_name, saved_as};

/// Sends the file at `path` to the receiver at `to`, paced at 10 MB/s, because
/// this protocol has no flow control. Returns its length.
///
/// # Errors
/// If the file cannot be read, its name cannot be sent, the socket fails, or no
/// `OK` arrives within 5 s.
///
/// # Cancel safety
/// Not cancel safe: the receiver treats what it has as the whole file.
pub async fn send(endpoint: &UdpEndpoint, to: SocketAddr, path: &Path) -> Result<u64, CourseError> {
    let name = name_of(path)?;
    let path = path.to_owned();
    let mut file = on_disk(move || File::open(path)).await?;

    endpoint.send(Transmit::new(to, name.as_bytes())).await?;
    wait_for_ok(endpoint, to).await?;

    let mut sent = 0;
    let mut pacer = Pacer::with_burst(BYTES_PER_SECOND, BURST_BYTES, Instant::now().into_std());
    let mut buffer = vec![0; BURST_BYTES];
    loop {
        let read;
        (file, buffer, read) = on_disk(move || {
            let read = fill(&mut file, &mut buffer)?;
            Ok((file, buffer, read))
        })
        .await?;
        if read == 0 {
            break;
        }
        for datagram in buffer[..read].chunks(DATAGRAM_BYTES) {
            endpoint.send(Transmit::new(to, datagram)).await?;
        }
        sent += read as u64;
        if let Some(until) = pacer.on_sent(Instant::now().into_std(), read) {
            sleep_until(until.into()).await;
        }
    }
    endpoint.send(Transmit::new(to, &[])).await?;
    Ok(sent)
}

/// Waits for a sender, and receives one file from it as `new_NAME`. Datagrams
/// from other senders are ignored in the meantime.
///
/// An existing file of that name is replaced at the end.
///
/// # Errors
/// [`CourseError::Name`] or [`CourseError::NotAName`] if the first datagram is
/// not a safe name; otherwise if the disk or the socket fails.
///
/// # Cancel safety
/// Not cancel safe. Dropping the future leaves no partial file behind. Waiting
/// for a sender has no timeout, as in a server.
pub async fn receive(
    endpoint: &UdpEndpoint,
    destination: &Destination,
) -> Result<Received, CourseError> {
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    let first = endpoint.recv(&mut buffer).await?;
    let from = first.from;
    if first.bytes.len() > MAX_NAME_BYTES {
        return Err(CourseError::NotAName {
            bytes: first.bytes.len(),
        });
    }
    let name = parse_name(first.bytes)?;
    let (destination, wanted) = (destination.clone(), saved_as(&name)?);
    let mut whole = on_disk(move || Whole::begin(&destination, wanted)).await?;
    endpoint.send(Transmit::new(from, OK)).await?;

    let mut datagrams = 0;
    let mut pending = Vec::with_capacity(2 * FLUSH_BYTES);
    let mut deadline = Instant::now() + END_BY_SILENCE;
    let end = loop {
        let Ok(received) = timeout_at(deadline, endpoint.recv(&mut buffer)).await else {
            break Completion::Silence;
        };
        let datagram = received?;
        if datagram.from != from {
            continue;
        }
        if datagram.bytes.is_empty() {
            break Completion::Marked;
        }
        deadline = Instant::now() + END_BY_SILENCE;
        datagrams += 1;
        pending.extend_from_slice(datagram.bytes);
        if pending.len() >= FLUSH_BYTES {
            (whole, pending) = write(whole, pending).await?;
        }
    };
    (whole, _) = write(whole, pending).await?;
    let bytes = whole.bytes();
    Ok(Received {
        name,
        saved_as: on_disk(move || whole.finish()).await?,
        bytes,
        datagrams,
        end,
    })
}

async fn wait_for_ok(endpoint: &UdpEndpoint, to: SocketAddr) -> Result<(), CourseError> {
    let deadline = Instant::now() + OK_TIMEOUT;
    let mut answer = [0; 16];
    loop {
        let received = timeout_at(deadline, endpoint.recv(&mut answer)).await;
        let datagram = received.map_err(|_elapsed| CourseError::Silent {
            timeout: OK_TIMEOUT,
            waiting_for: Awaited::Ok,
        })??;
        if datagram.from == to && datagram.bytes == OK {
            return Ok(());
        }
    }
}

/// Reads until `buffer` is full or the file ends: a short read must not produce
/// a short datagram.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

async fn write(mut whole: Whole, mut pending: Vec<u8>) -> Result<(Whole, Vec<u8>), CourseError> {
    on_disk(move || {
        whole.write(&pending)?;
        pending.clear();
        Ok((whole, pending))
    })
    .await
}

const OK_TIMEOUT: Duration = Duration::from_secs(5);
const END_BY_SILENCE: Duration = Duration::from_secs(2);
/// Avoids IP fragments on Ethernet, so that one lost packet costs one datagram.
const DATAGRAM_BYTES: usize = 1_400;
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// A default receive buffer holds seven of these, and two bursts may coincide.
const BURST_BYTES: usize = 20 * DATAGRAM_BYTES;
/// Within the rate of Fast Ethernet.
const BYTES_PER_SECOND: u64 = 10_000_000;
const FLUSH_BYTES: usize = 256 << 10;
