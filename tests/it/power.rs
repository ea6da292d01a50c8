//! The power is cut while a file or a recording is written: a disk in the guest forgets
//! what is written from some moment on, the writer is killed, and the file system is
//! mounted again.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use sockkit::{
    file::{Destination, FileSet, OnConflict, ReceiveConfig, SendConfig, receive, send},
    picture::Timestamp,
    sink::record::{Existing, Recorder, RecorderConfig},
    source::{
        Source, SourceConfig, SourceSpec,
        pattern::{Stamp, paint, read_stamp},
    },
    testing::needs::{Need, met},
};
use tokio::net::{TcpListener, TcpStream};

#[test]
fn a_power_cut_leaves_the_old_file_or_the_new_one() {
    cut("transfers", 4);
}

#[test]
#[ignore = "soak"]
fn a_hundred_power_cuts_leave_the_old_file_or_the_new_one() {
    cut("transfers", 100);
}

#[test]
fn a_power_cut_costs_a_recording_at_most_its_last_second() {
    cut("recordings", 3);
}

#[test]
#[ignore = "soak"]
fn a_hundred_power_cuts_cost_a_recording_at_most_its_last_second() {
    cut("recordings", 100);
}

fn cut(what: &str, times: u32) {
    let needs = ["dmsetup", "mkfs.ext4"].map(Need::Program);
    if met(what, &needs) {
        let times = format!("SOCKKIT_TEST_CUTS={times}");
        let test = format!("power::{what}");
        super::guest::run(&test, &["--camera", "none", "--disk", "--env", &times]);
    }
}

/// How often, as the test outside told the guest.
fn cuts() -> u32 {
    env::var("SOCKKIT_TEST_CUTS").unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "runs in the guest"]
async fn transfers() {
    const BLOCKS: u64 = 6;
    const BYTES: usize = 24 << 20;
    let disk = Disk::make(COMMIT_SOON);
    write_soon();
    let mut random = fastrand::Rng::new();
    let contents: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(BYTES)
        .collect();
    fs::create_dir("/tmp/source").unwrap();
    let (source, target) = (Path::new("/tmp/source/big"), disk.path("big"));
    fs::write(source, &contents).unwrap();
    let mut longest = Duration::from_millis(1_500);
    let (mut halfway, mut resumed, mut too_late) = (0, 0, 0);
    for number in 0..cuts() {
        fs::write(&target, "the old one").unwrap();
        run("sync", &[]);
        let mut receiver = Writer::start("power::receiver");
        let to = receiver.tells("at ");
        let sending = tokio::spawn(send_to(to, source));
        let moment = longest.mul_f64(random.f64());
        if number % 2 == 0 {
            // The moment of the cut, not a wait for anything.
            tokio::time::sleep(moment).await;
        } else {
            disk.wait_for_blocks(random.u64(1..BLOCKS)).await;
        }
        let verified = disk.verified_blocks();
        disk.cut();
        drop(receiver);
        let _ = sending.await.unwrap();
        disk.power_on();

        let there = fs::read(&target).unwrap();
        let told = format!("cut {number} after {moment:?}, {verified} blocks verified");
        if there == contents {
            too_late += 1;
            longest = longest.mul_f64(0.9);
        } else {
            assert!(there == b"the old one", "{told}: {} bytes", there.len());
        }
        let mut receiver = Writer::start("power::receiver");
        let moved = send_to(receiver.tells("at "), source).await.unwrap();
        drop(receiver);
        assert!(fs::read(&target).unwrap() == contents, "{told}");
        let left = fs::read_dir(MOUNT).unwrap().map(|entry| entry.unwrap());
        let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(left.count(), 0, "{told}");
        halfway += u32::from(verified > 0);
        resumed += u32::from(there != contents && moved < contents.len() as u64);
    }
    println!(
        "{} cuts, {halfway} with verified blocks, {resumed} resumed with some of them, \
         {too_late} after the end",
        cuts()
    );
    assert!(halfway > 0, "no cut was in the middle of a transfer");
}

