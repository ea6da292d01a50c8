//! How old what the page shows is, behind a fast link, and behind one that is slower than its
//! pictures: it pulls them.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, SystemTime},
};

use sockkit::{
    latest::{self, Publisher},
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::web::{WebServer, WebServerConfig, WebStream},
    source::pattern::{Stamp, paint},
    testing::{
        lab::{Host, Lab},
        needs::{Need, met},
        sim::LinkConfig,
    },
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    browser::{Browser, Page},
    firefox::Firefox,
    viewer::ages,
};

/// It measures that pictures queue, and later that they would not.
#[test]
fn a_page_pulls_while_the_link_is_slower_than_the_pictures() {
    let Some(bed) = Bed::new("the page behind a slow link") else {
        return;
    };
    // Pictures of 2 Mbit/s.
    bed.link(1_000_000);
    let mut page = bed.watch(Stream {
        noise: 42,
        ..Stream::new(5, 640, 480)
    });
    page.until("using", |found| found == "pull");
    page.until("link.textContent", |found| found == "connected, slow link");
    bed.link(100_000_000);
    page.until("using", |found| found == "stream");
    // It shows pictures either way.
    let live = "String(tiles.get('camera').root.classList.contains('live'))";
    page.until(live, |found| found == "true");
}

#[test]
fn a_hidden_tab_pulls() {
    let Some(bed) = Bed::new("the page in a hidden tab") else {
        return;
    };
    let mut page = bed.watch(Stream::new(5, 640, 480));
    page.until("using", |found| found == "stream");
    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange')); ''"
        )
    };
    page.evaluate(&hide(true));
    page.until("using", |found| found == "pull");
    page.evaluate(&hide(false));
    page.until("using", |found| found == "stream");
}

#[test]
#[ignore = "measurement"]
fn pictures_on_a_fast_link_are_6_ms_old() {
    let Some(bed) = Bed::new("ages on a fast link") else {
        return;
    };
    let p50_and_p99 = |stream| {
        let mut page = bed.watch(stream);
        drawn_ages(&mut page, "Chromium")
    };
    let vga = p50_and_p99(VGA);
    let hd = p50_and_p99(HD);
    let open = |url: &str| Firefox::open(url, Path::new("/nowhere"));
    for stream in [VGA, HD] {
        drawn_ages(&mut bed.watch_with(stream, open), "Firefox");
    }
    assert!(vga[0] <= 6.0 && vga[1] <= 15.0, "{vga:?}");
    assert!(hd[0] <= 10.0, "{hd:?}");
}

#[test]
#[ignore = "measurement"]
fn pictures_of_14_mbit_over_10_mbit_are_120_ms_old_at_most() {
    let Some(bed) = Bed::new("ages behind a slow link") else {
        return;
    };
    bed.link(10_000_000);
    let mut page = bed.watch(FAST);
    page.until("using", |found| found == "pull");
    within_120_ms(&mut page).unwrap();
}

#[test]
#[ignore = "soak"]
fn pictures_behind_a_slow_link_are_as_fresh_ten_minutes_later() {
    let Some(bed) = Bed::new("ages behind a slow link, for long") else {
        return;
    };
    bed.link(10_000_000);
    let mut page = bed.watch(FAST);
    page.until("using", |found| found == "pull");
    within_120_ms(&mut page).unwrap();
    sleep(Duration::from_secs(600));
    within_120_ms(&mut page).unwrap();
}

/// What the page shows on one core's worth of CPU for ten tabs.
#[test]
#[ignore = "measurement"]
fn pictures_in_a_throttled_tab_are_fresh() {
    let Some(bed) = Bed::new("ages in a throttled tab") else {
        return;
    };
    let mut page = bed.watch(FAST);
    page.until("using", |found| found == "stream");
    for times in [1, 4, 10, 20] {
        page.throttle(times);
        sleep(Duration::from_secs(5));
        let ages = ages(&mut page, "document.querySelector('canvas')");
        println!("CPU / {times}: {} {ages:.1?} ms", page.evaluate("using"));
    }
}

/// The same in Firefox, for comparison.
#[test]
#[ignore = "measurement"]
fn pictures_in_firefox() {
    let Some(bed) = Bed::new("ages in Firefox") else {
        return;
    };
    let open = |url: &str| Firefox::open(url, Path::new("/nowhere"));
    let mut page = bed.watch_with(FAST, open);
    let mut show = |what: &str| {
        let ages = ages(&mut page, "document.querySelector('canvas')");
        println!("{what}, {}: {ages:.1?} ms", page.evaluate("using"));
    };
    show("a fast link");
    bed.link(10_000_000);
    sleep(Duration::from_secs(20));
    show("10 Mbit/s");
}

