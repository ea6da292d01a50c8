//! A crowd that watches one camera, while some of it is stopped, killed and
//! started again.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use sockkit::{
    picture::Timestamp,
    stream::{Receiver, ReceiverConfig},
    testing::{
        needs::{Need, met},
        program::Program,
        usage,
    },
};

use crate::{browser::Page, procfs, sockkit, sockkit_in};

#[test]
fn a_stopped_viewer_costs_the_crowd_nothing() {
    let crowd = Crowd::gather();
    let run = crowd.stop_two_for(Duration::from_secs(2), Duration::from_secs(3));
    println!("{run:#?}");
    run.check();
    crowd.survive_kills();
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn a_killed_camera_and_a_killed_viewer_are_back_within_a_second() {
        let crowd = Crowd::gather();
        check("crowd: back after kills", || {
            let took = crowd.survive_kills();
            if took.iter().all(|took| *took < Duration::from_secs(1)) {
                return Ok(());
            }
            Err(format!("{took:?}"))
        });
    }
}

#[test]
#[ignore = "soak"]
fn a_viewer_stopped_for_long_costs_the_crowd_nothing() {
    let crowd = Crowd::gather();
    let runs = [(); 5].map(|()| {
        let run = crowd.stop_two_for(Duration::from_secs(5), Duration::from_secs(30));
        println!("{run:#?}");
        run.check();
        run
    });
    for moved in [
        runs.each_ref().map(|run| run.native.moved_ms()),
        runs.each_ref().map(|run| run.http.moved_ms()),
    ] {
        let mut sorted = moved;
        sorted.sort_unstable_by(f64::total_cmp);
        println!("p99 moved by {moved:.2?} ms, median {:.2} ms", sorted[2]);
        assert!(sorted[2].abs() < 5.0, "{moved:?}");
    }
    crowd.survive_kills();
}

/// A camera, 64 native viewers, and a page that 16 browsers watch.
struct Crowd {
    runtime: tokio::runtime::Runtime,
    camera: Mutex<Program>,
    address: SocketAddr,
    native: Vec<Watched>,
    http: Vec<Watched>,
    page: SocketAddr,
    _receivers: Vec<Receiver>,
    _web: Program,
    _browser: Option<Page>,
}

/// What one run saw.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Run {
    native: Ages,
    http: Ages,
    /// Resident memory of the sender before, after, and at its highest.
    sender_kib: [u64; 3],
    stopped_native: Vec<Figures>,
    stopped_http: Stale,
}

/// The 99th percentile of the others' ages, before and while two were stopped.
#[derive(Clone, Copy, Debug)]
struct Ages {
    before_ms: f64,
    meanwhile_ms: f64,
}

/// A line of `view --stats`.
#[derive(Clone, Copy, Debug)]
struct Figures {
    received: u64,
    late: u64,
    restarts: u64,
    age_p99_ms: Option<f64>,
}

/// What a stopped HTTP viewer read when it resumed.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "printed")]
struct Stale {
    /// Old pictures in all.
    pictures: usize,
    /// Those of which not a byte had left the server's side.
    on_our_side: usize,
    /// Bytes in the viewer's own receive buffer, and in the server's for it.
    queued_bytes: [u64; 2],
}

