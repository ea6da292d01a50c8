//! The course's send and receive buffers, made visible: a sender blocked by a
//! reader that does not read.
//!
//! `send` returns when the kernel has copied the bytes, not when they are sent
//! or received. They wait in the send buffer, in flight, and in the receive
//! buffer. When all are full, the reader's window is closed and `send` blocks.

use std::time::Duration;

use clap::Parser;
use sockkit::{
    options::{OptionError, SocketOptions},
    tcp::{Connection, Connector, End, ListenConfig, Listener},
};
use sockkit_examples::{failure::Failure, println, until_ctrl_c};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The course's send and receive buffers: a sender blocked by a reader that does not read
#[derive(Parser)]
struct Args {
    /// Buffers of that size at both ends, in bytes; the kernel doubles it
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    buffer: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(show(args.buffer)).await
}

async fn show(buffer: usize) -> anyhow::Result<()> {
    let (mut sender, mut reader) = pair(buffer).await?;
    println!("the reader does not read");
    // ANCHOR: fill
    sender.set_write_timeout(Some(Duration::from_millis(200)));
    let stopped = loop {
        if let Err(error) = sender.write_all(&[7; 10_000]).await {
            break End::from_io(&error);
        }
    };
    // ANCHOR_END: fill
    println!("send stopped: {stopped}");
    queues(&sender, &reader)?;

    println!("the reader reads half of it");
    let half = sender.counters().sent_bytes / 2;
    let mut taken = vec![0; usize::try_from(half)?];
    reader.read_exact(&mut taken).await?;
    sender.write_all(&[7; 10_000]).await?;
    println!("send continues");
    queues(&sender, &reader)?;

    println!("the sender closes, the reader reads the rest");
    sender.shutdown().await?;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await?;
    queues(&sender, &reader)?;
    println!("the reader's last recv returned 0: {}", End::Finished);
    Ok(())
}

async fn pair(buffer: usize) -> anyhow::Result<(Connection, Connection)> {
    let options = SocketOptions::new()
        .send_buffer_bytes(buffer)
        .receive_buffer_bytes(buffer);
    let config = ListenConfig::default().options(options.clone());
    let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config)?;
    let connector = Connector::default().options(options);
    let dialling = connector.connect(listener.local_addr()?);
    let (dialled, accepted) = tokio::join!(dialling, listener.accept());
    Ok((dialled?, accepted?.0))
}

/// Where the bytes are, according to the kernel.
fn queues(sender: &Connection, reader: &Connection) -> anyhow::Result<()> {
    let sent = sender.counters().sent_bytes;
    let read = reader.counters().received_bytes;
    println!("  {sent:>9} bytes taken from the program by send");
    match sender.options()?.tcp_info() {
        Ok(info) => {
            let not_sent = info.not_sent_bytes;
            // The kernel counts the FIN as one byte.
            let arrived = reader.options()?.tcp_info()?.received_bytes.min(sent);
            println!("  {not_sent:>9} wait in the send buffer, never sent");
            println!("  {arrived:>9} have arrived at the other kernel");
            println!(
                "  {:>9} wait in the receive buffer, not read",
                arrived - read
            );
        }
        // Only Linux tells them apart.
        Err(OptionError::Unsupported { .. }) => {
            println!("  {:>9} wait in the two buffers", sent - read);
        }
        Err(error) => return Err(error.into()),
    }
    println!("  {read:>9} read by the other program");
    Ok(())
}
