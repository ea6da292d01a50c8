//! JPEGs as other programs make them, beside what djpeg shows of them.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use fastrand::Rng;
use sockkit::{
    picture::{Picture, PictureError, PixelFormat, jpeg},
    testing::needs::{Need, met},
};

#[test]
fn a_tenth_of_the_jpegs_is_shown_as_djpeg_shows_it_or_refused() {
    check((0..JPEGS).step_by(10));
}

/// `cargo test -p sockkit --test it -- --ignored three_thousand_jpegs`
#[test]
#[ignore = "three thousand JPEGs by cjpeg and ImageMagick: a minute or two"]
fn three_thousand_jpegs_are_shown_as_djpeg_shows_them_or_refused() {
    check(0..JPEGS);
}

const JPEGS: u64 = 3_000;

fn check(seeds: impl Iterator<Item = u64>) {
    let needs = ["cjpeg", "djpeg", "convert"].map(Need::Program);
    if !met("JPEGs beside djpeg", &needs) {
        return;
    }
    let (mut shown, mut refused, mut faults) = (0_u32, 0_u32, String::new());
    for seed in seeds {
        let made = Made::by_seed(seed);
        match made.fault() {
            Ok(true) => shown += 1,
            Ok(false) => refused += 1,
            Err(fault) => writeln!(faults, "{seed}: {}: {fault}", made.how).unwrap(),
        }
    }
    assert_eq!(faults, "");
    // What cameras send is most of it.
    assert!(shown > refused / 2, "{shown} shown, {refused} refused");
}

/// A JPEG, and the command that made it.
struct Made {
    how: String,
    jpeg: Vec<u8>,
}

impl Made {
    /// Not all samplings can be had: those that the program refuses are drawn again.
    fn by_seed(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        loop {
            let pixels = pixels(&mut random);
            let (how, command) = match random.u8(..8) {
                0 => by_image_magick(&mut random),
                _ => by_cjpeg(&mut random),
            };
            if let Some(jpeg) = run(command, &pixels) {
                return Self { how, jpeg };
            }
        }
    }

    /// Whether it is shown, or refused with a reason; what is wrong otherwise.
    fn fault(&self) -> Result<bool, String> {
        let picture = Picture::from_jpeg(self.jpeg.clone()).map_err(|error| error.to_string())?;
        let gray = jpeg::decode_as(&picture, PixelFormat::Gray);
        let rgb = match picture.to_rgb() {
            Ok(rgb) => rgb,
            Err(error) => return reason(&error).map(|()| false),
        };
        let gray = gray.map_err(|error| error.to_string())?;
        let bgr = picture.convert(PixelFormat::Bgr);
        let again = bgr.and_then(|bgr| bgr.to_rgb());
        if again.map_err(|error| error.to_string())?.data() != rgb.data() {
            return Err("BGR is another picture".to_owned());
        }
        for (ours, options) in [(rgb, &["-pnm"][..]), (gray, &["-pnm", "-grayscale"])] {
            let mut djpeg = Command::new("djpeg");
            djpeg.args(options);
            // It makes no gray of CMYK.
            let Some(theirs) = run(djpeg, &self.jpeg) else {
                assert!(options.len() > 1, "djpeg refuses what is shown here");
                continue;
            };
            let fit = signal_to_noise(ours.data(), &body(&theirs, ours.data().len()));
            if fit < LEAST_DB {
                return Err(format!("{options:?}: {fit:.1} dB"));
            }
        }
        Ok(true)
    }
}

/// That the decoder panicked, or said nothing, is no reason.
fn reason(error: &PictureError) -> Result<(), String> {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let said = format!("{error}: {}", source.unwrap_or_default());
    match said.contains("decoder failed") || error.to_string().is_empty() {
        true => Err(said),
        false => Ok(()),
    }
}

const LEAST_DB: f64 = 35.0;

fn signal_to_noise(ours: &[u8], theirs: &[u8]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::NEG_INFINITY;
    }
    let pairs = ours.iter().zip(theirs);
    let noise: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (65_025.0 * ours.len() as f64 / noise as f64).log10()
}

