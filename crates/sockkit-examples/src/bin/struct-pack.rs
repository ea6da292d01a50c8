//! The course's `struct` module as a program: prints packed bytes as hex, and
//! what packed bytes hold.
//!
//! What it does beyond the notes: an error names the code, its place in the
//! format, and the value that does not fit.

use anyhow::{Context, bail, ensure};
use clap::Parser;
use sockkit::pack::{Format, Value};

/// The course's struct module: packs values as Python does, struct-pack '>IH' 1 2
#[derive(Parser)]
struct Args {
    /// A format such as '>IH', '4sl' or '@B'
    #[arg(value_name = "FORMAT")]
    format: Format,
    /// Numbers, true or false for `?`, text for `c`, `s` and `p`; after `--`
    /// they may be negative
    #[arg(value_name = "VALUE", conflicts_with = "unpack")]
    values: Vec<String>,
    /// Print what these bytes hold instead, a value a line
    #[arg(long, value_name = "HEX")]
    unpack: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(hex) = args.unpack {
        for value in args.format.unpack(&from_hex(&hex)?)? {
            println!("{value}");
        }
        return Ok(());
    }
    let packed = args.format.pack(&values(&args.format, &args.values)?)?;
    println!("{}", to_hex(&packed));
    Ok(())
}

/// Reads each text as what its code packs.
fn values(format: &Format, texts: &[String]) -> anyhow::Result<Vec<Value>> {
    // Before the codes: a format may have more of them than memory has room for.
    ensure!(
        texts.len() == format.value_count(),
        "format takes {} values, got {}",
        format.value_count(),
        texts.len()
    );
    let fields = format.fields().zip(texts);
    fields
        .map(|(field, text)| value(field.code, text).with_context(|| field.to_string()))
        .collect()
}

fn value(code: char, text: &str) -> anyhow::Result<Value> {
    Ok(match code {
        'c' | 's' | 'p' => text.into(),
        '?' => text
            .parse::<bool>()
            .with_context(|| format!("{text:?} is neither true nor false"))?
            .into(),
        'e' | 'f' | 'd' => text
            .parse::<f64>()
            .with_context(|| format!("{text:?} is no number"))?
            .into(),
        _ => text
            .parse::<i128>()
            .with_context(|| format!("{text:?} is no integer"))?
            .into(),
    })
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = text.chars().map(|digit| {
        let value = digit
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok());
        value.with_context(|| format!("{digit:?} is no hexadecimal digit"))
    });
    let digits: Vec<u8> = digits.collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        bail!("{} hexadecimal digits: a byte has two", digits.len());
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
