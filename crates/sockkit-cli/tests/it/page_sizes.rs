//! The pages on a laptop, and on a phone held upright and sideways.

use std::{env, fs, path::Path};

use sockkit::testing::needs::{Need, met};

use crate::{
    browser::{Browser, Page},
    page_use::pages_for_files,
    sockkit,
};

#[test]
fn the_page_of_cam_fits_a_laptop_and_a_phone() {
    if !met("the page's sizes", &[Need::Program("chromium")]) {
        return;
    }
    let arguments = ["cam", "--source", "clip", "--web", "127.0.0.1:0"];
    let cam = sockkit(&arguments);
    let mut page = Page::open(&cam.line_after("watch     "));
    page.until("String(!!document.querySelector('.live'))", |there| {
        there == "true"
    });
    for (size, least) in SIZES.into_iter().zip([480, 260, 300]) {
        let name = format!("page-{}", size.name);
        let [_, high] = fits(&mut page, &name, size);
        assert!(high <= size.height, "{name} scrolls: {high}");
        let picture = page.evaluate(PICTURE_HEIGHT).parse::<u32>().unwrap();
        assert!(picture >= least, "{name}: a picture {picture} px high");
        keep(&mut page, &name);
    }
}

#[test]
fn the_pages_for_files_fit_a_laptop_and_a_phone() {
    if !met("the sizes of pages for files", &[Need::Program("chromium")]) {
        return;
    }
    let mut page = Page::blank();
    for (files, kind) in pages_for_files().iter().zip(["download", "upload"]) {
        page.go(&files.url);
        page.until(
            "String(!!document.querySelector('button, .button'))",
            |there| there == "true",
        );
        for size in SIZES {
            let name = format!("{kind}-{}", size.name);
            fits(&mut page, &name, size);
            keep(&mut page, &name);
        }
    }
}

/// Gives the page that size; returns how wide and high its contents are.
#[track_caller]
fn fits(page: &mut Page, name: &str, size: Size) -> [u32; 2] {
    page.resize(size.width, size.height);
    page.evaluate(SETTLED);
    let measured = page.evaluate(EXTENT);
    let numbers: Vec<u32> = measured.split(' ').map(|n| n.parse().unwrap()).collect();
    let [wide, high] = numbers[..] else {
        panic!("{measured}");
    };
    assert!(wide <= size.width, "{name} scrolls sideways: {wide}");
    [wide, high]
}

/// Takes a picture, for the documentation if it is asked for.
#[track_caller]
fn keep(page: &mut Page, name: &str) {
    let image = page.screenshot();
    let is_jpeg = image.starts_with(&[0xff, 0xd8]);
    assert!(is_jpeg && image.len() < 120_000, "{name}");
    if env::var_os("SOCKKIT_WRITE_DOCS").is_some() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
        fs::write(images.join(format!("{name}.jpg")), image).unwrap();
    }
}

/// Part of the names of the pictures in docs/images.
#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    width: u32,
    height: u32,
}

const SIZES: [Size; 3] = [
    Size {
        name: "laptop",
        width: 1366,
        height: 768,
    },
    Size {
        name: "upright",
        width: 390,
        height: 844,
    },
    Size {
        name: "sideways",
        width: 844,
        height: 390,
    },
];

/// The layout follows a new size with the next frame.
const SETTLED: &str = "new Promise(resolve => requestAnimationFrame(() => \
    requestAnimationFrame(() => resolve('settled'))))";

const EXTENT: &str = "[document.documentElement.scrollWidth, \
    document.documentElement.scrollHeight].join(' ')";

const PICTURE_HEIGHT: &str =
    "String(Math.round(document.querySelector('canvas').getBoundingClientRect().height))";
