//! A headless Firefox, driven by its own protocol, Marionette.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::browser::Browser;

/// A page in a browser. The browser is killed when dropped.
#[derive(Debug)]
pub(crate) struct Firefox {
    stream: TcpStream,
    last_id: u32,
    _process: Process,
}

impl Firefox {
    /// Opens `url` in a browser of its own, which saves downloads into `downloads`.
    pub(crate) fn open(url: &str, downloads: &Path) -> Self {
        let process = Process::start(downloads);
        let mut browser = Self {
            stream: connect(process.profile.path()),
            last_id: 0,
            _process: process,
        };
        browser.read();
        browser.call("WebDriver:NewSession", CAPABILITIES);
        browser.go(url);
        browser
    }

    /// Returns when the page is loaded.
    pub(crate) fn go(&mut self, url: &str) {
        self.call("WebDriver:Navigate", &format!(r#"{{"url":"{url}"}}"#));
    }

    fn call(&mut self, command: &str, parameters: &str) -> String {
        self.last_id += 1;
        let message = format!(r#"[0,{},"{command}",{parameters}]"#, self.last_id);
        write!(self.stream, "{}:{message}", message.len()).unwrap();
        let answer = self.read();
        let fine = format!("[1,{},null,", self.last_id);
        assert!(answer.starts_with(&fine), "{message}: {answer}");
        answer
    }

    /// A message, after its length.
    fn read(&mut self) -> String {
        let mut length = String::new();
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            if byte == *b":" {
                break;
            }
            length.push(byte[0].into());
        }
        let mut message = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut message).unwrap();
        String::from_utf8(message).unwrap()
    }
}

impl Browser for Firefox {
    /// Marionette's own scripts share the page's document, not its variables, so this adds a
    /// script to the page.
    fn evaluate(&mut self, script: &str) -> String {
        assert!(!script.contains(['"', '\\', '\n']), "would need an escape");
        let parameters = format!(r#"{{"script":"{IN_THE_PAGE}","args":["{script}"]}}"#);
        let answer = self.call("WebDriver:ExecuteAsyncScript", &parameters);
        let (_, rest) = answer
            .split_once(r#"{"value":""#)
            .unwrap_or_else(|| panic!("no string in {answer}"));
        rest.split('"').next().unwrap().to_owned()
    }

    fn choose(&mut self, selector: &str, paths: &[&Path]) {
        let find = format!(r#"{{"using":"css selector","value":"{selector}"}}"#);
        let found = self.call("WebDriver:FindElement", &find);
        let (_, id) = found.split_once(ELEMENT).expect("there is one");
        let id = id.split('"').next().unwrap();
        let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        let keys = format!(r#"{{"id":"{id}","text":"{}"}}"#, paths.join("\\n"));
        self.call("WebDriver:ElementSendKeys", &keys);
    }

    fn reload(&mut self) {
        self.call("WebDriver:Refresh", "{}");
    }
}

/// Killed when dropped, also if it never says where it listens.
#[derive(Debug)]
struct Process {
    child: Child,
    profile: TempDir,
}

impl Process {
    fn start(downloads: &Path) -> Self {
        let profile = TempDir::new().unwrap();
        let settings = format!("{SETTINGS}user_pref(\"browser.download.dir\", {downloads:?});\n");
        fs::write(profile.path().join("user.js"), settings).unwrap();
        let child = Command::new("firefox-esr")
            .args(["--headless", "--marionette", "--no-remote", "--profile"])
            .arg(profile.path())
            // It writes to its user's home otherwise.
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, profile }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its processes may still write there.
        let _ = fs::remove_dir_all(self.profile.path());
    }
}

/// The browser writes its port into the profile.
fn connect(profile: &Path) -> TcpStream {
    let file = profile.join("MarionetteActivePort");
    let deadline = Instant::now() + WITHIN;
    loop {
        let port = fs::read_to_string(&file).unwrap_or_default();
        if let Ok(port) = port.parse::<u16>() {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(WITHIN)).unwrap();
            return stream;
        }
        assert!(Instant::now() < deadline, "Firefox does not start");
        thread::sleep(Duration::from_millis(50));
    }
}

const SETTINGS: &str = r#"user_pref("marionette.port", 0);
user_pref("browser.download.folderList", 2);
user_pref("browser.download.always_ask_before_handling_new_types", false);
user_pref("privacy.reduceTimerPrecision", false);
user_pref("intl.accept_languages", "en");
"#;

const CAPABILITIES: &str =
    r#"{"capabilities":{"alwaysMatch":{"timeouts":{"script":120000,"pageLoad":120000}}}}"#;

const IN_THE_PAGE: &str = "const [expression, done] = arguments; \
    addEventListener('evaluated', event => done(event.detail), { once: true }); \
    const script = document.createElement('script'); \
    script.textContent = `Promise.resolve(${expression}).then(value => \
    dispatchEvent(new CustomEvent('evaluated', { detail: String(value) })))`; \
    document.head.append(script); script.remove();";

/// How WebDriver names an element.
const ELEMENT: &str = r#""element-6066-11e4-a52e-4f735466cecf":""#;

const WITHIN: Duration = Duration::from_secs(120);