impl Crowd {
    fn gather() -> Self {
        let camera = sockkit(&[&CAMERA[..], &["tcp://127.0.0.1:0"]].concat());
        let address = camera.listening();
        let url = format!("tcp://{address}");
        let web = sockkit(&["view", "--plain", &url, "--web", "127.0.0.1:0"]);
        let page = web.line_after("watch     http://");
        let page = page.trim_end_matches('/').parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let receivers = runtime.block_on(async {
            let to = url.parse().unwrap();
            let mut receivers = Vec::new();
            for _ in 0..64 {
                let receiver = Receiver::open(&to, ReceiverConfig::default()).await;
                receivers.push(receiver.unwrap());
            }
            receivers
        });
        let native = receivers.iter().map(|receiver| {
            let (watched, mut pictures) = (Watched::default(), receiver.pictures());
            let noting = watched.clone();
            runtime.spawn(async move {
                while let Some(picture) = pictures.next().await {
                    noting.note(picture.captured());
                }
            });
            watched
        });
        let native: Vec<_> = native.collect();
        let http: Vec<_> = (0..15).map(|_| Watched::over_http(page)).collect();
        let browser = met("a browser in the crowd", &[Need::Program("chromium")])
            .then(|| Page::open(&format!("http://{page}/")));
        let crowd = Self {
            runtime,
            camera: Mutex::new(camera),
            address,
            native,
            http,
            page,
            _receivers: receivers,
            _web: web,
            _browser: browser,
        };
        crowd.all_see_what_was_taken_after(now());
        crowd
    }

    fn everybody(&self) -> impl Iterator<Item = &Watched> {
        self.native.iter().chain(&self.http)
    }

    /// Stops one viewer of each kind, as a laptop's lid does.
    fn stop_two_for(&self, before: Duration, stopped: Duration) -> Run {
        let native = sockkit(&[
            "view",
            "--plain",
            &format!("tcp://{}", self.address),
            "--stats",
        ]);
        let http = HttpProcess::start(self.page);
        while Figures::of(&native.line()).received < 10 {}
        let camera = self.camera.lock().unwrap().id();

        self.forget_ages();
        thread::sleep(before);
        let [native_before, http_before] = self.p99_ms();
        let kib = |bytes: Option<u64>| bytes.unwrap() / 1_024;
        let kib_before = kib(usage::resident_bytes(camera));
        native.freeze();
        http.program.freeze();
        self.forget_ages();
        thread::sleep(stopped);
        let [native_meanwhile, http_meanwhile] = self.p99_ms();
        let sender_kib = [
            kib_before,
            kib(usage::resident_bytes(camera)),
            kib(usage::peak_bytes(camera)),
        ];
        let stopped_http = http.thaw_and_count();
        native.thaw();
        let next = || Figures::of(&native.line());
        // Lines from before are still to be read.
        let mut stopped_native = vec![next()];
        while !stopped_native.last().is_some_and(Figures::was_stopped) {
            stopped_native.push(next());
        }
        stopped_native.extend([next(), next()]);
        Run {
            native: Ages {
                before_ms: native_before,
                meanwhile_ms: native_meanwhile,
            },
            http: Ages {
                before_ms: http_before,
                meanwhile_ms: http_meanwhile,
            },
            sender_kib,
            stopped_native,
            stopped_http,
        }
    }

    /// Kills the camera, and then a viewer; says how long each takes to be back.
    fn survive_kills(&self) -> [Duration; 2] {
        let url = format!("tcp://{}", self.address);
        {
            let mut camera = self.camera.lock().unwrap();
            camera.kill();
            *camera = sockkit(&[&CAMERA[..], &[&url]].concat());
            assert_eq!(camera.listening(), self.address);
        }
        let camera_took = self.all_see_what_was_taken_after(now());
        println!("all see the restarted camera after {camera_took:?}");

        let viewer = sockkit(&["view", "--plain", &url, "--stats"]);
        while Figures::of(&viewer.line()).received == 0 {}
        viewer.kill();
        let folder = tempfile::tempdir().unwrap();
        let restarted = Instant::now();
        let snapshot = [
            "view",
            "--plain",
            &url,
            "--snapshot",
            "again.jpg",
            "--seconds",
            "10",
        ];
        let end = sockkit_in(folder.path(), &snapshot).end();
        let viewer_took = restarted.elapsed();
        assert!(end.status.success(), "{end:?}");
        println!("a restarted viewer has saved a picture after {viewer_took:?}");
        [camera_took, viewer_took]
    }

