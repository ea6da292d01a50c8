//! A headless Chromium, driven over its debugging pipe.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A page in a browser. The browser is killed when dropped.
#[derive(Debug)]
pub(crate) struct Page {
    child: Child,
    input: ChildStdin,
    messages: Receiver<String>,
    last_id: u32,
    session: String,
    _profile: TempDir,
}

impl Page {
    /// Opens `url` in a browser of its own.
    pub(crate) fn open(url: &str) -> Self {
        let profile = TempDir::new().unwrap();
        let mut child = Command::new("sh")
            // The browser reads commands from descriptor 3 and answers on 4.
            .args([
                "-c",
                r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
                "sh",
            ])
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--remote-debugging-pipe", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = String::from_utf8_lossy(&message).into_owned();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut page = Self {
            input: child.stdin.take().unwrap(),
            child,
            messages,
            last_id: 0,
            session: String::new(),
            _profile: profile,
        };
        let target = page.call("Target.createTarget", &format!(r#"{{"url":"{url}"}}"#));
        let target = field(&target, "targetId");
        let attach = format!(r#"{{"targetId":"{target}","flatten":true}}"#);
        let attached = page.call("Target.attachToTarget", &attach);
        page.session = format!(r#","sessionId":"{}""#, field(&attached, "sessionId"));
        page
    }

    /// Runs `script`, which must come to a string without quotes in it.
    pub(crate) fn evaluate(&mut self, script: &str) -> String {
        assert!(!script.contains(['"', '\\', '\n']), "would need an escape");
        let parameters =
            format!(r#"{{"expression":"{script}","awaitPromise":true,"returnByValue":true}}"#);
        let deadline = Instant::now() + WITHIN;
        loop {
            let answer = self.call("Runtime.evaluate", &parameters);
            // A page that is being loaded has none yet.
            if !answer.contains("xecution context") || Instant::now() > deadline {
                return field(&answer, "value").to_owned();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Chooses files in the input that `selector` finds.
    pub(crate) fn choose(&mut self, selector: &str, paths: &[&Path]) {
        let expression = format!(r#"{{"expression":"document.querySelector('{selector}')"}}"#);
        let input = self.call("Runtime.evaluate", &expression);
        // An id in JSON, which stands in quotes and with escapes of its own.
        let id = input.split(r#""objectId":""#).nth(1).expect("there is one");
        let id = id.split('"').next().unwrap().to_owned();
        let paths: Vec<_> = paths.iter().map(|path| format!("{path:?}")).collect();
        let parameters = format!(r#"{{"files":[{}],"objectId":"{id}"}}"#, paths.join(","));
        self.call("DOM.setFileInputFiles", &parameters);
    }

    /// Saves downloads there.
    pub(crate) fn downloads_into(&mut self, folder: &Path) {
        let parameters = format!(r#"{{"behavior":"allow","downloadPath":{folder:?}}}"#);
        self.call("Page.setDownloadBehavior", &parameters);
    }

    /// Loads the page again. Scripts that ran before are gone when this returns.
    pub(crate) fn reload(&mut self) {
        self.evaluate("window.isOld = true; ''");
        self.call("Page.reload", "{}");
        while self.evaluate("window.isOld ? 'old' : document.readyState") != "complete" {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Gives the page this many pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let metrics = format!(
            r#"{{"width":{width},"height":{height},"deviceScaleFactor":1,"mobile":false}}"#
        );
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the page looks like, as JPEG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let answer = self.call(
            "Page.captureScreenshot",
            r#"{"format":"jpeg","quality":80}"#,
        );
        base64(field(&answer, "data"))
    }

    /// Sends a command and waits for its answer; events in between are dropped.
    fn call(&mut self, method: &str, parameters: &str) -> String {
        self.last_id += 1;
        let (id, session) = (self.last_id, &self.session);
        let command =
            format!(r#"{{"id":{id},"method":"{method}","params":{parameters}{session}}}"#);
        self.input.write_all(command.as_bytes()).unwrap();
        self.input.write_all(&[0]).unwrap();
        let answers = format!(r#"{{"id":{id},"#);
        loop {
            let message = self.messages.recv_timeout(WITHIN);
            let message = message.unwrap_or_else(|error| panic!("{command}: {error}"));
            if message.starts_with(&answers) {
                return message;
            }
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The string of that name in an answer.
#[track_caller]
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let start = format!(r#""{name}":""#);
    let (_, rest) = answer
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {answer}"));
    rest.split('"').next().unwrap()
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = (0..4).fold(0, |bits, at| {
            bits << 6 | u32::from(four.get(at).copied().unwrap_or_default())
        });
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes.into_iter().take(four.len() * 6 / 8)
    });
    bytes.collect()
}

const WITHIN: Duration = Duration::from_secs(60);
