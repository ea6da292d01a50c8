//! A small guest with hardware that this machine lacks; it runs a test of this very
//! binary. `tests/guest/README.md` says what it has.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use sockkit::testing::needs::{Need, met};

/// One guest takes both cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the test of this path in a guest with this hardware.
pub(crate) fn run(test: &str, options: &[&str]) {
    let Some(mut guest) = guest(test, options) else {
        return;
    };
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|error| error.into_inner());
    let mut boots = 0;
    let (output, complaints) = loop {
        boots += 1;
        let output = guest.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        // The guest script's own: the time is up, or the guest ended without a result.
        let is_the_guests = matches!(output.status.code(), Some(124 | 125));
        if boots == MAX_BOOTS || !is_the_guests {
            break (output, complaints);
        }
        // The kernel's drivers have races of their own where a camera is unplugged, and an
        // emulated machine hangs now and then.
        println!("the guest gave no result: once more\n{complaints}");
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}\n{complaints}"
    );
    // What was measured; shown with --nocapture.
    println!("{told}");
}

/// The command that does so, unless this machine cannot.
pub(crate) fn guest(test: &str, options: &[&str]) -> Option<Command> {
    let needs = [
        "qemu-system-x86_64",
        "cc",
        "strip",
        "apt-get",
        "dpkg-deb",
        "xz",
    ];
    if !met(test, &needs.map(Need::Program)) {
        return None;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = project.join("tests/guest/guest");
    let scratch = project.join("target/guest");
    fs::create_dir_all(&scratch).unwrap();
    let prepared = Command::new("bash")
        .arg(&script)
        .arg("--prepare")
        .env("GUEST_CACHE", &scratch)
        .output()
        .unwrap();
    if !prepared.status.success() {
        let why = String::from_utf8_lossy(&prepared.stderr);
        assert!(
            env::var_os("SOCKKIT_TEST_ALL").is_none_or(|value| value != "1"),
            "{test}: {why}"
        );
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {test}: no kernel for the guest: {why}"
        );
        return None;
    }
    let timeout_s = match options.contains(&"--disk") {
        true => DISK_TIMEOUT_S,
        false => TIMEOUT_S,
    };
    let mut command = Command::new("bash");
    command
        .arg(script)
        .args(options)
        .arg(stripped(&scratch))
        .args([timeout_s, "--", "--exact", "--ignored", "--nocapture", test])
        .env("GUEST_CACHE", &scratch)
        .stdin(Stdio::null());
    Some(command)
}

/// This test binary without its debug information: the guest keeps it in memory.
fn stripped(scratch: &Path) -> PathBuf {
    static DONE: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap();
    done.get_or_insert_with(|| {
        let this = env::current_exe().unwrap();
        let small = scratch.join("tests-stripped");
        let status = Command::new("strip")
            .arg("-o")
            .arg(&small)
            .arg(this)
            .status()
            .unwrap();
        assert!(status.success());
        small
    })
    .clone()
}

const MAX_BOOTS: u32 = 3;

/// Ten times what they take, for an emulated machine beside other work.
const TIMEOUT_S: &str = "240";

/// For a hundred power cuts.
const DISK_TIMEOUT_S: &str = "1500";
