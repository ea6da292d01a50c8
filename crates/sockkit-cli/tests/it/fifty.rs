//! What fifty viewers in browsers cost, beside iperf3's sender at the same rate.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, sleep},
    time::Duration,
};

use sockkit::{
    picture::jpeg,
    source::{Source, SourceConfig, SourceSpec},
    testing::{
        needs::{Need, met},
        program::Program,
        usage,
    },
};
use tempfile::TempDir;

use crate::{crowd::Watched, sockkit};

#[test]
#[ignore = "measurement"]
fn fifty_viewers_beside_iperf3() {
    if !met("fifty viewers", &[Need::Program("iperf3")]) {
        return;
    }
    let (_folder, cam, page) = cam(&[], "http://");
    let page: SocketAddr = page.parse().unwrap();
    let viewers: Vec<_> = (0..50).map(|at| Watched::of(open(page, at))).collect();
    let worst = compare(&cam, || viewers.iter().map(Watched::bytes).sum());
    let before = p99_ms(&viewers);
    let stopped = open(page, 0);
    thread::spawn(move || trickle(open(page, 1)));
    sleep(Duration::from_secs(2));
    p99_ms(&viewers);
    sleep(RUN);
    let meanwhile = p99_ms(&viewers);
    println!("p99 {before:.2} ms, with one stopped and one trickling {meanwhile:.2} ms");
    drop(stopped);
    assert!(worst <= 1.15, "{worst}");
    assert!(meanwhile < before + 5.0, "{meanwhile} ms");
}

/// They read by curl.
#[test]
#[ignore = "measurement"]
fn fifty_viewers_over_https_beside_iperf3() {
    let needs = ["iperf3", "curl"].map(Need::Program);
    if !met("fifty viewers over https", &needs) {
        return;
    }
    let (_folder, cam, page) = cam(&["--https"], "https://");
    let read = Arc::new(AtomicU64::new(0));
    let mut viewers: Vec<_> = (0..50).map(|at| curl(&page, at, &read)).collect();
    let worst = compare(&cam, || read.load(Ordering::Relaxed));
    for viewer in &mut viewers {
        viewer.kill().unwrap();
        viewer.wait().unwrap();
    }
    assert!(worst <= 2.5, "{worst}");
}

/// A camera of 1280x720 at 30 a second, and where its page is.
fn cam(options: &[&str], scheme: &str) -> (TempDir, Program, String) {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("hd.mjpeg");
    write_hd(&film);
    let film = film.to_str().unwrap();
    let arguments = [
        "cam",
        "--source",
        film,
        "--rate",
        "30",
        "--web",
        "127.0.0.1:0",
    ];
    let cam = sockkit(&[&arguments, options].concat());
    let page = cam.line_after(&format!("watch     {scheme}"));
    let page = page.trim_end_matches('/').to_owned();
    (folder, cam, page)
}

/// CPU a byte, three times in turns with iperf3 at the same rate. Returns the worst ratio.
fn compare(cam: &Program, bytes: impl Fn() -> u64) -> f64 {
    sleep(Duration::from_secs(3));
    let mut worst: f64 = 0.0;
    for round in 1..=3 {
        let cpu = || usage::cpu_time(cam.id()).unwrap();
        let (before, cpu_before) = (bytes(), cpu());
        sleep(RUN);
        let (sent, spent) = (bytes() - before, cpu() - cpu_before);
        let ours = spent.as_secs_f64() * 1e9 / sent as f64;
        let theirs = iperf3(sent * 8 / RUN.as_secs() / 50);
        let ratio = ours / theirs;
        println!(
            "{round}: {} MB/s, {ours:.3} ns a byte, iperf3 {theirs:.3}, {ratio:.2} x",
            sent / RUN.as_secs() / 1_000_000
        );
        worst = worst.max(ratio);
    }
    worst
}

/// A viewer at one of two hosts, and a thread that counts what it reads.
fn curl(page: &str, at: u8, read: &Arc<AtomicU64>) -> Child {
    let interface = format!("127.0.0.{}", 2 + at % 2);
    let url = format!("https://{page}/streams");
    let mut curl = Command::new("curl")
        .args([
            "--silent",
            "--insecure",
            "--no-buffer",
            "--interface",
            &interface,
            &url,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, read) = (curl.stdout.take().unwrap(), Arc::clone(read));
    thread::spawn(move || {
        let mut some = vec![0; 1 << 16];
        while let Ok(bytes @ 1..) = stream.read(&mut some) {
            read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    });
    curl
}

/// The bundled clip as 1280x720.
fn write_hd(path: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = SourceConfig::default().rate_hz(1_000.0);
        let mut source = Source::open(&SourceSpec::Clip, config).await.unwrap();
        let mut file = File::create(path).unwrap();
        for _ in 0..50 {
            let picture = source.next().await.unwrap().resize(1_280, 720).unwrap();
            let jpeg = jpeg::encode(&picture, 70).unwrap();
            file.write_all(&jpeg.into_data()).unwrap();
        }
    });
}

/// A stream for one of two hosts, since each has a share of the places.
fn open(page: SocketAddr, at: u8) -> TcpStream {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2 + at % 2], 0).into()).unwrap();
        socket.connect(page).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    write!(&stream, "GET /streams HTTP/1.0\r\nHost: {page}\r\n\r\n").unwrap();
    stream
}

fn trickle(mut stream: TcpStream) {
    let mut some = [0; 1_024];
    while stream.read(&mut some).is_ok_and(|bytes| bytes > 0) {
        sleep(Duration::from_millis(50));
    }
}

/// Of all ages since the last call.
fn p99_ms(viewers: &[Watched]) -> f64 {
    let mut ages: Vec<_> = viewers.iter().flat_map(Watched::take_ages).collect();
    ages.sort_unstable();
    ages[ages.len() * 99 / 100].as_secs_f64() * 1_000.0
}

/// CPU of its sender, in nanoseconds a byte.
fn iperf3(bits_per_second: u64) -> f64 {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let port = port.to_string();
    let mut server = Command::new("iperf3")
        .args(["-s", "-1", "-p", &port])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(500));
    let seconds = RUN.as_secs().to_string();
    let client = Command::new("iperf3")
        .args([
            "-c",
            "127.0.0.1",
            "-p",
            &port,
            "-P",
            "50",
            "-t",
            &seconds,
            "-J",
        ])
        .args(["-b", &bits_per_second.to_string()])
        .output()
        .unwrap();
    let _ = server.kill();
    server.wait().unwrap();
    let report = String::from_utf8(client.stdout).unwrap();
    let number = |after: &str, name: &str| -> f64 {
        let (_, rest) = report.split_once(after).unwrap();
        let (_, rest) = rest.split_once(&format!("\"{name}\":")).unwrap();
        let end = rest.find([',', '}', '\n']).unwrap();
        rest[..end].trim().parse().unwrap()
    };
    let seconds = number("\"sum_sent\":", "seconds");
    let sent = number("\"sum_sent\":", "bytes");
    let percent = number("\"cpu_utilization_percent\":", "host_total");
    percent / 100.0 * seconds * 1e9 / sent
}

const RUN: Duration = Duration::from_secs(10);