/// Percentiles 50 and 99 of 500 pictures, in milliseconds, when the page has drawn each; reading
/// its pixels is included.
fn drawn_ages(page: &mut impl Browser, browser: &str) -> [f64; 2] {
    let shows = "String(document.querySelector('canvas')?.width > 300)";
    page.until(shows, |shows| shows == "true");
    let read = "new Promise(done => { const tile = tiles.get('camera'); const ages = []; \
         const draw = tile.draw; tile.draw = function(bitmap) { draw.call(this, bitmap); \
         const pixels = this.context.getImageData(0, 0, 256, 40).data; \
         const now = performance.timeOrigin + performance.now(); \
         const row = at => { let word = 0; for (let bit = 0; bit < 32; bit++) \
         word = 2 * word + (pixels[((8 * at + 4) * 256 + 8 * bit + 4) * 4 + 1] > 127 ? 1 : 0); \
         return word; }; \
         ages.push(now - (row(3) * 4294967296 + row(2)) / 1000); \
         if (ages.length === 550) { this.draw = draw; \
         done(ages.slice(50).map(age => age.toFixed(2)).join(' ')); } }; })";
    let text = page.evaluate(read);
    let mut ages: Vec<f64> = text.split(' ').map(|age| age.parse().unwrap()).collect();
    ages.sort_unstable_by(f64::total_cmp);
    let [p50, p90, p99] = [50, 90, 99].map(|percent| ages[ages.len() * percent / 100]);
    println!("{browser}: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1} ms");
    [p50, p99]
}

fn within_120_ms(page: &mut Page) -> Result<(), String> {
    let ages = ages(page, "document.querySelector('canvas')");
    println!("10 Mbit/s: p10, p50, p90 {ages:.1?} ms");
    if ages[1] <= 120.0 {
        return Ok(());
    }
    Err(format!("{ages:.1?} ms"))
}

/// 14 Mbit/s.
const FAST: Stream = Stream {
    noise: 50,
    ..Stream::new(27, 640, 480)
};

const VGA: Stream = Stream::new(25, 640, 480);
const HD: Stream = Stream::new(30, 1_280, 720);

/// The pattern, or with `noise` its stamp alone.
#[derive(Clone, Copy)]
struct Stream {
    rate_hz: u32,
    width_px: u32,
    height_px: u32,
    /// How far apart the gray values of neighbours are, below the stamp.
    noise: u8,
}

impl Stream {
    const fn new(rate_hz: u32, width_px: u32, height_px: u32) -> Self {
        Self {
            rate_hz,
            width_px,
            height_px,
            noise: 0,
        }
    }
}

/// A server on the first host, a browser on the second.
struct Bed {
    lab: Lab,
}

impl Bed {
    fn new(test: &str) -> Option<Self> {
        let needs = ["chromium", "tc", "nft", "ethtool"].map(Need::Program);
        if !met(test, &needs) {
            return None;
        }
        let lab = Lab::new(test, 2, 1)?;
        for host in 0..2 {
            lab.host(host).port(0).offloads_off();
        }
        Some(Self { lab })
    }

    fn server(&self) -> &Host {
        self.lab.host(0)
    }

    /// Limits the link to this, with a queue for a second at 8 Mbit/s.
    fn link(&self, bits_per_second: u64) {
        let config = LinkConfig::default()
            .rate(bits_per_second / 8)
            .queue_bytes(1_000_000);
        self.server().port(0).shape(&config).unwrap();
    }

    fn watch(&self, stream: Stream) -> Page {
        self.watch_with(stream, Page::open)
    }

    fn watch_with<B: Browser + Send>(
        &self,
        stream: Stream,
        open: impl FnOnce(&str) -> B + Send,
    ) -> B {
        let address = self.server().port(0).ipv4();
        let (bound, is_bound) = std::sync::mpsc::channel();
        // It ends with the test's process.
        self.server().spawn(async move || {
            let (camera, pictures) = latest::channel();
            let streams = [WebStream::new("camera", pictures)];
            let config = WebServerConfig::default();
            let server = WebServer::bind((address, 0).into(), config, streams).await;
            bound.send(server.as_ref().unwrap().local_addr()).unwrap();
            film(&camera, stream).await;
        });
        let url = format!("http://{}/", is_bound.recv().unwrap());
        let mut page = self.lab.host(1).run(|| open(&url));
        page.until("String(tiles.size)", |found| found == "1");
        page
    }
}

/// Publishes pictures for ever.
async fn film(camera: &Publisher<Picture>, stream: Stream) {
    let Stream {
        width_px,
        height_px,
        ..
    } = stream;
    let mut random = fastrand::Rng::with_seed(1);
    let below: Vec<u8> = match stream.noise {
        0 => Vec::new(),
        noise => (0..width_px * (height_px - STAMP_PX) * 3)
            .map(|_| 128 + random.u8(..noise))
            .collect(),
    };
    let painted_px = if below.is_empty() {
        height_px
    } else {
        STAMP_PX
    };
    let mut ticks = interval(Duration::from_secs(1) / stream.rate_hz);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 1.. {
        ticks.tick().await;
        let clock = Timestamp::from(SystemTime::now());
        let painted = paint(width_px, painted_px, Stamp { number, clock }).unwrap();
        let mut pixels = painted.into_data().to_vec();
        pixels.extend(&below);
        let raw = Picture::new(PixelFormat::Rgb, width_px, height_px, pixels).unwrap();
        let jpeg = jpeg::encode(&raw, 80).unwrap();
        if number == 10 {
            let bytes = jpeg.clone().into_data().len();
            let bits = bytes as u64 * 8 * u64::from(stream.rate_hz);
            let took = Timestamp::from(SystemTime::now()).saturating_since(clock);
            println!("{width_px} x {height_px}: {bytes} bytes made in {took:?}, {bits} bit/s");
        }
        camera.publish(jpeg.numbered(number).captured_at(clock));
    }
}

const STAMP_PX: u32 = 48;
