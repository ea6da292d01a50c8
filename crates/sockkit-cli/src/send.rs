//! `sockkit send`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use sockkit::{
    file::{
        FileSet, FileSource, Manifest, Outgoing, SendConfig, SendError, Turn, greet, session::Abort,
    },
    link::{
        Connection,
        discovery::Role,
        pairing::{ProvedBy, Uses},
        trust::Right,
    },
};
use tokio::task::spawn_blocking;

use crate::{
    address::shown,
    browser,
    link::{self, CloseWaiter},
    many::{self, Many},
    meeting::Meeting,
    pipe::{Given, Input},
    prompt::{self, Request},
    remote::{self, Remote},
    resume::{dialled, listened},
    say::{note, tell},
    secure::{Purpose, Secure},
    skipped::Skipped,
    transfer::{self, Bar},
};

/// Send files and folders to a `sockkit receive`
///
/// Without --to it shows a code, and the command that the other person types. With --to
/// it connects to the side that shows a code, to a machine that this one is paired
/// with, or to an address.
///
/// Every block is verified. An interrupted transfer resumes where it stopped.
/// Symbolic links inside folders are sent as links, and those that lead out of the
/// folder are skipped. Any name that the receiver's system supports can be sent.
/// Prints the BLAKE3 digest of each file that arrived, as b3sum does, and fails if
/// any did not.
///
/// HOST or HOST:PORT is TCP. quic://HOST:PORT is for links that lose packets, such as
/// crowded Wi-Fi: it uses UDP, and does not treat loss alone as congestion. Both sides
/// must use the same.
///
/// With --many it sends to many receivers in one pass, by multicast, and then repairs
/// what they lack: 1.1 times the file for 8 of them that lose 5 % of all packets. It
/// begins when Enter is pressed, or with --members when that many have accepted, and
/// ends with a list of who has everything. Ctrl-C stops it: receivers keep what they
/// have, and the same command resumes.
///
/// Both sides encrypt and authenticate each other, over either of them: a machine that
/// has neither the code nor a known key learns nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders; - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File name of standard input at the receiver [default: stdin]
    #[arg(long, value_name = "NAME", conflicts_with = "web")]
    name: Option<String>,
    /// The code that the receiver shows, such as 7-coral-lamp (- reads it from standard
    /// input); the name of a machine that this one is paired with; or an address
    #[arg(
        long,
        value_name = "CODE|NAME|[quic://]HOST[:PORT]",
        value_parser = remote::files,
        conflicts_with_all = ["listen", "no_announce", "web"],
    )]
    to: Option<Remote>,
    #[command(flatten)]
    page: browser::Page,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    meeting: Meeting,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.many.many {
        return many::send(args.paths, args.many, args.meeting).await;
    }
    transfer::until_ctrl_c(async |goodbye| send_to(args, goodbye).await).await
}