    /// How long that takes from now on.
    fn all_see_what_was_taken_after(&self, moment: Timestamp) -> Duration {
        let begun = Instant::now();
        while self.everybody().any(|watched| watched.newest() < moment) {
            assert!(begun.elapsed() < WITHIN, "some see nothing");
            thread::sleep(Duration::from_millis(1));
        }
        begun.elapsed()
    }

    fn forget_ages(&self) {
        for watched in self.everybody() {
            watched.take_ages();
        }
    }

    /// Of the native ones and of those over HTTP.
    fn p99_ms(&self) -> [f64; 2] {
        [&self.native, &self.http].map(|group| {
            let mut ages: Vec<_> = group.iter().flat_map(Watched::take_ages).collect();
            ages.sort_unstable();
            assert!(ages.len() > 100, "{} pictures", ages.len());
            let rank = (ages.len() * 99).div_ceil(100);
            ages[rank - 1].as_secs_f64() * 1_000.0
        })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Programs are killed by their own drop; tasks end with the runtime.
        self.runtime.block_on(tokio::task::yield_now());
    }
}

impl Run {
    #[track_caller]
    fn check(&self) {
        let [before, after, highest] = self.sender_kib;
        assert!(after < before + 32 * 1_024, "{self:?}");
        assert!(highest < 256 * 1_024, "{self:?}");
        for figures in &self.stopped_native {
            let age_ms = figures.age_p99_ms.unwrap_or_default();
            assert!(age_ms <= 1_000.0, "an old picture was shown: {self:?}");
        }
        let last = self.stopped_native.last().unwrap();
        assert!(last.age_p99_ms.is_some(), "it continues: {self:?}");
        assert!(self.stopped_http.on_our_side <= 2, "{self:?}");
    }
}

impl Ages {
    fn moved_ms(&self) -> f64 {
        self.meanwhile_ms - self.before_ms
    }
}

impl Figures {
    /// Whether it found old pictures, or a connection that was dropped.
    fn was_stopped(&self) -> bool {
        self.late + self.restarts > 0
    }

    /// What a line says; all zero for a line that is none.
    fn of(line: &str) -> Self {
        let field = |name: &str| {
            let words = line.split_ascii_whitespace();
            let value = words.filter_map(|word| word.split_once('='));
            let value = value.into_iter().find(|(key, _)| *key == name);
            value.map(|(_, value)| value).unwrap_or_default()
        };
        let count = |name| field(name).parse().unwrap_or_default();
        Self {
            received: count("received"),
            late: count("late"),
            restarts: count("restarts"),
            age_p99_ms: field("age_p99_ms").parse().ok(),
        }
    }
}

/// What one viewer has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    ages: Vec<Duration>,
    newest: Timestamp,
    bytes: u64,
}

impl Watched {
    /// A thread that reads `/stream`.
    fn over_http(page: SocketAddr) -> Self {
        Self::reading(Parts::open(page))
    }

    /// A thread that reads the stream that was asked for.
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self::reading(Parts::of(stream))
    }

    fn reading(mut parts: Parts) -> Self {
        let watched = Self::default();
        let noting = watched.clone();
        thread::spawn(move || {
            while let Some(part) = parts.next_part() {
                noting.note(part.captured);
                noting.0.lock().unwrap().bytes = part.end;
            }
        });
        watched
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().unwrap().bytes
    }

    fn note(&self, captured: Timestamp) {
        // The placeholder has no time.
        if captured > Timestamp::default() {
            let mut seen = self.0.lock().unwrap();
            seen.newest = captured;
            seen.ages.push(now().saturating_since(captured));
        }
    }

    fn newest(&self) -> Timestamp {
        self.0.lock().unwrap().newest
    }

    pub(crate) fn take_ages(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().unwrap().ages)
    }
}

/// A viewer over HTTP that can be stopped: this test's own binary again.
struct HttpProcess {
    program: Program,
    page: SocketAddr,
    own: SocketAddr,
}