/// What follows the three lines of a PNM's header, in so many bytes: each gray one for
/// three if it has to be.
fn body(pnm: &[u8], bytes: usize) -> Vec<u8> {
    let samples = pnm
        .splitn(4, |&byte| byte == b'\n')
        .nth(3)
        .unwrap_or_default();
    match samples.len() * 3 == bytes {
        true => samples.iter().flat_map(|&gray| [gray; 3]).collect(),
        false => samples.to_vec(),
    }
}

/// Waves and slopes: what a camera sees has few hard edges.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 8 to 248"
)]
fn pixels(random: &mut Rng) -> Vec<u8> {
    let (width, height) = (random.u32(1..=70), random.u32(1..=70));
    let waves: Vec<f64> = (0..6).map(|_| 0.02 + random.f64() * 0.5).collect();
    let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f64::from(x), f64::from(y));
            let wave = |at: usize| 60.0 * (waves[at] * x).sin() + 60.0 * (waves[at + 3] * y).cos();
            ppm.extend([0, 1, 2].map(|at| (128.0 + wave(at)) as u8));
        }
    }
    ppm
}

fn by_cjpeg(random: &mut Rng) -> (String, Command) {
    let mut arguments = vec!["-quality".to_owned(), random.u8(40..=98).to_string()];
    let components: usize = match random.u8(..8) {
        0 => {
            arguments.push("-grayscale".into());
            1
        }
        1 | 2 => {
            arguments.push("-rgb".into());
            3
        }
        _ => 3,
    };
    arguments.extend(["-sample".into(), sampling(random)]);
    if random.bool() {
        arguments.extend([
            "-restart".into(),
            (*random.choice(&["1", "3", "5B"]).unwrap()).into(),
        ]);
    }
    if random.u8(..16) == 0 {
        arguments.push("-arithmetic".into());
    }
    let script = match random.u8(..4) {
        0 => {
            arguments.push("-progressive".into());
            None
        }
        1 if components == 3 => random.choice(SCRIPTS).copied(),
        _ => None,
    };
    let how = format!("cjpeg {} {script:?}", arguments.join(" "));
    let mut command = Command::new("cjpeg");
    command.args(arguments);
    if let Some(script) = script {
        let file = std::env::temp_dir().join(format!("sockkit-scans-{}", script.len()));
        std::fs::write(&file, script).unwrap();
        command.arg("-scans").arg(file);
    }
    (how, command)
}

/// What webcams send, and all that the format allows.
fn sampling(random: &mut Rng) -> String {
    let usual = ["1x1", "2x1", "2x2", "1x2", "4x1"];
    let factors = |random: &mut Rng| format!("{}x{}", random.u8(1..=4), random.u8(1..=4));
    match random.bool() {
        true => format!("{},1x1,1x1", random.choice(usual).unwrap()),
        false => format!(
            "{},{},{}",
            factors(random),
            factors(random),
            factors(random)
        ),
    }
}

/// Sequential in several scans, and progressive in two ways.
const SCRIPTS: &[&str] = &[
    "0;1;2;",
    "0;1 2;",
    "0 1;2;",
    "2; 1; 0;",
    "0 1 2:0-0,0,0;0:1-63,0,0;1:1-63,0,0;2:1-63,0,0;",
    "0 1 2:0-0,0,1;0:1-63,0,2;1:1-63,0,0;2:1-63,0,0;0:1-63,2,1;0:1-63,1,0;0 1 2:0-0,1,0;",
];

fn by_image_magick(random: &mut Rng) -> (String, Command) {
    let colours = random.choice(["sRGB", "Gray", "CMYK"]).unwrap();
    let interlace = random.choice(["None", "Plane", "JPEG"]).unwrap();
    let factors = ["1x1", "2x1", "2x2", "1x2", "4x1", "2x2,1x1,2x1"];
    let arguments = [
        "ppm:-",
        "-colorspace",
        colours,
        "-sampling-factor",
        random.choice(factors).unwrap(),
        "-interlace",
        interlace,
        "-quality",
        random.choice(["50", "75", "92"]).unwrap(),
        "jpg:-",
    ];
    let mut command = Command::new("convert");
    command.args(arguments);
    (format!("convert {}", arguments.join(" ")), command)
}

/// What a program makes of its input; `None` if it refuses.
fn run(mut command: Command, input: &[u8]) -> Option<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    // So small that a pipe holds all of it.
    let _ = to.write_all(input);
    drop(to);
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}
