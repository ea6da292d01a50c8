//! A sender of its own that says whatever a test wants, written from
//! `docs/wire/file.md` and not from the library.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// An entry of an offer, as it goes over the wire; nothing about it need be true.
#[derive(Clone, Debug)]
pub(super) struct Offered {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) nanoseconds: u32,
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    /// What is sent for it, if it is accepted, or asked for or not.
    pub(super) bytes: &'static [u8],
}

impl Offered {
    pub(super) fn file(path: impl Into<Vec<u8>>, bytes: &'static [u8]) -> Self {
        Self {
            kind: 0,
            flags: 0,
            mode: 0,
            size: bytes.len() as u64,
            nanoseconds: 0,
            path: path.into(),
            target: Vec::new(),
            bytes,
        }
    }

    pub(super) fn folder(path: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: 1,
            ..Self::file(path, b"")
        }
    }

    pub(super) fn link(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: 2,
            target: target.into(),
            ..Self::file(path, b"")
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend([self.kind, self.flags]);
        out.extend(self.mode.to_be_bytes());
        out.extend(self.size.to_be_bytes());
        out.extend(1_i64.to_be_bytes());
        out.extend(self.nanoseconds.to_be_bytes());
        for bytes in [&self.path, &self.target] {
            out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend(bytes);
        }
    }
}

/// What the liar does about a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manners {
    /// Sends what was accepted.
    Polite,
    /// Sends everything.
    Rude,
}

/// Says hello and the offer, then what the answer leaves to say. Returns the
/// answer's codes, if one came.
pub(super) fn lie(stream: &mut TcpStream, offer: &[u8], said: &Said<'_>) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(&hello(2))?;
    stream.write_all(&frame(2, offer))?;
    let answer = loop {
        match read_frame(stream)? {
            (3, body) => break body,
            // Hello, working.
            (1 | 9, _) => {}
            (kind, body) => return Err(io::Error::other(format!("kind {kind}: {body:?}"))),
        }
    };
    let codes = codes(&answer);
    for (index, entry) in said.entries.iter().enumerate() {
        if codes.get(index) == Some(&0) || said.manners == Manners::Rude {
            stream.write_all(&file(index, entry))?;
        }
    }
    stream.write_all(&frame(7, b""))?;
    while read_frame(stream)?.0 != 8 {}
    Ok(codes)
}

/// What follows the offer.
pub(super) struct Said<'a> {
    pub(super) entries: &'a [Offered],
    pub(super) manners: Manners,
}

pub(super) fn hello(version: u16) -> Vec<u8> {
    let body = [b"SKFT", &version.to_be_bytes()[..], &[0, 4], b"liar"].concat();
    frame(1, &body)
}

pub(super) fn offer(entries: &[Offered]) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0];
    body.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    for entry in entries {
        entry.encode(&mut body);
    }
    body
}

pub(super) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = (1 + body.len() as u64).to_be_bytes().to_vec();
    out.push(kind);
    out.extend(body);
    out
}

pub(super) fn block(entry: usize, index: u64, bytes: &[u8], digest: &[u8; 32]) -> Vec<u8> {
    let entry = u32::try_from(entry).unwrap().to_be_bytes();
    frame(
        4,
        &[&entry[..], &index.to_be_bytes(), bytes, digest].concat(),
    )
}

pub(super) fn file_end(entry: usize, digest: &[u8; 32]) -> Vec<u8> {
    let entry = u32::try_from(entry).unwrap().to_be_bytes();
    frame(5, &[&entry[..], digest].concat())
}

/// A whole file of one block at most.
pub(super) fn file(index: usize, entry: &Offered) -> Vec<u8> {
    if entry.kind != 0 {
        return Vec::new();
    }
    let digest = blake3::hash(entry.bytes);
    let mut out = Vec::new();
    if !entry.bytes.is_empty() {
        out.extend(block(index, 0, entry.bytes, digest.as_bytes()));
    }
    out.extend(file_end(index, digest.as_bytes()));
    out
}

pub(super) fn read_frame(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_be_bytes(length)).unwrap();
    assert!((1..1 << 20).contains(&length), "{length} from the receiver");
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let kind = body.remove(0);
    Ok((kind, body))
}

/// The code for each entry of an answer.
fn codes(answer: &[u8]) -> Vec<u8> {
    let mut rest = &answer[4..];
    let mut codes = Vec::new();
    while let [code, after @ ..] = rest {
        codes.push(*code);
        rest = match code {
            1 => &after[1..],
            2 => &after[40..],
            _ => after,
        };
    }
    codes
}
