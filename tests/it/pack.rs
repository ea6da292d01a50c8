//! `pack` against CPython's own `struct`.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use fastrand::Rng;
use sockkit::{
    pack::{Format, FormatError, PackError, UnpackError, Value},
    testing::needs::{Need, met},
};

#[test]
fn results_and_errors_equal_cpython() {
    if !met(
        "results_and_errors_equal_cpython",
        &[Need::Program("python3")],
    ) {
        return;
    }
    let mut random = Rng::with_seed(20_261_123);
    let cases: Vec<_> = (0..60_000).map(|_| Case::random(&mut random)).collect();
    let answers = oracle(&cases);
    assert_eq!(answers.len(), cases.len(), "one answer a case");

    let mut accepted = 0;
    for (case, answer) in cases.iter().zip(&answers) {
        let ours = case.run().unwrap_or_else(|kind| format!("error {kind}"));
        assert_eq!(ours.trim_end(), answer.trim_end(), "{case:?}");
        accepted += usize::from(ours.starts_with("ok"));
    }
    // Mostly errors, or none, would test half of it.
    let share = accepted * 100 / cases.len();
    assert!((40..=90).contains(&share), "{share} % accepted");
}

#[derive(Debug)]
enum Case {
    Size(String),
    Pack(String, Vec<Value>),
    Unpack(String, Vec<u8>),
    IterUnpack(String, Vec<u8>),
}

impl Case {
    fn random(random: &mut Rng) -> Self {
        let format = random_format(random);
        if random.u8(..) < 8 {
            return Self::Size(garble(random, format));
        }
        let Ok(parsed) = Format::parse(&format) else {
            return Self::Size(format);
        };
        if random.bool() {
            let mut values: Vec<_> = parsed
                .fields()
                .map(|field| random_value(random, field.code))
                .collect();
            match random.u8(..40) {
                0 => values.push(Value::Int(0)),
                1 => drop(values.pop()),
                _ => {}
            }
            return Self::Pack(format, values);
        }
        let records = random.usize(..4);
        let iterate = random.bool();
        let mut length = parsed.size_bytes() * if iterate { records } else { 1 };
        match random.u8(..20) {
            0 => length += 1,
            1 => length = length.saturating_sub(1),
            _ => {}
        }
        let packed = random_packed(random, &parsed, length);
        if iterate {
            Self::IterUnpack(format, packed)
        } else {
            Self::Unpack(format, packed)
        }
    }

    /// What this crate makes of it, in the oracle's words.
    fn run(&self) -> Result<String, &'static str> {
        let parse = |format: &String| Format::parse(format).map_err(|error| format_kind(&error));
        Ok(match self {
            Self::Size(format) => format!("ok {}", parse(format)?.size_bytes()),
            Self::Pack(format, values) => {
                let packed = parse(format)?
                    .pack(values)
                    .map_err(|error| pack_kind(&error))?;
                format!("ok {}", hex(&packed))
            }
            Self::Unpack(format, packed) => {
                let values = parse(format)?
                    .unpack(packed)
                    .map_err(|error| unpack_kind(&error))?;
                format!("ok {}", show_all(&values))
            }
            Self::IterUnpack(format, packed) => {
                let format = parse(format)?;
                let rows = format
                    .iter_unpack(packed)
                    .map_err(|error| unpack_kind(&error))?;
                let rows: Vec<_> = rows.map(|values| show_all(&values)).collect();
                format!("ok {}", rows.join(" ; "))
            }
        })
    }

    fn line(&self) -> String {
        match self {
            Self::Size(format) => format!("size {}\n", hex_or_empty(format)),
            Self::Pack(format, values) => {
                format!("pack {} {}\n", hex_or_empty(format), show_all(values))
            }
            Self::Unpack(format, packed) => {
                format!("unpack {} {}\n", hex_or_empty(format), hex(packed))
            }
            Self::IterUnpack(format, packed) => {
                format!("iter_unpack {} {}\n", hex_or_empty(format), hex(packed))
            }
        }
    }
}

