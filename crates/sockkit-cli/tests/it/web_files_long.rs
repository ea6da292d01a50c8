//! Files of 4 GiB with only a browser, over a link of 200 Mbit/s.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
    process::Command,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
    program::Program,
    sim::LinkConfig,
    usage::is_running,
};
use tempfile::TempDir;

use crate::{
    browser::{Browser, Page},
    command,
    firefox::Firefox,
    web_files::{chromium_saving_into, ready, url},
};

#[test]
#[ignore = "soak"]
fn chromium_moves_4_gib_nearly_as_fast_as_curl() {
    if let Some(bed) = Bed::new("4 GiB with Chromium", "chromium", 4 * GIB) {
        bed.compare_upload(Page::open);
        bed.compare_download(chromium_saving_into);
    }
}

#[test]
#[ignore = "soak"]
fn firefox_moves_4_gib_nearly_as_fast_as_curl() {
    if let Some(bed) = Bed::new("4 GiB with Firefox", "firefox-esr", 4 * GIB) {
        bed.compare_upload(|url| Firefox::open(url, Path::new("/nowhere")));
        bed.compare_download(Firefox::open);
    }
}

#[test]
#[ignore = "soak"]
fn twenty_reloads_and_twenty_cuts_send_a_block_twice_each_at_most() {
    let Some(bed) = Bed::new("reloads and cuts", "chromium", GIB) else {
        return;
    };
    let receiver = bed.receiver();
    let address = url(&receiver);
    let mut page = bed.phone().run(|| Page::open(&address));
    let port = bed.phone().port(0);
    ready(&mut page, "files");
    let before = port.sent_bytes();
    page.choose("#files", &[&bed.film()]);
    for trouble in 0..40 {
        // Each comes when another part of the file has arrived.
        page.until(STATE, |state| percent(state) > 2 * trouble);
        if trouble % 2 == 0 {
            page.reload();
            ready(&mut page, "files");
            page.choose("#files", &[&bed.film()]);
        } else {
            port.cut();
            sleep(Duration::from_secs(1));
            port.restore();
        }
    }
    page.until("document.getElementById('say').textContent", |said| {
        said == "Done."
    });
    assert!(receiver.end().status.success());
    assert!(is_same(&bed.film(), &bed.there.path().join("film")));
    // Headers, too, and acknowledgements.
    let more = (port.sent_bytes() - before).saturating_sub(GIB);
    println!(
        "{:.1} blocks more than the file",
        more as f64 / BLOCK_BYTES as f64
    );
    assert!(more <= 40 * BLOCK_BYTES, "{more} bytes more");
}

/// A machine, a phone, and a file on either of them.
struct Bed {
    lab: Lab,
    bytes: u64,
    here: TempDir,
    there: TempDir,
}

impl Bed {
    fn new(test: &str, browser: &'static str, bytes: u64) -> Option<Self> {
        let needs = [browser, "curl", "tc", "ethtool"].map(Need::Program);
        if !met(test, &needs) {
            return None;
        }
        let lab = Lab::new(test, 2, 1)?;
        let link = LinkConfig::default()
            .rate(200_000_000 / 8)
            .queue_bytes(500_000);
        for host in 0..2 {
            lab.host(host).port(0).shape(&link).unwrap();
        }
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let film = File::create(here.path().join("film")).unwrap();
        fill(film, bytes);
        Some(Self {
            lab,
            bytes,
            here,
            there,
        })
    }

    fn machine(&self) -> &Host {
        self.lab.host(0)
    }

    fn phone(&self) -> &Host {
        self.lab.host(1)
    }

    fn film(&self) -> std::path::PathBuf {
        self.here.path().join("film")
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let page = format!("--web={}:0", self.machine().port(0).ipv4());
        let mut command = command();
        command.args(arguments).arg(page);
        self.machine().run(|| Program::start(&mut command))
    }

    fn receiver(&self) -> Program {
        let into = self.there.path().to_str().unwrap();
        self.start(&["receive", "--into", into, "--yes"])
    }

    fn sender(&self) -> Program {
        self.start(&["send", self.film().to_str().unwrap()])
    }

    fn compare_upload<B: Browser + Send>(&self, open: impl FnOnce(&str) -> B + Send) {
        let curl = self.curl();
        let receiver = self.receiver();
        let address = url(&receiver);
        let mut page = self.phone().run(|| open(&address));
        ready(&mut page, "files");
        page.choose("#files", &[&self.film()]);
        let begun = Instant::now();
        let memory = Memory::watch(receiver.id());
        wait_for(&receiver);
        let end = receiver.end();
        let took = begun.elapsed();
        memory.check();
        assert!(end.status.success(), "{end:?}");
        self.arrived("upload", took, curl);
    }

