//! Two protocols on one connection: a framed hello that says for which mailbox the
//! files are, its answer, and then a file transfer.
//!
//! ```console
//! $ cargo run --example hello_then_files              # keeps mail for `photos`
//! $ cargo run --example hello_then_files a.jpg b.jpg  # brings some
//! ```

use std::{collections::HashMap, env, error::Error, io, sync::Arc, time::Duration};

use sockkit::{
    file::{Destination, FileSet, ReceiveConfig, SendConfig, Summary, receive, send},
    frame::{FrameConfig, FrameReader, FrameWriter},
    server::{Handled, Peer, Server, ServerConfig, Stream},
    tcp::{Listener, connect},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf, join, split},
    net::ToSocketAddrs,
    time::timeout,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = env::args().skip(1).collect();
    if paths.is_empty() {
        std::fs::create_dir_all("photos")?;
        let boxes = HashMap::from([("photos".into(), Destination::open("photos")?)]);
        let server = serve(Listener::bind("127.0.0.1:7003".parse()?)?, boxes)?;
        server.run_until_ctrl_c().await?;
        return Ok(());
    }
    let sent = bring("127.0.0.1:7003", "photos", FileSet::gather(paths)?).await?;
    println!(
        "{} bytes, all there: {}",
        sent.moved_bytes,
        sent.is_complete()
    );
    Ok(())
}

pub(crate) type Mailboxes = HashMap<String, Destination>;

pub(crate) fn serve(listener: Listener, boxes: Mailboxes) -> io::Result<Server> {
    let boxes = Arc::new(boxes);
    Server::start(listener, ServerConfig::default(), move |stream, peer| {
        deliver(stream, peer, Arc::clone(&boxes))
    })
}

async fn deliver(stream: Stream, peer: Peer, boxes: Arc<Mailboxes>) -> Handled {
    let (mut reader, mut writer) = framed(stream);
    let Some(hello) = timeout(HELLO_WITHIN, reader.recv()).await?? else {
        return Ok(());
    };
    let Some(mailbox) = boxes.get(str::from_utf8(&hello)?) else {
        return Ok(writer.send("no such mailbox".into()).await?);
    };
    writer.send("welcome".into()).await?;
    let incoming = receive(unframed((reader, writer)), &ReceiveConfig::default()).await?;
    let received = incoming.accept(mailbox).await?;
    println!("{}: {} files", peer.address(), received.files.len());
    Ok(())
}

pub(crate) async fn bring(
    to: impl ToSocketAddrs,
    mailbox: &str,
    source: FileSet,
) -> Result<Summary, Box<dyn Error>> {
    let (mut reader, mut writer) = framed(connect(to).await?);
    writer.send(mailbox.to_owned().into()).await?;
    let answer = timeout(HELLO_WITHIN, reader.recv()).await??;
    if answer.as_deref() != Some(b"welcome") {
        return Err(format!("refused: {answer:?}").into());
    }
    Ok(send(unframed((reader, writer)), source, &SendConfig::default()).await?)
}

type Frames<S> = (FrameReader<ReadHalf<S>>, FrameWriter<WriteHalf<S>>);

/// Frames over a stream, none longer than a hello.
fn framed<S: AsyncRead + AsyncWrite>(stream: S) -> Frames<S> {
    let (reader, writer) = split(stream);
    let short = FrameConfig::default().max_receive_bytes(256);
    let reader = FrameReader::with_config(reader, short);
    (reader, FrameWriter::new(writer))
}

/// The stream again. What was read together with the hello comes first.
fn unframed<S>((reader, writer): Frames<S>) -> impl AsyncRead + AsyncWrite + Unpin
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, ahead) = reader.into_parts();
    join(io::Cursor::new(ahead).chain(reader), writer.into_inner())
}

const HELLO_WITHIN: Duration = Duration::from_secs(5);