/// Runs all cases through one Python.
fn oracle(cases: &[Case]) -> Vec<String> {
    let mut python = Command::new("python3")
        .args(["-c", include_str!("pack_oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = cases.iter().map(Case::line).collect();
    let mut input = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(str::to_owned).collect()
}

fn random_format(random: &mut Rng) -> String {
    const PREFIXES: [&str; 7] = ["", "@", "=", "<", ">", "!", "@ "];
    const CODES: &[u8] = b"xcbB?hHiIlLqQnNefdspP";
    let mut format = PREFIXES[random.usize(..PREFIXES.len())].to_owned();
    for _ in 0..random.usize(..7) {
        let code = char::from(*random.choice(CODES).unwrap());
        match random.u8(..10) {
            // `0p` is where CPython goes wrong: see the docs of `pack`.
            0 if code != 'p' => format.push('0'),
            1..=3 => write!(format, "{}", random.u16(1..6)).unwrap(),
            4 if matches!(code, 's' | 'p') => write!(format, "{}", random.u16(200..400)).unwrap(),
            5 => format.push(' '),
            _ => {}
        }
        format.push(code);
    }
    format
}

/// Puts something into a format that does not belong there, or not so large.
fn garble(random: &mut Rng, mut format: String) -> String {
    const WRONG: [&str; 10] = [
        "z",
        "<",
        "7",
        "\u{e9}",
        "3 ",
        "\t",
        "\0",
        "9223372036854775807",
        "9223372036854775808",
        "999999999999",
    ];
    let at = random.usize(..=format.len());
    if format.is_char_boundary(at) {
        format.insert_str(at, WRONG[random.usize(..WRONG.len())]);
    }
    format
}

fn random_value(random: &mut Rng, code: char) -> Value {
    if random.u8(..60) == 0 {
        let other = ['i', 'f', 's', '?'][random.usize(..4)];
        return random_value(random, other);
    }
    match code {
        'e' | 'f' | 'd' => random_float(random, code),
        '?' => Value::Bool(random.bool()),
        'c' if random.u8(..40) > 0 => vec![random.u8(..)].into(),
        'c' | 's' | 'p' => {
            let length = *random.choice(&[0, 1, 2, 3, 5, 254, 255, 256, 400]).unwrap();
            Value::Bytes((0..length).map(|_| random.u8(..)).collect())
        }
        _ => random_integer(random, code),
    }
}

fn random_integer(random: &mut Rng, code: char) -> Value {
    let bits = match code {
        'b' | 'B' => 8,
        'h' | 'H' => 16,
        'i' | 'I' => 32,
        'l' | 'L' if random.bool() => 32,
        _ => 64,
    };
    let (half, whole) = (1_i128 << (bits - 1), 1_i128 << bits);
    let unsigned = code.is_ascii_uppercase();
    // Mostly inside, with the edges and just past them.
    Value::Int(match random.u8(..24) {
        0 => *random
            .choice(&[-half - 1, -1, half, whole - 1, whole])
            .unwrap(),
        1 | 2 if unsigned => *random.choice(&[0, half, whole - 1]).unwrap(),
        1 | 2 => *random.choice(&[-half, -1, half - 1]).unwrap(),
        _ if unsigned => i128::from(random.u64(..)) & (whole - 1),
        _ => (i128::from(random.u64(..)) & (whole - 1)) - half,
    })
}

fn random_float(random: &mut Rng, code: char) -> Value {
    let number = match random.u8(..12) {
        0 => *random
            .choice(&[
                0.0,
                -0.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                65504.0,
                65519.99999,
                65520.0,
            ])
            .unwrap(),
        1 => *random
            .choice(&[
                f64::from(f32::MAX),
                3.4028235677973366e38,
                1e39,
                -1e39,
                1e-45,
                5e-324,
            ])
            .unwrap(),
        2 if code != 'e' => quiet_nan(random),
        2 => f64::NAN.copysign(random.f64() - 0.5),
        // Around ties of the half's eleven bits, where rounding twice shows.
        3..=5 => {
            let tie = f64::from(random.u16(1024..4096)) + 0.5;
            let nudge = *random.choice(&[0.0, 1e-12, -1e-12, 1e-7, -1e-7]).unwrap();
            let scale = f64::powi(2.0, random.i32(-38..6));
            (tie + nudge) * scale * if random.bool() { 1.0 } else { -1.0 }
        }
        6 => return Value::Int(i128::from(random.i64(..))),
        7 => return Value::Bool(random.bool()),
        8 => f64::from_bits(random.u64(..) & !(1 << 62)),
        _ => (random.f64() - 0.5) * f64::powi(10.0, random.i32(-8..6)),
    };
    Value::Float(number)
}

/// With a payload; quiet, because a cast makes it so.
fn quiet_nan(random: &mut Rng) -> f64 {
    f64::from_bits(random.u64(..) | 0x7ff8 << 48)
}

/// Random bytes, except that a half's NaN carries no payload: CPython drops it
/// up to some version and keeps it from then on. The same for a signalling `f`.
fn random_packed(random: &mut Rng, format: &Format, length: usize) -> Vec<u8> {
    let mut packed = vec![0; length];
    random.fill(&mut packed);
    if format.fields().any(|field| matches!(field.code, 'e' | 'f')) {
        // Never all ones in an exponent, wherever it lies.
        for byte in &mut packed {
            *byte &= 0xbb;
        }
    }
    packed
}

fn show_all(values: &[Value]) -> String {
    let shown: Vec<_> = values.iter().map(show).collect();
    shown.join(" ")
}

fn show(value: &Value) -> String {
    match value {
        Value::Int(number) => format!("int:{number}"),
        Value::Float(number) => format!("float:{:016x}", number.to_bits()),
        Value::Bool(truth) => format!("bool:{truth}"),
        Value::Bytes(bytes) => format!("bytes:{}", hex(bytes)),
        _ => unreachable!("no other values"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A field of a line is never empty: an empty format is a space, which is none.
fn hex_or_empty(format: &str) -> String {
    hex(if format.is_empty() {
        b" "
    } else {
        format.as_bytes()
    })
}

fn format_kind(error: &FormatError) -> &'static str {
    match error {
        FormatError::UnknownCode { .. } => "unknown-code",
        FormatError::CountWithoutCode { .. } => "count-without-code",
        FormatError::TooLarge { .. } => "too-large",
        _ => "unforeseen",
    }
}

fn pack_kind(error: &PackError) -> &'static str {
    match error {
        PackError::Count { .. } => "count",
        PackError::WrongType { .. } => "type",
        // CPython says the same of both when an integer is given for a float.
        PackError::IntOutOfRange { .. } | PackError::FloatOutOfRange { .. } => "range",
        _ => "unforeseen",
    }
}

fn unpack_kind(error: &UnpackError) -> &'static str {
    match error {
        UnpackError::Length { .. } => "length",
        UnpackError::NotWhole { .. } => "not-whole",
        UnpackError::EmptyRecord => "empty-record",
        _ => "unforeseen",
    }
}
