//! VLC, where it has the module that reads RTSP.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sockkit::{
    picture::Picture,
    sink::rtp::RtpConfig,
    testing::needs::{Need, met},
};
use tokio::time::{sleep, timeout};

use super::{
    installed::{pixels, sent_pixels, show},
    serve,
};

/// VLC refuses to run as root.
const AS_NOBODY: [&str; 4] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--no-new-privs",
];

/// Appends the pictures as VLC reads them to a file, until it is killed.
fn vlc(url: &str, arguments: &[&str], folder: &Path) -> Command {
    let mut vlc = Command::new("setpriv");
    vlc.args(AS_NOBODY)
        .args(["vlc", "--intf=dummy", "--no-audio"]);
    vlc.args(arguments).arg(url);
    vlc.arg("--sout=#std{access=file,mux=dummy,dst=read.mjpeg}");
    vlc.current_dir(folder).env("HOME", folder);
    vlc.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    vlc
}

/// VLC hands out JPEGs with the pixels of ours.
async fn check_vlc(arguments: &[&str]) {
    let needs = ["vlc", "setpriv"].map(Need::Program);
    if !met("VLC by RTSP", &[&[Need::Root][..], &needs].concat()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut vlc = vlc(&format!("rtsp://{to}/"), arguments, folder.path());
    let mut vlc = vlc.spawn().unwrap();
    let path = folder.path().join("read.mjpeg");
    let read = || fs::read(&path).unwrap_or_default();
    let has_some = timeout(PATIENCE, async {
        while jpegs(&read()).count() < 12 {
            sleep(Duration::from_millis(100)).await;
        }
    });
    let has_some = show(camera, has_some).await;
    vlc.kill().unwrap();
    vlc.wait().unwrap();
    assert!(
        has_some.is_ok(),
        "VLC reads no pictures; has it the module live555?"
    );
    let sent = sent_pixels();
    for jpeg in jpegs(&read()) {
        let jpeg = Picture::from_jpeg(jpeg.to_vec()).unwrap();
        assert!(sent.contains(&pixels(&jpeg)), "other pixels");
    }
    server.shutdown().await;
}

/// The whole pictures of a file; the last may be cut off.
fn jpegs(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let begins = |at: &usize| file[*at..].starts_with(&[0xff, 0xd8, 0xff]);
    let starts: Vec<_> = (0..file.len()).filter(begins).collect();
    let ends = starts.clone().into_iter().skip(1);
    starts
        .into_iter()
        .zip(ends)
        .map(|(from, to)| &file[from..to])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "VLC with its module live555, which Debian's VLC lacks"]
async fn vlc_at_its_ports_decodes_what_was_sent() {
    check_vlc(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "VLC with its module live555, which Debian's VLC lacks"]
async fn vlc_on_its_connection_decodes_what_was_sent() {
    check_vlc(&["--rtsp-tcp"]).await;
}

const PATIENCE: Duration = Duration::from_secs(60);