async fn send_to(args: Args, goodbye: &CloseWaiter) -> anyhow::Result<()> {
    let Args {
        paths,
        name,
        to,
        page,
        meeting,
        many: _,
    } = args;
    let reads_code = matches!(to, Some(Remote::Typed)) || meeting.secure.reads_input();
    check_input(&paths, name.as_deref(), reads_code)?;
    if page.is_asked_for() {
        page.check(meeting.secure.is_asked_for())?;
        return send_to_browser(paths, &page).await;
    }
    let source = spawn_blocking(move || gather(&paths, name.as_deref().unwrap_or("stdin")))
        .await
        .context("listing the files was cancelled")??;
    if to.is_none() {
        prompt::can_ask(meeting.yes)?;
    }
    let secure = match &to {
        Some(to) => meeting.secure.dial(RECEIVER, to).await?,
        None => meeting.secure.listen(RECEIVER).await?,
    };
    let skipped = source.skipped();
    let resumes = matches!(source, Given::Files(_));
    let manifest = source.manifest();
    skipped.announce(manifest)?;
    let (bar, on_progress) = Bar::new(manifest);
    let config = SendConfig::default()
        .name(transfer::own_name())
        .on_progress(on_progress);
    let manifest = Arc::new(manifest.clone());
    // Standard input is read once.
    let resumed_by = |how: String| resumes.then(|| goodbye.remember_resume(how, bar.moved()));
    let sent = match to {
        Some(to) => {
            let (connection, at) = link::reach(&to, RECEIVER, secure.as_ref()).await?;
            goodbye.remember(&connection);
            let security = &meeting.secure;
            resumed_by(dialled(RECEIVER, security, (&to, &at), connection.peer()));
            let sending = async {
                let outgoing = greet(connection, manifest, &config).await?;
                outgoing.offer(source).await
            };
            bar.beside(&shown(&at), sending).await
        }
        None => {
            let offer = (manifest, config);
            let (turn, known_as) = wait_for_receiver(&meeting, offer, secure, goodbye).await?;
            let peer = turn.peer.get_ref().peer();
            resumed_by(listened(
                RECEIVER,
                &meeting.secure,
                known_as.as_deref(),
                peer,
            ));
            let whom = link::shown_peer(turn.peer.get_ref(), &turn.address.to_string());
            bar.beside(&whom, turn.peer.offer(source)).await
        }
    };
    let elapsed = bar.finish();
    let sent = sent.map_err(|error| {
        skipped.tell();
        match error {
            SendError::Io(_) => transfer::interrupted(error, goodbye.resume()),
            error => error.into(),
        }
    })?;
    transfer::summarise(&sent, &skipped, elapsed.unwrap_or_default(), "sent")
}

/// What a connection to the receiver is for.
pub(crate) const RECEIVER: Purpose = Purpose {
    right: Right::Take,
    uses: Uses::Once,
    announces: Role::Sender,
    seeks: Role::Receiver,
    here: "sockkit send FILE --to",
    there: "sockkit receive",
    address: shown,
};

/// Offers the files to a browser.
async fn send_to_browser(paths: Vec<PathBuf>, page: &browser::Page) -> anyhow::Result<()> {
    if paths.iter().any(|path| is_input(path)) {
        bail!("a browser cannot be sent standard input: name a file");
    }
    let given = paths.iter().filter(|path| !path.exists());
    given
        .filter_map(|path| path.to_str())
        .try_for_each(browser::check_address)?;
    let listed = spawn_blocking(move || FileSet::gather(paths)).await;
    let files = listed.context("listing the files was cancelled")??;
    Skipped::of(&files).announce(files.manifest())?;
    browser::send(files, page).await
}

fn gather(paths: &[PathBuf], name: &str) -> anyhow::Result<Given> {
    check_for_address(paths)?;
    match paths {
        [only] if is_input(only) => Ok(Given::Input(Input::read(name)?)),
        paths => Ok(Given::Files(FileSet::gather(paths)?)),
    }
}

/// scp takes the receiver as its last argument.
fn check_for_address(paths: &[PathBuf]) -> anyhow::Result<()> {
    let Some((last, [_, ..])) = paths.split_last() else {
        return Ok(());
    };
    let text = last.to_str().unwrap_or_default();
    if last.exists() || text.starts_with(['.', '/', '~']) {
        return Ok(());
    }
    if let Some(receiver) = receiver_in(text) {
        bail!("there is no file {text}; if that is the receiver, write --to {receiver}");
    }
    Ok(())
}

/// The receiver that a user of scp may mean by `[USER@]HOST[:[PATH]]`; or a code, a name or
/// an address, as `--to` takes them.
fn receiver_in(text: &str) -> Option<&str> {
    let place = text.rsplit_once('@').map_or(text, |(_user, place)| place);
    if place.is_empty() || place.starts_with('-') {
        return None;
    }
    let is_receiver = |text: &str| match remote::files(text) {
        Ok(Remote::Address(at)) => !at.is_unspecified(),
        Ok(_) => true,
        Err(_) => false,
    };
    // What follows one of the colons may be scp's path.
    let colons = place.match_indices(':').map(|(colon, _)| &place[..colon]);
    std::iter::once(place)
        .chain(colons)
        .find(|text| is_receiver(text))
}

fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses what standard input cannot be at the same time.
fn check_input(paths: &[PathBuf], name: Option<&str>, reads_code: bool) -> anyhow::Result<()> {
    if !paths.iter().any(|path| is_input(path)) {
        if name.is_some() {
            bail!("--name is for standard input: give - as the path");
        }
        return Ok(());
    }
    if paths.len() > 1 {
        bail!("- is standard input, which is sent alone; ./- is the file of that name");
    }
    if reads_code {
        bail!("both the file and the code would be read from standard input; use --code-file");
    }
    Ok(())
}

/// Waits for a receiver that the user accepts; the others are declined. Returns what it
/// types in place of the code, too.
async fn wait_for_receiver(
    meeting: &Meeting,
    config: (Arc<Manifest>, SendConfig),
    secure: Option<Secure>,
    goodbye: &CloseWaiter,
) -> anyhow::Result<(Turn<Outgoing<Connection>>, Option<String>)> {
    let manifest = Arc::clone(&config.0);
    let listen = link::listen::<Outgoing<Connection>>;
    let mut waiting = listen(meeting, RECEIVER, config, secure, goodbye).await?;
    loop {
        let mut turn = link::next_turn(&mut waiting).await?;
        goodbye.remember(turn.peer.get_ref());
        link::warn_of_namesakes(turn.peer.get_ref());
        // A peer that disconnects must not end the wait for another.
        match consent(&mut turn, &manifest, meeting.yes).await? {
            Consent::Given => {
                let known_as = waiting.known_as();
                waiting.queue.close(Abort::Busy);
                return Ok((turn, known_as));
            }
            Consent::Refused => {
                turn.peer.decline().await;
                note!("{}: declined; waiting for another receiver", turn.address);
            }
            Consent::NotNeeded => {}
        }
    }
}

/// Whether the user wants a receiver to have the files.
enum Consent {
    Given,
    Refused,
    /// The receiver has disconnected.
    NotNeeded,
}

/// Shows the receiver, and asks the user, unless it is the one who was told the code.
///
/// # Errors
/// If the user cannot be asked.
async fn consent(
    turn: &mut Turn<Outgoing<Connection>>,
    manifest: &Manifest,
    yes: bool,
) -> anyhow::Result<Consent> {
    let question = Request {
        address: &link::shown_peer(turn.peer.get_ref(), &turn.address.to_string()),
        peer: turn.peer.peer(),
        manifest,
    }
    .show();
    let by_code = turn.peer.get_ref().peer().map(|peer| peer.by) == Some(ProvedBy::Code);
    if yes || by_code {
        return Ok(Consent::Given);
    }
    match turn.peer.hold(question.ask()).await {
        Ok(answer) => match answer? {
            true => Ok(Consent::Given),
            false => Ok(Consent::Refused),
        },
        Err(gone) => {
            tell!("{}: {:#}", turn.address, anyhow::Error::new(gone));
            Ok(Consent::NotNeeded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receiver_is_recognised_in_the_place_that_scp_has_for_it() {
        for (text, receiver) in [
            ("7-coral-lamp", Some("7-coral-lamp")),
            ("beta", Some("beta")),
            ("beta:", Some("beta")),
            ("192.168.77.20", Some("192.168.77.20")),
            ("192.168.77.20:", Some("192.168.77.20")),
            ("user@192.168.77.20:", Some("192.168.77.20")),
            ("user@beta:/tmp/films", Some("beta")),
            ("192.168.77.20:7000", Some("192.168.77.20:7000")),
            ("quic://beta:7000", Some("quic://beta:7000")),
            ("[fe80::1%2]:7000", Some("[fe80::1%2]:7000")),
            ("[fe80::1%2]:/tmp/a:b", Some("[fe80::1%2]")),
            ("films/one", None),
            ("my film", None),
            (":8078", None),
            ("8078", None),
            ("", None),
        ] {
            assert_eq!(receiver_in(text), receiver, "{text}");
        }
    }
}
