//! The page on a laptop, and on a phone held upright and sideways.

use std::{
    env, fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use sockkit::testing::needs::{Need, met};

use crate::{browser::Page, sockkit};

#[test]
fn the_page_of_cam_fits_a_laptop_and_a_phone() {
    if !met("the page's sizes", &[Need::Program("chromium")]) {
        return;
    }
    let arguments = ["cam", "--source", "pattern", "--web", "127.0.0.1:0"];
    let cam = sockkit(&arguments);
    let mut page = Page::open(&cam.line_after("watch     "));
    // A script that waits would be lost when the page replaces the empty one.
    let deadline = Instant::now() + Duration::from_secs(60);
    while page.evaluate("String(!!document.querySelector('.live'))") != "true" {
        assert!(Instant::now() < deadline, "no picture is shown");
        sleep(Duration::from_millis(20));
    }
    for (name, width, height, least) in SIZES {
        page.resize(width, height);
        page.evaluate(SETTLED);
        let measured = page.evaluate(MEASURE);
        let numbers: Vec<u32> = measured.split(' ').map(|n| n.parse().unwrap()).collect();
        let [wide, high, picture] = numbers[..] else {
            panic!("{measured}");
        };
        assert!(
            wide <= width && high <= height,
            "{name} scrolls: {measured}"
        );
        assert!(picture >= least, "{name}: a picture {picture} px high");
        let image = page.screenshot();
        assert!(
            image.starts_with(&[0xff, 0xd8]) && image.len() < 120_000,
            "{name}"
        );
        if env::var_os("SOCKKIT_WRITE_DOCS").is_some() {
            let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
            fs::write(images.join(format!("{name}.jpg")), image).unwrap();
        }
    }
}

/// Name of the picture in docs/images, width and height in pixels, and the least height
/// of the picture that is shown.
const SIZES: [(&str, u32, u32, u32); 3] = [
    ("page-laptop", 1366, 768, 480),
    ("page-upright", 390, 844, 260),
    ("page-sideways", 844, 390, 300),
];

/// The layout follows a new size with the next frame.
const SETTLED: &str = "new Promise(resolve => requestAnimationFrame(() => \
    requestAnimationFrame(() => resolve('settled'))))";

const MEASURE: &str = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight, \
    Math.round(document.querySelector('canvas').getBoundingClientRect().height)].join(' ')";
