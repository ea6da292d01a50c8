//! A crowd at the second of two sites: what arrives, how late, and what it costs.

use std::{
    env,
    time::{Duration, SystemTime},
};

use sockkit::{
    link::{
        Address,
        channel::{Channel, Limits},
        sealing::Key,
        zenoh::Session,
    },
    shard::{MessageKind, Parity},
    testing::{program::Program, usage},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, interval, timeout_at},
};

use crate::{
    router::{start, wait_for_end_of_input},
    sites::{HUB, SITE_A, SITE_B, Sites, address},
};

#[test]
fn ten_viewers_are_served_by_one_message_to_the_router() {
    let Some(row) = watch("routed: ten viewers", &Crowd::of(10, 14_000)) else {
        return;
    };
    println!("{row:?}");
    // A busy machine drops some.
    assert!(row.fewest >= PICTURES / 2, "{row:?}");
}

/// `cargo test --release -p sockkit-cli --features zenoh --test routed -- --ignored
/// two_hundred --nocapture` prints a table as that of `docs/performance.md`.
#[test]
#[ignore = "soak"]
fn two_hundred_viewers_see_99_of_100_pictures() {
    for bytes in [70_000, 1_000_000] {
        for viewers in [1, 10, 50, 200] {
            let crowd = Crowd::of(viewers, bytes);
            let Some(row) = watch("routed: two hundred viewers", &crowd) else {
                return;
            };
            println!("{viewers} viewers, {bytes} bytes: {row:?}");
            if bytes > 100_000 {
                continue;
            }
            // The whole age: what the routers add is less.
            assert!(row.fewest * 100 >= PICTURES * 99, "{row:?}");
            assert!(row.p50_ms < INTERVAL_MS && row.p99_ms < 3.0 * INTERVAL_MS);
        }
    }
}

#[test]
#[ignore = "soak"]
fn a_viewer_stopped_for_thirty_seconds_is_not_felt() {
    let calm = Crowd {
        pictures: 3 * PICTURES,
        ..Crowd::of(50, 70_000)
    };
    let one_is_stopped = Crowd {
        one_is_stopped: true,
        ..calm
    };
    let test = "routed: one is stopped";
    let rows = [calm, one_is_stopped].map(|crowd| watch(test, &crowd));
    let [Some(calm), Some(stopped)] = rows else {
        return;
    };
    println!("{calm:?}\n{stopped:?}");
    assert!(stopped.p99_ms < calm.p99_ms + 10.0);
    assert!(stopped.at_b.mib < calm.at_b.mib + 16);
}

/// Who watches, and what.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    viewers: usize,
    /// Of each picture.
    bytes: usize,
    pictures: usize,
    /// One more viewer is stopped while the others watch.
    one_is_stopped: bool,
}

