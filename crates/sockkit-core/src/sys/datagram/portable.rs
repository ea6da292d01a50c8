//! One datagram per call through tokio, for systems other than Linux and
//! Windows.
//!
//! Not verified on those systems. Truncation, interfaces, drops and source
//! selection are not available there.

use std::io;

use tokio::net::UdpSocket;

use super::{Message, QueuedError, Received};

/// Maximum number of messages that one call sends or receives.
pub(crate) const MAX_MESSAGES: usize = 1;

pub(crate) fn prepare(_socket: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn enable_coalescing(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn send_messages(socket: &UdpSocket, messages: &[Message<'_>]) -> io::Result<usize> {
    let Some(message) = messages.first() else {
        return Ok(0);
    };
    if message.segment_bytes.is_some()
        || message.source.is_some()
        || message.interface_index.is_some()
    {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let bytes: Vec<u8> = message
        .parts
        .iter()
        .flat_map(|part| part.iter().copied())
        .collect();
    match message.to {
        Some(to) => socket.try_send_to(&bytes, to)?,
        None => socket.try_send(&bytes)?,
    };
    Ok(1)
}

pub(crate) fn receive_messages<'a>(
    socket: &UdpSocket,
    mut buffers: impl Iterator<Item = &'a mut [u8]>,
    received: &mut [Received],
) -> io::Result<usize> {
    let (Some(buffer), Some(received)) = (buffers.next(), received.first_mut()) else {
        return Ok(0);
    };
    let (wire_bytes, from) = socket.try_recv_from(buffer)?;
    *received = Received {
        from,
        wire_bytes,
        ..Received::EMPTY
    };
    Ok(1)
}

pub(crate) fn receive_plain(
    socket: &UdpSocket,
    buffer: &mut [u8],
    received: &mut Received,
) -> io::Result<()> {
    (received.wire_bytes, received.from) = socket.try_recv_from(buffer)?;
    Ok(())
}

pub(crate) fn has_control_data(_socket: &UdpSocket) -> bool {
    false
}

pub(crate) fn ask_packet_info(_socket: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn next_error(_socket: &UdpSocket) -> io::Result<Option<QueuedError>> {
    Ok(None)
}