    fn compare_download<B: Browser + Send>(&self, open: impl FnOnce(&str, &Path) -> B + Send) {
        let curl = self.curl();
        let sender = self.sender();
        let address = url(&sender);
        let mut page = self.phone().run(|| open(&address, self.there.path()));
        ready(&mut page, "list a");
        let begun = Instant::now();
        let memory = Memory::watch(sender.id());
        page.evaluate("document.querySelector('#list a').click(), ''");
        wait_for(&sender);
        let end = sender.end();
        let took = begun.elapsed();
        memory.check();
        assert!(end.status.success(), "{end:?}");
        let saved = self.there.path().join("film");
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&saved).map_or(0, |saved| saved.len()) < self.bytes {
            assert!(Instant::now() < deadline, "it is not saved");
            sleep(Duration::from_millis(100));
        }
        self.arrived("download", took, curl);
    }

    /// How long curl takes for the file.
    fn curl(&self) -> Duration {
        let sender = self.sender();
        let file = format!("{}file/0/film", url(&sender));
        let begun = Instant::now();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--output", "/dev/null", &file]);
        let end = self.phone().run(|| curl.status()).unwrap();
        let took = begun.elapsed();
        assert!(end.success() && sender.end().status.success());
        took
    }

    fn arrived(&self, what: &str, took: Duration, curl: Duration) {
        let there = self.there.path().join("film");
        assert!(is_same(&self.film(), &there));
        fs::remove_file(there).unwrap();
        let ratio = curl.as_secs_f64() / took.as_secs_f64();
        println!("{what}: {took:.1?}, curl {curl:.1?}: {ratio:.2} x");
        assert!(ratio >= 0.8, "{ratio}");
    }
}

/// What each process has first, and at most.
struct Memory(thread::JoinHandle<BTreeMap<(String, u32), (u64, u64)>>);

impl Memory {
    /// Until the server ends.
    fn watch(server: u32) -> Self {
        Self(thread::spawn(move || {
            // 10 MB take 0.4 s.
            sleep(Duration::from_millis(500));
            let mut seen = BTreeMap::new();
            while is_running(server) {
                for (process, bytes) in descendants() {
                    let (_, most) = seen.entry(process).or_insert((bytes, bytes));
                    *most = bytes.max(*most);
                }
                sleep(Duration::from_millis(200));
            }
            seen
        }))
    }

    fn check(self) {
        let seen = self.0.join().unwrap();
        let mib = |bytes: u64| bytes >> 20;
        for ((kind, process), (first, most)) in &seen {
            println!(
                "{kind}, {process}: {} MiB, at most {}",
                mib(*first),
                mib(*most)
            );
        }
        for (process, (first, most)) in seen {
            assert!(mib(most - first) <= 64, "{process:?}");
        }
    }
}

/// Memory of what this test started.
fn descendants() -> impl Iterator<Item = ((String, u32), u64)> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let started = ids.filter(move |id| {
        std::iter::successors(parent(*id), |id| parent(*id)).any(|ancestor| ancestor == own)
    });
    started.filter_map(|id| Some(((kind(id)?, id), private_bytes(id)?)))
}

/// The program, and what a browser started it for: Chromium's `--type`, Firefox's last
/// argument.
fn kind(process: u32) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?;
    let arguments: Vec<_> = line
        .split(['\0', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    let program = arguments.first()?.rsplit('/').next()?;
    let typed = arguments
        .iter()
        .find_map(|part| part.strip_prefix("--type="));
    let purpose = match typed {
        Some(purpose) => purpose,
        None if arguments.contains(&"-contentproc") => arguments.last()?,
        None => "",
    };
    Some(format!("{program} {purpose}").trim_end().to_owned())
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Without the files that are mapped: the kernel keeps those as long as it likes.
fn private_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}

/// Fills a file with what no other block has.
fn fill(mut film: File, bytes: u64) {
    use std::io::Write as _;

    let mut random = fastrand::Rng::with_seed(7);
    let mut block = vec![0; 1 << 20];
    random.fill(&mut block);
    for number in 0..bytes >> 20 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        film.write_all(&block).unwrap();
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let [mut one, mut other] = [one, other].map(|path| File::open(path).unwrap());
    let mut blocks = [vec![0; 1 << 20], vec![0; 1 << 20]];
    loop {
        let [first, second] = &mut blocks;
        let read = one.read(first).unwrap();
        if read == 0 {
            return other.read(second).unwrap() == 0;
        }
        if other.read_exact(&mut second[..read]).is_err() || first[..read] != second[..read] {
            return false;
        }
    }
}

/// A transfer takes minutes.
fn wait_for(program: &Program) {
    let deadline = Instant::now() + Duration::from_secs(900);
    while is_running(program.id()) && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
}

fn percent(state: &str) -> u32 {
    let digits = state.split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

const STATE: &str = "document.querySelector('.state')?.textContent ?? ''";
const GIB: u64 = 1 << 30;
const BLOCK_BYTES: u64 = 4 << 20;