/// Offers the file, and tells how many bytes were moved.
async fn send_to(address: String, source: &'static Path) -> Result<u64, String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let files = FileSet::gather([source]).unwrap();
    match send(stream, files, &SendConfig::default()).await {
        Ok(summary) => Ok(summary.moved_bytes),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
#[ignore = "the program whose power is cut"]
async fn receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("at {}", listener.local_addr().unwrap());
    let (stream, _) = listener.accept().await.unwrap();
    let config = ReceiveConfig::default().on_conflict(OnConflict::Overwrite);
    let offer = receive(stream, &config).await.unwrap();
    let destination = Destination::open(MOUNT).unwrap();
    offer.accept(&destination).await.unwrap();
    println!("done");
}

#[tokio::test]
#[ignore = "runs in the guest"]
async fn recordings() {
    let disk = Disk::make("defaults");
    let mut random = fastrand::Rng::new();
    let target = disk.path("film.mp4");
    let part = disk.path("film.mp4.part");
    let mut most = 0;
    for number in 0..cuts() {
        fs::write(&target, "the old one").unwrap();
        run("sync", &[]);
        let mut recorder = Writer::start("power::recorder");
        let until = random.u64(RATE_HZ..4 * RATE_HZ);
        while recorder.tells("recorded ").parse::<u64>().unwrap() < until {}
        // The recorder writes a fragment when the one before is on the disk: that holds
        // however slow the disk is.
        let written = numbers_in(&part).await.len() as u64;
        disk.cut();
        drop(recorder);
        disk.power_on();

        assert_eq!(fs::read(&target).unwrap(), b"the old one", "cut {number}");
        let numbers = numbers_in(&part).await;
        let left = numbers.len() as u64;
        assert_eq!(numbers, (0..left).collect::<Vec<_>>(), "cut {number}");
        let lost = written.saturating_sub(left);
        // Half a second, and rounding.
        let most_lost = RATE_HZ / 2 + 1;
        assert!(lost <= most_lost, "cut {number}: {lost} of {written}");
        most = most.max(lost);
    }
    println!(
        "{} cuts, at most {most} written pictures lost, of {RATE_HZ} a second",
        cuts()
    );
}

#[tokio::test]
#[ignore = "the program whose power is cut"]
async fn recorder() {
    let config = RecorderConfig::default().existing(Existing::Replace);
    let target = Path::new(MOUNT).join("film.mp4");
    let mut recorder = Recorder::create(target, config).await.unwrap();
    let mut clock = Timestamp::from_micros(1_700_000_000_000_000);
    for number in 0_u64.. {
        clock = clock + INTERVAL;
        let picture = paint(320, 240, Stamp { number, clock }).unwrap();
        recorder.push(&picture).await.unwrap();
        println!("recorded {number}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The numbers in the pictures of a clip, once through.
async fn numbers_in(path: &Path) -> Vec<u64> {
    // What a clip is, is told by its name.
    let clip = Path::new("/tmp/clip.mp4");
    fs::copy(path, clip).unwrap();
    let config = SourceConfig::default().rate_hz(1_000.0);
    let opened = Source::open(&SourceSpec::File(clip.into()), config).await;
    let mut source = opened.unwrap();
    let mut numbers: Vec<u64> = Vec::new();
    loop {
        let picture = source.next().await.unwrap();
        let number = read_stamp(&picture).unwrap().number;
        if numbers.first() == Some(&number) {
            return numbers;
        }
        numbers.push(number);
    }
}

/// A disk with a file system, whose writes can be forgotten.
struct Disk {
    sectors: u64,
    options: &'static str,
}

impl Disk {
    /// Mounted with these options.
    fn make(options: &'static str) -> Self {
        const BYTES: u64 = 96 << 20;
        fs::File::create("/tmp/disk")
            .unwrap()
            .set_len(BYTES)
            .unwrap();
        run("losetup", &["/dev/loop0", "/tmp/disk"]);
        let disk = Self {
            sectors: BYTES / 512,
            options,
        };
        run("mkfs.ext4", &["-q", "/dev/loop0"]);
        disk.mount();
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(MOUNT).join(name)
    }

    fn mount(&self) {
        let table = format!("0 {} linear /dev/loop0 0", self.sectors);
        run(
            "dmsetup",
            &["create", "disk", "--noudevsync", "--table", &table],
        );
        run("mount", &["-t", "ext4", "-o", self.options, DEVICE, MOUNT]);
    }

    /// From now on nothing that is written is kept, and no error says so.
    fn cut(&self) {
        let table = format!("0 {} flakey /dev/loop0 0 0 600 1 drop_writes", self.sectors);
        run("dmsetup", &["suspend", "--nolockfs", "--noflush", "disk"]);
        run("dmsetup", &["load", "disk", "--table", &table]);
        run("dmsetup", &["resume", "--noudevsync", "disk"]);
    }

    /// The memory is empty, and the disk has what it had at the cut.
    fn power_on(&self) {
        run("umount", &[MOUNT]);
        run("dmsetup", &["remove", "--noudevsync", "disk"]);
        fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
        self.mount();
    }

    /// What the record of the received file says: a head, and a digest a block.
    fn verified_blocks(&self) -> u64 {
        let entries = fs::read_dir(MOUNT).unwrap().map(|entry| entry.unwrap());
        let record = entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".blocks"))
            .find_map(|entry| entry.metadata().ok());
        record.map_or(0, |record| record.len().saturating_sub(28) / 32)
    }

    /// Until so many are verified, or the file is complete.
    async fn wait_for_blocks(&self, blocks: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut begun = false;
        loop {
            let verified = self.verified_blocks();
            if verified >= blocks || (begun && verified == 0) {
                return;
            }
            begun |= verified > 0;
            assert!(Instant::now() < deadline, "nothing comes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Lets the kernel write what is a tenth of a second old, rather than half a minute:
/// then a cut finds some of a transfer on the disk.
fn write_soon() {
    for setting in ["dirty_expire_centisecs", "dirty_writeback_centisecs"] {
        fs::write(format!("/proc/sys/vm/{setting}"), "10").unwrap();
    }
}

/// A test of this binary that writes to the disk; killed when it is dropped.
struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(test: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", test])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The rest of the next line that begins so; the test's own head may be before it.
    fn tells(&mut self, beginning: &str) -> String {
        self.lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| Some(line.split_once(beginning)?.1.to_owned()))
            .expect("the writer ended")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaints}"
    );
}

/// Every second, rather than every fifth.
const COMMIT_SOON: &str = "commit=1";

const MOUNT: &str = "/mnt";

/// The kernel names it; `/dev/mapper` is made by a program that the guest lacks.
const DEVICE: &str = "/dev/dm-0";

const RATE_HZ: u64 = 10;

const INTERVAL: Duration = Duration::from_millis(1_000 / RATE_HZ);
