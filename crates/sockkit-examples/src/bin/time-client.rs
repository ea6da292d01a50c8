//! The course's time client: reads the time from a time server.
//!
//! Unlike the course's program, it reads until EOF, because one `recv` may
//! return only a part of the text, and waits at most ten seconds.

use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use sockkit::tcp::connect;
use sockkit_examples::{
    IN_THE_CLEAR, failure::Failure, server, tell, terminal::lines, until_ctrl_c,
};
use tokio::io::AsyncReadExt;

/// time_client.py: asks a time server for the time
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The server, by address or name
    #[arg(value_name = "SERVER", default_value = "127.0.0.1:5000", value_parser = server::<5000>)]
    server: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(ask(args.server)).await
}

async fn ask(server: String) -> anyhow::Result<()> {
    let mut connection = connect(&server).await?;
    connection.set_read_timeout(Some(PATIENCE));
    let mut time = Vec::new();
    // A longer reply is not a time.
    let mut limited = (&mut connection).take(LONGEST_BYTES);
    limited.read_to_end(&mut time).await?;
    ensure!(!time.is_empty(), "{server} closed without sending anything");
    tell!("current time: {}", "현재 시각: {}", lines(&time));
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_BYTES: u64 = 1024;
