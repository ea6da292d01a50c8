//! The share of messages that survive, by loss and parity, as a picture.

use std::{fmt::Write as _, fs, path::Path};

use sockkit_codec::shard::Parity;
use sockkit_testing::sim::{LinkConfig, Loss, LossModel};

use crate::shard_link::{LINK_SEED, Run};

#[test]
#[ignore = "draws docs/images/shard-loss.svg"]
fn draw_the_curve() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images/shard-loss.svg");
    fs::write(path, svg()).unwrap();
}

/// The curve counts losses, for a million messages a point; this shows that the
/// codec itself does exactly what the count says.
#[test]
fn the_codec_does_what_the_curve_counts() {
    for (model, parity) in [
        (LossModel::independent(0.1), Parity::percent(20)),
        (LossModel::bursts(0.05, 3.0), Parity::percent(20)),
    ] {
        let config = LinkConfig::default().loss(model);
        let run = Run::new(config, MESSAGE_BYTES, parity, 500);
        assert!(run.lost() > 0);
        assert_eq!(run.lost(), count_lost(model, parity, 500));
    }
}

/// How many messages lose more shards than they have parity shards.
fn count_lost(model: LossModel, parity: Parity, messages: u64) -> u64 {
    let parity = parity.shards(DATA_SHARDS);
    let mut loss = Loss::new(model, LINK_SEED);
    let mut is_lost = || (0..DATA_SHARDS + parity).filter(|_| loss.drops()).count() > parity;
    (0..messages).map(|_| u64::from(is_lost())).sum()
}

fn svg() -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">Messages of 60 KB lost, by loss of \
         datagrams and parity</text>\n"
    );
    draw_axes(&mut svg);
    for (place, (name, parity, colour)) in curves().into_iter().enumerate() {
        draw_curve(&mut svg, colour, "", |share| {
            share_lost(LossModel::independent(share), parity)
        });
        draw_curve(&mut svg, colour, " stroke-dasharray=\"5 4\"", |share| {
            share_lost(LossModel::bursts(share, 3.0), parity)
        });
        let y = 60.0 + 20.0 * place as f64;
        label(&mut svg, y, colour, "", name);
    }
    label(&mut svg, 190.0, "black", "", "independent losses");
    let dashes = " stroke-dasharray=\"5 4\"";
    label(&mut svg, 210.0, "black", dashes, "bursts of 3 on average");
    svg + "</svg>\n"
}

fn curves() -> [(&'static str, Parity, &'static str); 5] {
    [
        ("no parity", Parity::NONE, "#555555"),
        (
            "for_loss(0.05, 1e-4): 26 %",
            Parity::for_loss(0.05, 1e-4),
            "#1f77b4",
        ),
        (
            "for_loss(0.05, 1e-6): 33 %",
            Parity::for_loss(0.05, 1e-6),
            "#2ca02c",
        ),
        ("percent(50): 53 %", Parity::percent(50), "#d95f02"),
        ("percent(100): 105 %", Parity::percent(100), "#7b3294"),
    ]
}

fn share_lost(model: LossModel, parity: Parity) -> f64 {
    count_lost(model, parity, MESSAGES) as f64 / MESSAGES as f64
}

fn draw_axes(svg: &mut String) {
    for percent in (0..=20).step_by(2) {
        let at = x(f64::from(percent) / 100.0);
        let bottom = y(FLOOR);
        line(svg, (at, y(1.0)), (at, bottom), "#dddddd");
        text(svg, (at, bottom + 18.0), "middle", &format!("{percent} %"));
    }
    for exponent in -6..=0 {
        let share = 10.0_f64.powi(exponent);
        line(svg, (x(0.0), y(share)), (x(0.2), y(share)), "#dddddd");
        let name = if exponent == 0 {
            "all".to_owned()
        } else {
            format!("1e{exponent}")
        };
        text(svg, (x(0.0) - 8.0, y(share) + 4.0), "end", &name);
    }
    text(
        svg,
        (x(0.1), HEIGHT - 14.0),
        "middle",
        "share of datagrams lost",
    );
}

/// One point a percent; those without a lost message are below the picture.
fn draw_curve(svg: &mut String, colour: &str, style: &str, share_lost: impl Fn(f64) -> f64) {
    let mut points = String::new();
    for percent in 0..=20 {
        let share = f64::from(percent) / 100.0;
        let lost = share_lost(share);
        if lost > 0.0 {
            write!(points, "{:.1},{:.1} ", x(share), y(lost)).unwrap();
        }
    }
    writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{style}/>"
    )
    .unwrap();
}

fn label(svg: &mut String, y: f64, colour: &str, style: &str, name: &str) {
    let left = x(0.2) + 20.0;
    writeln!(
        svg,
        "<path d=\"M{left} {y}h30\" stroke=\"{colour}\" stroke-width=\"2\"{style}/>"
    )
    .unwrap();
    text(svg, (left + 38.0, y + 4.0), "start", name);
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    writeln!(
        svg,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    )
    .unwrap();
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>",
        at.0, at.1
    )
    .unwrap();
}

fn x(share: f64) -> f64 {
    LEFT + share / 0.2 * 440.0
}

fn y(share: f64) -> f64 {
    40.0 + share.log10() / FLOOR.log10() * 340.0
}

const MESSAGE_BYTES: usize = 60_000;
/// Of 1,364 bytes each.
const DATA_SHARDS: usize = 44;
const MESSAGES: u64 = 1_000_000;
const FLOOR: f64 = 1e-6;
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 60.0;
