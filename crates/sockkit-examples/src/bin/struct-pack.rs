//! The course's `struct` module as a program: prints packed bytes in
//! hexadecimal, or the contents of packed bytes.
//!
//! Unlike Python, an error names the code, its position in the format, and the
//! value that does not fit.

use anyhow::{Context, bail, ensure};
use clap::Parser;
use sockkit::pack::{Format, Value};
use sockkit_examples::{failure::Failure, println};

/// The course's struct module: packs values as Python does, struct-pack '>IH' 1 2
#[derive(Parser)]
struct Args {
    /// A format such as '>IH', '4sl' or '@B'
    #[arg(value_name = "FORMAT")]
    format: Format,
    /// Numbers, true or false for `?`, text for `c`, `s` and `p`; negative numbers
    /// after `--`
    #[arg(value_name = "VALUE", conflicts_with = "unpack")]
    values: Vec<String>,
    /// Unpack these bytes instead, one value per line
    #[arg(long, value_name = "HEX")]
    unpack: Option<String>,
}

fn main() -> Result<(), Failure> {
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

/// Parses each text as the type of its code.
fn values(format: &Format, texts: &[String]) -> anyhow::Result<Vec<Value>> {
    // Checked before the codes: a format may have more values than fit into
    // memory.
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
