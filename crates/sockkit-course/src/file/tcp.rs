//! The course's file protocol over TCP.
//!
//! ```text
//!   receiver                          sender
//!     ready message, any text ─────────▶
//!     ◀──────────────── name, no end mark
//!     ◀───────── (a moment) ─────── bytes
//!     ◀────────────────────── end of file
//! ```

use std::{fs::File, io::Read, path::Path, time::Duration};

use sockkit_codec::file::course::{MAX_NAME_BYTES, READY};
use sockkit_file::{Destination, Whole};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::{
    Awaited, Completion, CourseError, Received, SILENCE, name_of, on_disk, parse_name, saved_as,
};

/// Waits for the receiver's ready message, then sends the file at `path`.
/// Returns its length.
///
/// Use a socket with `TCP_NODELAY`: the name has no end mark, so only a pause
/// separates it from the file.
///
/// # Errors
/// If the file cannot be read, its name cannot be sent, the connection fails,
/// or the receiver is silent for 30 s.
///
/// # Cancel safety
/// Not cancel safe: the receiver treats what it has as the whole file.
pub async fn send<S>(mut stream: S, path: &Path) -> Result<u64, CourseError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = name_of(path)?;
    let path = path.to_owned();
    let mut file = on_disk(move || File::open(path)).await?;

    let mut ready = [0; MAX_NAME_BYTES];
    let read = within(Awaited::Ready, stream.read(&mut ready)).await?;
    if read == 0 {
        return Err(CourseError::Closed);
    }
    within(Awaited::Room, stream.write_all(name.as_bytes())).await?;
    within(Awaited::Room, stream.flush()).await?;
    sleep(PAUSE_AFTER_NAME).await;

    let mut sent = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read;
        (file, buffer, read) = on_disk(move || {
            let read = file.read(&mut buffer)?;
            Ok((file, buffer, read))
        })
        .await?;
        let mut left = &buffer[..read];
        if left.is_empty() {
            break;
        }
        while !left.is_empty() {
            let written = within(Awaited::Room, stream.write(left)).await?;
            left = left.get(written..).unwrap_or_default();
        }
        sent += read as u64;
    }
    within(Awaited::Room, stream.shutdown()).await?;
    // The receiver closes when it has read everything; closing earlier would be
    // guesswork.
    while within(Awaited::Room, stream.read(&mut ready)).await? > 0 {}
    Ok(sent)
}

/// Sends the ready message, and receives one file as `new_NAME`.
///
/// An existing file of that name is replaced when the connection has ended
/// cleanly.
///
/// # Errors
/// [`CourseError::NotAName`] if the name arrived together with the file,
/// [`CourseError::Name`] if it is unsafe; otherwise if the disk or the
/// connection fails, or the sender is silent for 30 s.
///
/// # Cancel safety
/// Not cancel safe. Dropping the future leaves no partial file behind.
pub async fn receive<S>(mut stream: S, destination: &Destination) -> Result<Received, CourseError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within(Awaited::Room, stream.write_all(READY)).await?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let read = within(Awaited::Name, stream.read(&mut buffer[..MAX_NAME_BYTES])).await?;
    if read == 0 {
        return Err(CourseError::Closed);
    }
    let name = parse_name(&buffer[..read])?;

    let (destination, wanted) = (destination.clone(), saved_as(&name)?);
    let mut whole = on_disk(move || Whole::begin(&destination, wanted)).await?;
    loop {
        let read = within(Awaited::Bytes, stream.read(&mut buffer)).await?;
        if read == 0 {
            break;
        }
        (whole, buffer) = on_disk(move || {
            whole.write(&buffer[..read])?;
            Ok((whole, buffer))
        })
        .await?;
    }
    let bytes = whole.bytes();
    Ok(Received {
        name,
        saved_as: on_disk(move || whole.finish()).await?,
        bytes,
        datagrams: 0,
        end: Completion::Marked,
    })
}

/// Runs one step that depends on the peer, with a timeout.
async fn within<T>(
    waiting_for: Awaited,
    step: impl Future<Output = std::io::Result<T>>,
) -> Result<T, CourseError> {
    match timeout(SILENCE, step).await {
        Ok(done) => done.map_err(CourseError::Link),
        Err(_elapsed) => Err(CourseError::Silent {
            timeout: SILENCE,
            waiting_for,
        }),
    }
}

/// Long enough for a receiver on a busy machine to call `recv` for the name.
const PAUSE_AFTER_NAME: Duration = Duration::from_millis(200);
const BUFFER_BYTES: usize = 256 << 10;
