//! The course's UDP file program: `s` sends, `r` receives.
//!
//! Best effort: the receiver prints how much arrived. Unlike the course's
//! program, the sender paces itself, and the receiver accepts a single sender
//! and ends after a silence if the last datagram is lost.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use sockkit::{
    course::file::{Completion, udp},
    file::Destination,
    options::SocketOptions,
    udp::{UdpEndpoint, unspecified},
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, println, until_ctrl_c};

/// The course's UDP file program, `s` and `r`: sends or receives a file
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Send a file
    S {
        /// What to send
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The receiver
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5005", value_parser = address::<5005>)]
        to: SocketAddr,
    },
    /// Receive one file and save it as new_NAME
    R {
        /// Address to listen on
        #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5005", value_parser = address::<5005>)]
        bind: SocketAddr,
        /// The destination folder
        #[arg(long, value_name = "DIR", default_value = ".")]
        into: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(async {
        match args.role {
            Role::S { file, to } => send(file, to).await,
            Role::R { bind, into } => receive(bind, into).await,
        }
    })
    .await
}

async fn send(file: PathBuf, to: SocketAddr) -> anyhow::Result<()> {
    let endpoint = UdpEndpoint::bind(unspecified(to))?;
    let bytes = udp::send(&endpoint, to, &file).await?;
    println!("sent {bytes} bytes to {to}");
    Ok(())
}

async fn receive(bind: SocketAddr, into: PathBuf) -> anyhow::Result<()> {
    let destination = Destination::open(&into)
        .with_context(|| format!("cannot receive into {}", into.display()))?;
    // Buffers datagrams while the disk is written.
    let options = SocketOptions::new().receive_buffer_bytes(4 << 20);
    let endpoint = UdpEndpoint::bind_with(bind, &options)?;
    println!("listening on {}", endpoint.local_addr()?);

    let received = udp::receive(&endpoint, &destination).await?;
    println!(
        "{} bytes in {} datagrams, saved as {}",
        received.bytes, received.datagrams, received.saved_as
    );
    if received.end == Completion::Silence {
        println!("the sender fell silent: the end of the file may be missing");
    }
    Ok(())
}