impl Crowd {
    fn of(viewers: usize, bytes: usize) -> Self {
        Self {
            viewers,
            bytes,
            pictures: PICTURES,
            one_is_stopped: false,
        }
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Row {
    /// What the viewer got that got least.
    fewest: usize,
    median: usize,
    /// Ages of all pictures at all viewers.
    p50_ms: f64,
    p99_ms: f64,
    at_a: Cost,
    at_hub: Cost,
    at_b: Cost,
}

/// Of a router, from its start.
#[derive(Debug)]
struct Cost {
    #[allow(dead_code, reason = "printed")]
    cpu_s: f64,
    /// Memory at its highest.
    mib: u64,
}

/// A camera at the first site, and viewers at the second.
fn watch(test: &str, crowd: &Crowd) -> Option<Row> {
    let sites = Sites::new(test)?;
    let viewers = |viewers: usize| {
        let viewers = [(VIEWERS, &viewers.to_string()[..])];
        let started = start(sites.host(SITE_B), "crowd::viewers", &viewers);
        started.line_after("viewers are up");
        started
    };
    let _stopped = crowd.one_is_stopped.then(|| {
        let one = viewers(1);
        one.freeze();
        one
    });
    let watching = viewers(crowd.viewers);
    let sent = [
        (BYTES, &crowd.bytes.to_string()[..]),
        (COUNT, &crowd.pictures.to_string()),
    ];
    let camera = start(sites.host(SITE_A), "crowd::camera", &sent);
    camera.line_after("all sent");
    let seen = watching.line_after("seen ");
    let seen: Vec<_> = seen.split(' ').collect();
    let [at_a, at_hub, at_b] = [SITE_A, HUB, SITE_B].map(|host| cost(sites.router(host)));
    Some(Row {
        fewest: seen[0].parse().unwrap(),
        median: seen[1].parse().unwrap(),
        p50_ms: seen[2].parse().unwrap(),
        p99_ms: seen[3].parse().unwrap(),
        at_a,
        at_hub,
        at_b,
    })
}

fn cost(router: &Program) -> Cost {
    Cost {
        cpu_s: usage::cpu_time(router.id()).unwrap().as_secs_f64(),
        mib: usage::peak_bytes(router.id()).unwrap() >> 20,
    }
}

#[test]
#[ignore = "a process of the others"]
fn camera() {
    let Ok(bytes) = env::var(BYTES) else { return };
    Runtime::new().unwrap().block_on(async {
        let at = porch(SITE_A);
        let session = Session::open(&at, None).await.unwrap();
        let limits = Limits::default();
        let channel = Channel::publisher(&session, &at, Some(key()), &limits).await;
        let channel = channel.unwrap();
        let mut message = vec![0; bytes.parse().unwrap()];
        let pictures: usize = env::var(COUNT).unwrap().parse().unwrap();
        let mut ticks = interval(Duration::from_secs_f64(INTERVAL_MS / 1_000.0));
        // The first ones find the way: routers tell each other who wants what.
        for number in 0..WARM_UP + pictures {
            ticks.tick().await;
            message[..8].copy_from_slice(&micros().to_be_bytes());
            message[8] = u8::from(number >= WARM_UP);
            let parts = [message.clone().into()];
            let sent = channel.send(MessageKind(1), &parts, Parity::NONE).await;
            sent.unwrap();
        }
        println!("\nall sent");
    });
    wait_for_end_of_input();
}

#[test]
#[ignore = "a process of the others"]
fn viewers() {
    let Ok(viewers) = env::var(VIEWERS) else {
        return;
    };
    Runtime::new().unwrap().block_on(async {
        let mut all = Vec::new();
        for _ in 0..viewers.parse().unwrap() {
            all.push(tokio::spawn(view(subscribe().await)));
        }
        println!("\nviewers are up");
        let (mut seen, mut ages) = (Vec::new(), Vec::new());
        for one in all {
            let one = one.await.unwrap();
            seen.push(one.len());
            ages.extend(one);
        }
        seen.sort_unstable();
        ages.sort_unstable();
        let age = |percent: usize| ages[(ages.len() - 1) * percent / 100] as f64 / 1_000.0;
        println!(
            "\nseen {} {} {:.1} {:.1}",
            seen[0],
            seen[seen.len() / 2],
            age(50),
            age(99)
        );
    });
    wait_for_end_of_input();
}

async fn subscribe() -> Channel {
    let at = porch(SITE_B);
    let session = Session::open(&at, None).await.unwrap();
    let limits = Limits::default();
    let channel = Channel::subscriber(&session, &at, Some(key()), &limits).await;
    channel.unwrap()
}

/// The ages of the messages, in microseconds, until none comes for three seconds.
async fn view(mut channel: Channel) -> Vec<u64> {
    let mut ages = Vec::new();
    let mut until = Instant::now() + Duration::from_secs(60);
    while let Ok(message) = timeout_at(until, channel.recv()).await {
        let bytes = message.unwrap().bytes;
        until = Instant::now() + Duration::from_secs(3);
        let (sent, counts) = (bytes.first_chunk().unwrap(), bytes[8] == 1);
        if counts {
            ages.push(micros().saturating_sub(u64::from_be_bytes(*sent)));
        }
    }
    ages
}

/// By the router of that site.
fn porch(site: u8) -> Address {
    format!("zenoh://{}/porch", address(site)).parse().unwrap()
}

fn key() -> Key {
    Key::new(&[7; 32])
}

fn micros() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    u64::try_from(now.as_micros()).unwrap()
}

const PICTURES: usize = 300;
const INTERVAL_MS: f64 = 1_000.0 / 30.0;
const WARM_UP: usize = 30;

const COUNT: &str = "SOCKKIT_TEST_PICTURES";
const BYTES: &str = "SOCKKIT_TEST_BYTES";
const VIEWERS: &str = "SOCKKIT_TEST_VIEWERS";
