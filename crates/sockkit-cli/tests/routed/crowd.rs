//! A crowd at the second of two routers: what arrives, how late, and what it costs.

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
    testing::{lab::Lab, program::Program, usage},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, interval, timeout_at},
};

use crate::router::{router, start, wait_for_end_of_input};

#[test]
fn ten_viewers_are_served_by_one_message_to_the_router() {
    let Some(row) = watch("routed: ten viewers", 10, 14_000) else {
        return;
    };
    println!("{row:?}");
    // A busy machine drops some.
    assert!(row.fewest >= MESSAGES / 2, "{row:?}");
}

/// `cargo test --release -p sockkit-cli --features zenoh --test routed -- --ignored
/// two_hundred --nocapture` prints a table as that of `docs/performance.md`.
#[test]
#[ignore = "soak"]
fn two_hundred_viewers_see_99_of_100_pictures() {
    for bytes in [70_000, 1_000_000] {
        for viewers in [1, 10, 50, 200] {
            let Some(row) = watch("routed: two hundred viewers", viewers, bytes) else {
                return;
            };
            println!("{viewers} viewers, {bytes} bytes: {row:?}");
            assert!(bytes > 100_000 || row.fewest * 100 >= MESSAGES * 99);
        }
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Row {
    /// What the viewer got that got least, of [`MESSAGES`].
    fewest: usize,
    seen: String,
    /// CPU seconds, and the most memory in MiB.
    first_router: (f64, u64),
    second_router: (f64, u64),
}

/// A camera at the first router, and viewers at the second.
fn watch(test: &str, viewers: usize, bytes: usize) -> Option<Row> {
    let lab = Lab::new(test, 1, 1)?;
    let host = lab.host(0);
    let first = router(host, 7447, "[]");
    let second = router(host, 7448, "[\"tcp/127.0.0.1:7447\"]");
    let crowd = start(host, "crowd::viewers", &[(VIEWERS, &viewers.to_string())]);
    crowd.line_after("viewers are up");
    let camera = start(host, "crowd::camera", &[(BYTES, &bytes.to_string())]);
    camera.line_after("all sent");
    let seen = crowd.line_after("seen ");
    let cost = |router: &Program| {
        let cpu = usage::cpu_time(router.id()).unwrap().as_secs_f64();
        (cpu, usage::peak_bytes(router.id()).unwrap() >> 20)
    };
    Some(Row {
        fewest: seen.split(' ').next().unwrap().parse().unwrap(),
        seen,
        first_router: cost(&first),
        second_router: cost(&second),
    })
}

#[test]
#[ignore = "a process of the others"]
fn camera() {
    let Ok(bytes) = env::var(BYTES) else { return };
    Runtime::new().unwrap().block_on(async {
        let at = address(7447);
        let session = Session::open(&at, None).await.unwrap();
        let limits = Limits::default();
        let channel = Channel::publisher(&session, &at, Some(key()), &limits).await;
        let channel = channel.unwrap();
        let mut message = vec![0; bytes.parse().unwrap()];
        let mut ticks = interval(Duration::from_micros(33_333));
        // The first ones find the way: routers tell each other who wants what.
        for number in 0..WARM_UP + MESSAGES {
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
            "\nseen {} (worst), {} (median), {:.1} and {:.1} ms old (p50, p99)",
            seen[0],
            seen[seen.len() / 2],
            age(50),
            age(99)
        );
    });
    wait_for_end_of_input();
}

async fn subscribe() -> Channel {
    let at = address(7448);
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

fn address(port: u16) -> Address {
    format!("zenoh://127.0.0.1:{port}/porch").parse().unwrap()
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

const MESSAGES: usize = 300;
const WARM_UP: usize = 30;

const BYTES: &str = "SOCKKIT_TEST_BYTES";
const VIEWERS: &str = "SOCKKIT_TEST_VIEWERS";
