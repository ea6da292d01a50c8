//! Amounts as users type them.

/// A number of bytes, or with K, M, G or T of powers of 1024; `KB` and `KiB` mean `K`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let unit = unit.trim_start().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B'));
    let unit = unit.map_or_else(
        || text[number.len()..].trim().to_ascii_uppercase(),
        str::to_owned,
    );
    let power = match unit.as_str() {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err("bytes are written 500, 10K, 10M, 10G or 10T".to_owned()),
    };
    let bytes = number.parse().ok();
    let bytes = bytes.and_then(|number: u64| number.checked_mul(1 << (10 * power)));
    bytes.ok_or_else(|| "not a number of bytes below 2^64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, is) in [
            ("0", 0),
            ("500", 500),
            ("500B", 500),
            ("10K", 10 << 10),
            ("10 MiB", 10 << 20),
            ("3gb", 3 << 30),
            ("1T", 1 << 40),
        ] {
            assert_eq!(bytes(text), Ok(is), "{text}");
        }
        for text in ["", "K", "10X", "-1", "1.5G", "99999999999T", "10KMB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
