//! The command at two sites and a hub.

use std::{fs, time::Instant};

use sockkit::{
    picture::{Picture, PixelFormat, jpeg::encode},
    testing::program::Program,
};

use crate::sites::{Capture, HUB, SITE_A, SITE_B, Sites, address, command, holds_jpeg, http_get};

#[test]
fn sealed_pictures_cross_two_routers_and_nothing_else_is_shown() {
    let test = "routed: sealed";
    let Some(sites) = Sites::new(test) else {
        return;
    };
    let capture = Capture::start(sites.host(HUB));
    let _cam = sites.cam(SITE_A, "site-a/porch", "porch.key");
    let view = sites.view(&["site-a/porch", "--key", "porch.key", "--stats"]);
    wait_for(&view, |line| figure(line, "received") >= 20);

    // At the hub, into which every host that reaches it can publish.
    let _plain = sites.cam(HUB, "site-a/porch", "");
    let _other = sites.cam(HUB, "site-a/porch", "other.key");
    let refused = wait_for(&view, |line| figure(line, "unopened") >= 20);
    let later = figure(&refused, "received") + 20;
    let line = wait_for(&view, |line| figure(line, "received") >= later);
    assert_eq!(figure(&line, "restarts"), 0, "{line}");
    let seen = capture.end();
    assert!(seen.len() > 100_000, "{} bytes", seen.len());
    let forged = holds_jpeg(&seen);
    assert!(forged, "the control: what is plain is read there");
}

#[test]
fn a_capture_at_the_router_holds_no_picture() {
    let test = "routed: capture";
    let Some(sites) = Sites::new(test) else {
        return;
    };
    for (key, is_read) in [("", true), ("porch.key", false)] {
        let capture = Capture::start(sites.host(HUB));
        let _cam = sites.cam(SITE_A, "porch", key);
        let view = match key {
            "" => sites.view(&["porch", "--plain", "--stats"]),
            key => sites.view(&["porch", "--key", key, "--stats"]),
        };
        wait_for(&view, |line| figure(line, "received") >= 20);
        let seen = capture.end();
        assert!(seen.len() > 100_000, "{} bytes", seen.len());
        assert_eq!(holds_jpeg(&seen), is_read, "{key:?}");
    }
}

#[test]
fn all_cameras_that_match_are_on_one_page() {
    let test = "routed: page";
    let Some(sites) = Sites::new(test) else {
        return;
    };
    let _porch = sites.cam(SITE_A, "site-a/porch", "porch.key");
    let _hall = sites.cam(HUB, "hub/hall", "porch.key");
    for (pattern, shown) in [
        ("site-a/*", &["site-a/porch"][..]),
        ("**", &["hub/hall", "site-a/porch"]),
    ] {
        let view = sites.view(&[pattern, "--key", "porch.key", "--web", "127.0.0.1:0"]);
        for name in shown {
            let watched = view.line_after("watching  zenoh://");
            assert!(watched.ends_with(name), "{watched}");
        }
        let page = view.line_after("watch     http://");
        let address = page.trim_end_matches('/');
        let state = sites.in_site_b(|| http_get(address, "/state"));
        for name in shown {
            assert!(state.contains(&name.replace('/', ".")), "{state}");
        }
    }
    let view = sites.view(&["**", "--key", "porch.key"]);
    let end = view.end();
    assert!(end.errors.contains("add --web"), "{end:?}");
}

#[test]
fn a_viewer_takes_another_router_when_its_own_is_killed() {
    let test = "routed: router killed";
    let Some(mut sites) = Sites::new(test) else {
        return;
    };
    let _cam = sites.cam(SITE_A, "porch", "porch.key");
    let two = format!(
        r#"{{ mode: "client", scouting: {{ multicast: {{ enabled: false }} }},
            connect: {{ endpoints: ["tcp/{}:7447", "tcp/{}:7447"],
                        retry: {{ period_init_ms: 100, period_max_ms: 1000 }} }} }}"#,
        address(SITE_B),
        address(HUB)
    );
    fs::write(sites.home.path().join("two.json5"), two).unwrap();
    let view = sites.program(
        SITE_B,
        &[
            "view",
            "zenoh:///porch",
            "--zenoh-config",
            "two.json5",
            "--key",
            "porch.key",
            "--stats",
        ],
    );
    let before = wait_for(&view, |line| figure(line, "received") >= 20);
    sites.routers.remove(usize::from(SITE_B)).kill();
    let killed = Instant::now();
    let later = figure(&before, "received") + 60;
    wait_for(&view, |line| figure(line, "received") >= later);
    println!(
        "60 pictures more, {:.1?} after the router was killed",
        killed.elapsed()
    );
}

