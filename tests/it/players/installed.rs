//! The players that are installed: ffmpeg, and GStreamer where it is there.

use std::{
    collections::HashSet,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use bytes::Bytes;
use sockkit::{
    latest::{self, Publisher},
    picture::{Picture, jpeg},
    sink::rtp::{RtpConfig, RtpSender},
    testing::needs::{Need, met},
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{picture, serve, two_ports};

/// How many different pictures are shown, again and again.
const PICTURES: u64 = 10;

/// Publishes pictures until something else is done.
pub(super) async fn show<T>(camera: Publisher<Picture>, done: impl Future<Output = T>) -> T {
    let showing = async {
        let pictures: Vec<_> = (0..PICTURES).map(picture).collect();
        for number in 0.. {
            let index = usize::try_from(number % PICTURES).unwrap();
            let stamped = picture(number);
            camera.publish(pictures[index].clone().captured_at(stamped.captured()));
            sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::select! {
        output = done => output,
        () = showing => unreachable!("it shows forever"),
    }
}

/// Runs a player while pictures are published, and returns what it prints.
async fn run(camera: Publisher<Picture>, mut player: Command) -> String {
    let playing = spawn_blocking(move || player.output().unwrap());
    let Output {
        status,
        stdout,
        stderr,
    } = show(camera, playing).await.unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{errors}");
    String::from_utf8(stdout).unwrap()
}

/// Reads frames by ffmpeg as digests of their pixels.
fn ffmpeg(input: &[&str]) -> Command {
    let mut ffmpeg = Command::new("timeout");
    ffmpeg.args(["60", "ffmpeg", "-nostdin", "-loglevel", "warning"]);
    ffmpeg.args(input);
    ffmpeg.args([
        "-an",
        "-fps_mode",
        "passthrough",
        "-frames:v",
        "25",
        "-f",
        "framemd5",
        "-",
    ]);
    ffmpeg
}

/// The last column of each frame's line.
fn digests(printed: &str) -> Vec<String> {
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.rsplit(',').next()?.trim().to_owned()))
        .collect()
}

/// Digests of the pictures as ffmpeg decodes their files.
fn expected(folder: &Path) -> HashSet<String> {
    let path = folder.join("sent.mjpeg");
    let sent: Vec<u8> = (0..PICTURES)
        .flat_map(|number| picture(number).data().to_vec())
        .collect();
    std::fs::write(&path, sent).unwrap();
    let input = ["-f", "mjpeg", "-i", path.to_str().unwrap()];
    let output = ffmpeg(&input).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    digests(&printed).into_iter().collect()
}

#[track_caller]
fn check(printed: &str, folder: &Path) {
    let expected = expected(folder);
    assert_eq!(expected.len() as u64, PICTURES, "all differ");
    let found = digests(printed);
    assert_eq!(found.len(), 25, "{printed}");
    let different: HashSet<_> = found.iter().collect();
    assert!(different.len() > 3, "{printed}");
    for digest in different {
        assert!(expected.contains(digest), "{digest} was not sent");
    }
}

async fn check_rtsp(transport: &str) {
    if !met(
        "ffmpeg by RTSP",
        &[Need::Program("ffmpeg"), Need::Program("timeout")],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let url = format!("rtsp://{to}/");
    let printed = run(camera, ffmpeg(&["-rtsp_transport", transport, "-i", &url])).await;
    check(&printed, folder.path());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_at_its_ports_decodes_what_was_sent() {
    check_rtsp("udp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_on_its_connection_decodes_what_was_sent() {
    check_rtsp("tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_by_a_description_decodes_what_was_sent() {
    if !met(
        "ffmpeg by SDP",
        &[Need::Program("ffmpeg"), Need::Program("timeout")],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (rtp, rtcp) = two_ports().await;
    let port = rtp.local_addr().unwrap().port();
    drop((rtp, rtcp));
    let (camera, pictures) = latest::channel();
    let to = format!("rtp://127.0.0.1:{port}").parse().unwrap();
    let sender = RtpSender::open(&to, RtpConfig::default(), pictures)
        .await
        .unwrap();
    let path = folder.path().join("camera.sdp");
    std::fs::write(&path, sender.description().to_string()).unwrap();
    let input = [
        "-protocol_whitelist",
        "file,udp,rtp",
        "-i",
        path.to_str().unwrap(),
    ];
    let printed = run(camera, ffmpeg(&input)).await;
    check(&printed, folder.path());
    sender.shutdown().await;
}

pub(super) fn pixels(jpeg: &Picture) -> Bytes {
    jpeg::decode(jpeg).unwrap().data().clone()
}

pub(super) fn sent_pixels() -> HashSet<Bytes> {
    let pictures = (0..PICTURES).map(picture);
    pictures.map(|picture| pixels(&picture)).collect()
}

/// GStreamer's JPEGs have the pixels of ours.
async fn check_gstreamer(protocols: &str) {
    let needs = [Need::Program("gst-launch-1.0"), Need::Program("timeout")];
    if !met("GStreamer by RTSP", &needs) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (camera, server, to) = serve(RtpConfig::default()).await;
    let mut gstreamer = Command::new("timeout");
    gstreamer.args(["60", "gst-launch-1.0", "-q", "rtspsrc"]);
    gstreamer.arg(format!("location=rtsp://{to}/"));
    gstreamer.args([&format!("protocols={protocols}"), "latency=0"]);
    gstreamer.args(["!", "rtpjpegdepay", "!", "identity", "eos-after=12", "!"]);
    gstreamer.args(["multifilesink", "location=%05d.jpg"]);
    gstreamer.current_dir(folder.path());
    run(camera, gstreamer).await;
    let sent = sent_pixels();
    let mut arrived = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        let jpeg = Picture::from_jpeg(data).unwrap();
        assert!(sent.contains(&pixels(&jpeg)), "other pixels");
        arrived += 1;
    }
    assert!(arrived > 5, "{arrived} pictures");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_at_its_ports_decodes_what_was_sent() {
    check_gstreamer("udp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_on_its_connection_decodes_what_was_sent() {
    check_gstreamer("tcp").await;
}