impl HttpProcess {
    fn start(page: SocketAddr) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["crowd::http_viewer_process", "--exact", "--include-ignored"])
            .arg("--nocapture")
            .env(PAGE, page.to_string());
        let program = Program::start(&mut command);
        let own = program.line_after("watching from ").parse().unwrap();
        Self { program, page, own }
    }

    /// Lets it resume, and counts the old pictures that it then reads.
    fn thaw_and_count(self) -> Stale {
        let (in_its_buffer, in_ours) = (
            procfs::unread_bytes(self.own, self.page),
            procfs::unacknowledged_bytes(self.page, self.own),
        );
        let old = now().as_micros() - 500_000;
        self.program.thaw();
        let read_before: u64 = self.program.line_after("resumed ").parse().unwrap();
        let mut stale = Stale {
            pictures: 0,
            on_our_side: 0,
            queued_bytes: [in_its_buffer, in_ours],
        };
        let mut end_of_last = 0;
        loop {
            let line = self.program.line_after("part ");
            let (end, captured) = line.split_once(' ').unwrap();
            let (end, captured): (u64, u64) = (end.parse().unwrap(), captured.parse().unwrap());
            if captured > old {
                return stale;
            }
            stale.pictures += 1;
            stale.on_our_side += usize::from(end_of_last >= read_before + in_its_buffer);
            end_of_last = end;
        }
    }
}

#[test]
#[ignore = "a process of the crowd, and of no use alone"]
fn http_viewer_process() {
    let Ok(page) = env::var(PAGE) else { return };
    let mut parts = Parts::open(page.parse().unwrap());
    for _ in 0..10 {
        parts.next_part().unwrap();
    }
    // The harness has begun a line of its own.
    println!("\nwatching from {}", parts.own);
    let mut resumed = false;
    let mut heard = Instant::now();
    loop {
        let before = parts.reader.get_ref().bytes;
        let Some(part) = parts.next_part() else {
            return;
        };
        if !resumed && heard.elapsed() > Duration::from_secs(1) {
            resumed = true;
            println!("resumed {before}");
        }
        heard = Instant::now();
        if resumed {
            println!("part {} {}", part.end, part.captured.as_micros());
        }
    }
}

/// The parts of `/stream`.
struct Parts {
    reader: BufReader<Counted>,
    own: SocketAddr,
}

struct Part {
    /// Where it ends in the bytes of the answer.
    end: u64,
    captured: Timestamp,
}

/// Counts what the kernel gave.
struct Counted {
    stream: TcpStream,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.bytes += bytes as u64;
        Ok(bytes)
    }
}

impl Parts {
    fn open(page: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(page).unwrap();
        write!(stream, "GET /stream HTTP/1.0\r\nHost: {page}\r\n\r\n").unwrap();
        Self::of(stream)
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let own = stream.local_addr().unwrap();
        let reader = BufReader::new(Counted { stream, bytes: 0 });
        Self { reader, own }
    }

    /// `None` when the stream has ended.
    fn next_part(&mut self) -> Option<Part> {
        let (mut length, mut captured) = (None, 0);
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                // Seconds with six decimals.
                "x-timestamp" => captured = value.trim().replace('.', "").parse().ok()?,
                _ => {}
            }
            if let (true, Some(length)) = (line.trim().is_empty(), length) {
                let mut jpeg = vec![0; length];
                self.reader.read_exact(&mut jpeg).ok()?;
                let unread = self.reader.buffer().len() as u64;
                return Some(Part {
                    end: self.reader.get_ref().bytes - unread,
                    captured: Timestamp::from_micros(captured),
                });
            }
        }
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

const PAGE: &str = "SOCKKIT_CROWD_PAGE";

const WITHIN: Duration = Duration::from_secs(60);

/// All of the crowd is on one host.
const CAMERA: [&str; 7] = [
    "cam",
    "--plain",
    "--source",
    "clip",
    "--viewers-per-host",
    "128",
    "--to",
];