#[test]
fn pictures_that_do_not_arrive_are_counted() {
    let test = "routed: counted";
    let Some(sites) = Sites::new(test) else {
        return;
    };
    let _cam = sites.cam(SITE_A, "porch", "porch.key");
    let options = ["porch", "--key", "porch.key", "--stats"];
    let (view, other) = (sites.view(&options), sites.view(&options));
    let before = wait_for(&view, |line| figure(line, "received") >= 20);
    view.freeze();
    let until = figure(&wait_for(&other, |_| true), "received") + 75;
    wait_for(&other, |line| figure(line, "received") >= until);
    view.thaw();
    let missed = |line: &str| figure(line, "lost") + figure(line, "late");
    let line = wait_for(&view, |line| missed(line) > missed(&before));
    println!("{line}");
}

#[test]
fn pictures_of_megabytes_are_shown_or_counted() {
    let test = "routed: megabytes";
    let Some(sites) = Sites::new(test) else {
        return;
    };
    for (name, pixels, bytes) in [("one", 720, 1_000_000), ("five", 1_600, 5_000_000)] {
        let file = format!("{name}.jpg");
        let jpeg = noise(pixels);
        assert!(jpeg.len() >= bytes, "{} bytes", jpeg.len());
        fs::write(sites.home.path().join(&file), jpeg).unwrap();
        let to = format!("zenoh://{}/{name}", address(SITE_A));
        let cam = ["--source", &file, "--rate", "10", "--key", "porch.key"];
        let cam = [&["cam", "--to", &to][..], &cam].concat();
        let _cam = sites.program(SITE_A, &cam);
        let view = sites.view(&[name, "--key", "porch.key", "--stats"]);
        let counted = |line: &str| ["received", "lost", "late"].map(|name| figure(line, name));
        let line = wait_for(&view, |line| counted(line).iter().sum::<u64>() >= 30);
        println!("{line}");
        assert!(figure(&line, "received") > 0, "{line}");
    }
}

/// A JPEG that nothing compresses.
fn noise(pixels: u32) -> Vec<u8> {
    let mut state = 1_u32;
    let values = (0..pixels * pixels * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let values: Vec<u8> = values.collect();
    let noise = Picture::new(PixelFormat::Rgb, pixels, pixels, values).unwrap();
    encode(&noise, 100).unwrap().data().to_vec()
}

#[test]
fn what_cannot_be_reached_is_said_in_one_line() {
    let sites = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (
            &["view", "zenoh://127.0.0.1:9/porch", "--plain"][..],
            "no router",
        ),
        (&["view", "zenoh:///porch", "--plain"], "names no router"),
        (&["view", "zenoh://127.0.0.1/porch"], "--key"),
        (
            &[
                "cam",
                "--source",
                "pattern",
                "--to",
                "zenoh://127.0.0.1/porch",
            ],
            "--key",
        ),
        (
            &["view", "zenoh://127.0.0.1/porch", "--plain", "--known"],
            "--plain",
        ),
    ] {
        let mut command = command(sites.path(), arguments);
        let end = Program::start(&mut command).end();
        assert!(!end.status.success(), "{arguments:?}");
        assert!(end.errors.contains(words), "{arguments:?}: {}", end.errors);
    }
}

/// The first line of `view --stats` of which that is true.
fn wait_for(view: &Program, is_it: impl Fn(&str) -> bool) -> String {
    loop {
        let line = view.line();
        if line.contains("received=") && is_it(&line) {
            return line;
        }
    }
}

fn figure(line: &str, name: &str) -> u64 {
    let mut figures = line.split(' ').filter_map(|word| word.split_once('='));
    let found = figures.find(|(known, _)| *known == name);
    found.unwrap().1.parse().unwrap()
}
