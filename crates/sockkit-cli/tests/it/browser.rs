//! A headless Chromium, driven over its debugging pipe, and what tests do with any browser.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// What tests do with the page in a browser.
pub(crate) trait Browser {
    /// Runs `script`, which must come to a string without quotes in it.
    fn evaluate(&mut self, script: &str) -> String;

    /// Chooses files in the input that `selector` finds.
    fn choose(&mut self, selector: &str, paths: &[&Path]);

    /// Loads the page again. Scripts that ran before are gone when this returns.
    fn reload(&mut self);

    /// Waits until `script` comes to what is `enough`.
    #[track_caller]
    fn until(&mut self, script: &str, enough: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.evaluate(script);
            if enough(&found) {
                return;
            }
            assert!(Instant::now() < deadline, "{script}: {found}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A page in a browser. The browser is killed when dropped.
#[derive(Debug)]
pub(crate) struct Page {
    child: Child,
    input: ChildStdin,
    messages: Receiver<String>,
    last_id: u32,
    session: String,
    /// What the page has asked for, once it is recorded.
    requests: Vec<String>,
    _profile: TempDir,
}

impl Page {
    /// Opens `url` in a browser of its own.
    pub(crate) fn open(url: &str) -> Self {
        let mut page = Self::blank();
        page.go(url);
        page
    }

    /// Opens an empty page in a browser of its own.
    pub(crate) fn blank() -> Self {
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
            requests: Vec::new(),
            _profile: profile,
        };
        let target = page.call("Target.createTarget", r#"{"url":"about:blank"}"#);
        let target = field(&target, "targetId");
        let attach = format!(r#"{{"targetId":"{target}","flatten":true}}"#);
        let attached = page.call("Target.attachToTarget", &attach);
        page.session = format!(r#","sessionId":"{}""#, field(&attached, "sessionId"));
        page
    }

    /// Returns when the new page is loaded.
    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", &format!(r#"{{"url":"{url}"}}"#));
        self.until("document.readyState", |state| state == "complete");
    }

    /// Records the URL of everything that is asked for from now on.
    pub(crate) fn record_requests(&mut self) {
        self.call("Network.enable", "{}");
    }

    /// What was asked for since it is recorded.
    pub(crate) fn requests(&mut self) -> &[String] {
        // What happened before its answer comes before it.
        self.evaluate("''");
        &self.requests
    }

    /// Saves downloads there.
    pub(crate) fn downloads_into(&mut self, folder: &Path) {
        let parameters = format!(r#"{{"behavior":"allow","downloadPath":{folder:?}}}"#);
        self.call("Page.setDownloadBehavior", &parameters);
    }

    /// What a screen reader would find without a name, with its role.
    pub(crate) fn nameless(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", "{}");
        let nodes = tree.split(r#"{"nodeId":""#).skip(1);
        let uses = |node: &&str| {
            let has = |role| node.contains(&format!(r#""value":"{role}"}},"chromeRole""#));
            node.contains(r#""ignored":false"#) && NAMED_ROLES.iter().any(has)
        };
        let named = r#""name":{"type":"computedString","value":""#;
        let is_nameless = |node: &&str| {
            let name = node.split_once(named).map_or("", |(_, rest)| rest);
            name.starts_with('"') || name.is_empty()
        };
        let nodes: Vec<_> = nodes.filter(uses).collect();
        assert!(!nodes.is_empty(), "{tree}");
        let nameless = nodes.into_iter().filter(is_nameless);
        nameless.map(str::to_owned).collect()
    }

    /// Gives the page a part of the CPU's time.
    #[cfg(target_os = "linux")]
    pub(crate) fn throttle(&mut self, times: u32) {
        let rate = format!(r#"{{"rate":{times}}}"#);
        self.call("Emulation.setCPUThrottlingRate", &rate);
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
            if REQUESTS.iter().any(|event| message.starts_with(event)) {
                self.requests.push(field(&message, "url").to_owned());
            }
        }
    }
}

impl Browser for Page {
    fn evaluate(&mut self, script: &str) -> String {
        assert!(!script.contains(['"', '\\', '\n']), "would need an escape");
        let parameters =
            format!(r#"{{"expression":"{script}","awaitPromise":true,"returnByValue":true}}"#);
        let deadline = Instant::now() + WITHIN;
        loop {
            let answer = self.call("Runtime.evaluate", &parameters);
            // A page that is being loaded has none yet, or loses the one that it had.
            let is_loading = ["xecution context", "navigated or closed"]
                .iter()
                .any(|words| answer.contains(words));
            if !is_loading || Instant::now() > deadline {
                return field(&answer, "value").to_owned();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn choose(&mut self, selector: &str, paths: &[&Path]) {
        let expression = format!(r#"{{"expression":"document.querySelector('{selector}')"}}"#);
        let input = self.call("Runtime.evaluate", &expression);
        // An id in JSON, which stands in quotes and with escapes of its own.
        let id = input.split(r#""objectId":""#).nth(1).expect("there is one");
        let id = id.split('"').next().unwrap().to_owned();
        let paths: Vec<_> = paths.iter().map(|path| format!("{path:?}")).collect();
        let parameters = format!(r#"{{"files":[{}],"objectId":"{id}"}}"#, paths.join(","));
        self.call("DOM.setFileInputFiles", &parameters);
    }

    fn reload(&mut self) {
        self.evaluate("window.isOld = true; ''");
        self.call("Page.reload", "{}");
        while self.evaluate("window.isOld ? 'old' : document.readyState") != "complete" {
            thread::sleep(Duration::from_millis(20));
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

/// Events that tell of a request.
const REQUESTS: [&str; 2] = [
    r#"{"method":"Network.requestWillBeSent","#,
    r#"{"method":"Network.webSocketCreated","#,
];

/// Roles of the parts of a page that a user must be able to tell apart.
const NAMED_ROLES: [&str; 7] = [
    "button",
    "link",
    "image",
    "dialog",
    "progressbar",
    "textbox",
    "article",
];

/// On a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

const WITHIN: Duration = Duration::from_secs(60);
