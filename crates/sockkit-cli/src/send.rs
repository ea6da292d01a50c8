//! `sockkit send`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use sockkit::{
    file::{
        FileSet, FileSource, Manifest, Outgoing, SendConfig, SendError, Turn, escape_path, greet,
        session::Abort,
    },
    link::{Address, Connection, discovery::Role, pairing::Uses, trust::Right},
};
use tokio::task::spawn_blocking;

use crate::{
    address::{self, shown},
    find,
    link::{self, CloseWaiter},
    meeting::Meeting,
    pipe::{Given, Input},
    prompt::{self, Request},
    secure::{self, Purpose, Secure, Side},
    transfer::{self, Bar},
};

/// Send files and folders to a `sockkit receive`
///
/// Every block is verified. An interrupted transfer resumes where it stopped.
/// Symbolic links inside folders are sent as links, and those that lead out of the
/// folder are skipped. Any name that the receiver's system supports can be sent.
/// Prints the BLAKE3 digest of each file that arrived, as b3sum does, and fails if
/// any did not. With --listen it shows the receiver that has connected, and asks
/// before it sends it any information.
///
/// HOST or HOST:PORT is TCP. quic://HOST:PORT is for links that lose packets, such as
/// crowded Wi-Fi: it uses UDP, does not treat packet loss as congestion, and
/// encrypts. Both sides must use the same.
///
/// With --code, --known or --allow both sides encrypt and authenticate each other,
/// over either of them: a machine that is not trusted learns nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders; - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File name of standard input at the receiver [default: stdin]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Address of the listening receiver, or a name that `sockkit find` lists
    #[arg(
        long,
        value_name = "[quic://]HOST[:PORT]",
        value_parser = address::files,
        default_value = address::FILES_DEFAULT,
        conflicts_with = "listen",
    )]
    to: Address,
    #[command(flatten)]
    meeting: Meeting,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    transfer::until_ctrl_c(async |goodbye| send_to(args, goodbye).await).await
}

async fn send_to(args: Args, goodbye: &CloseWaiter) -> anyhow::Result<()> {
    let Args {
        paths,
        name,
        to,
        meeting,
    } = args;
    let Meeting {
        listen,
        yes,
        secure,
    } = meeting;
    check_input(&paths, name.as_deref(), &secure)?;
    let secure = secure
        .read(Purpose {
            side: listen.as_ref().map_or(Side::Dials, |_| Side::Listens),
            right: Right::Take,
            uses: Uses::Once,
            there: "sockkit receive --into DIR --from",
            address: shown,
        })
        .await?;
    let source = spawn_blocking(move || gather(&paths, name.as_deref().unwrap_or("stdin")))
        .await
        .context("listing the files was cancelled")??;
    let left_out = left_out(&source);
    let manifest = source.manifest();
    if manifest.entries.is_empty() {
        print(&left_out);
        bail!("nothing to send");
    }
    if listen.is_some() {
        prompt::can_ask(yes)?;
    }
    eprintln!("offering {}", transfer::count(manifest));
    let (bar, on_progress) = Bar::new(manifest);
    let config = SendConfig::default()
        .name(transfer::own_name())
        .on_progress(on_progress);
    let manifest = Arc::new(manifest.clone());
    let sent = match listen {
        None => {
            let to = find::whereabouts(Role::Receiver, &to).await?;
            let connection = link::dial(&to, secure.as_ref()).await?;
            goodbye.remember(&connection);
            let sending = async {
                let outgoing = greet(connection, manifest, &config).await?;
                outgoing.offer(source).await
            };
            bar.beside(&shown(&to), sending).await
        }
        Some(at) => {
            let turn = wait_for_receiver(&at, (manifest, config), yes, secure, goodbye).await?;
            let whom = link::shown_peer(turn.peer.get_ref(), &turn.address.to_string());
            bar.beside(&whom, turn.peer.offer(source)).await
        }
    };
    let elapsed = bar.finish();
    print(&left_out);
    let sent = sent.map_err(|error| match error {
        SendError::Io(_) => transfer::interrupted(error, elapsed),
        error => error.into(),
    })?;
    transfer::summarise(&sent, elapsed.unwrap_or_default(), "sent")
}

fn gather(paths: &[PathBuf], name: &str) -> anyhow::Result<Given> {
    match paths {
        [only] if is_input(only) => Ok(Given::Input(Input::read(name)?)),
        paths => Ok(Given::Files(FileSet::gather(paths)?)),
    }
}

fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses what standard input cannot be at the same time.
fn check_input(
    paths: &[PathBuf],
    name: Option<&str>,
    secure: &secure::Security,
) -> anyhow::Result<()> {
    if !paths.iter().any(|path| is_input(path)) {
        if name.is_some() {
            bail!("--name is for standard input: give - as the path");
        }
        return Ok(());
    }
    if paths.len() > 1 {
        bail!("- is standard input, which is sent alone; ./- is the file of that name");
    }
    if secure.reads_input() {
        bail!("both the file and the code would be read from standard input; use --code-file");
    }
    Ok(())
}

/// One line for each skipped path, printed after the transfer, where its lines are not
/// hidden by others.
fn left_out(given: &Given) -> Vec<String> {
    let Given::Files(source) = given else {
        return Vec::new();
    };
    let skipped = source.skipped().iter();
    skipped
        .map(|skipped| {
            let path = escape_path(&skipped.path);
            format!("skipping {path}: {}", skipped.reason)
        })
        .collect()
}

fn print(lines: &[String]) {
    for line in lines {
        eprintln!("{line}");
    }
}

/// Waits for a receiver that the user accepts; the others are declined.
async fn wait_for_receiver(
    at: &Address,
    config: (Arc<Manifest>, SendConfig),
    yes: bool,
    secure: Option<Secure>,
    goodbye: &CloseWaiter,
) -> anyhow::Result<Turn<Outgoing<Connection>>> {
    let manifest = Arc::clone(&config.0);
    let mut waiting = link::listen::<Outgoing<Connection>>(at, config, secure, goodbye).await?;
    loop {
        let mut turn = link::next_turn(&mut waiting).await?;
        goodbye.remember(turn.peer.get_ref());
        link::warn_of_namesakes(turn.peer.get_ref());
        // A peer that disconnects must not end the wait for another.
        match consent(&mut turn, &manifest, yes).await {
            Ok(true) => {
                waiting.queue.close(Abort::Busy);
                return Ok(turn);
            }
            Ok(false) => {
                turn.peer.decline().await;
                eprintln!("{}: declined; waiting for another receiver", turn.address);
            }
            Err(error) => eprintln!("{}: {error:#}", turn.address),
        }
    }
}

/// Shows the receiver, and asks the user.
async fn consent(
    turn: &mut Turn<Outgoing<Connection>>,
    manifest: &Manifest,
    yes: bool,
) -> anyhow::Result<bool> {
    let question = Request {
        address: &link::shown_peer(turn.peer.get_ref(), &turn.address.to_string()),
        peer: turn.peer.peer(),
        manifest,
    }
    .show();
    Ok(yes || turn.peer.hold(question.ask()).await??)
}
