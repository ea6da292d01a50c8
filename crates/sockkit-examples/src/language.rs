//! The language of the programs: English, or Korean under `LANG=ko_KR.UTF-8`.

use std::env;

/// Whether the user's locale is Korean. `LC_ALL` and `LC_MESSAGES` come before `LANG`, as
/// in every program.
#[must_use]
pub fn is_korean() -> bool {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    is_korean_locale(set.filter_map(|name| env::var(name).ok()))
}

fn is_korean_locale(mut values: impl Iterator<Item = String>) -> bool {
    let first = values.find(|value| !value.is_empty());
    first.is_some_and(|locale| locale == "ko" || locale.starts_with("ko_"))
}

/// Prints a line in the user's language: `println!` with the text in English and in
/// Korean, and the arguments of both.
#[macro_export]
macro_rules! tell {
    ($english:literal, $korean:literal $(, $argument:expr)* $(,)?) => {
        match $crate::language::is_korean() {
            true => $crate::println!($korean $(, $argument)*),
            false => $crate::println!($english $(, $argument)*),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_decides() {
        let is_korean =
            |values: &[&str]| is_korean_locale(values.iter().copied().map(str::to_owned));
        assert!(is_korean(&["ko_KR.UTF-8"]));
        assert!(is_korean(&["", "ko_KR.UTF-8", "en_US.UTF-8"]));
        assert!(!is_korean(&["C", "ko_KR.UTF-8"]));
        assert!(!is_korean(&["kok_IN"]));
        assert!(!is_korean(&[]));
    }
}
