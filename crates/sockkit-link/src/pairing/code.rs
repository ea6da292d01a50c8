//! The code that one user reads out and another types. Pure.

use std::{fmt, str::FromStr};

/// A number and two words, such as `7-coral-lamp`, or three words for many
/// peers, such as `coral-lamp-orbit`.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// use sockkit::link::pairing::Code;
///
/// let code: Code = " 7 Coral LAMP ".parse()?;
/// assert_eq!(code.to_string(), "7-coral-lamp");
/// assert!("7-coral-lmap".parse::<Code>().is_err());
/// # Ok::<(), sockkit::link::pairing::CodeError>(())
/// ```
///
/// Parsing ignores case and the separators. The number is public: it selects an
/// offer on the network. The words are the secret, so `Debug` omits them.
#[derive(Clone, Eq, PartialEq)]
pub struct Code {
    /// Zero if there is none.
    number: u16,
    words: Vec<&'static str>,
}

/// Text that is not a code.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It is neither a number and two words nor three words.
    #[error("not a code: write it like 7-coral-lamp, or as three words")]
    Form,
    /// A typing error: no code contains this word.
    #[error("no code has the word {word:?}{}", hint(.meant))]
    Word {
        /// The word that was typed.
        word: String,
        /// The word with the same first letters.
        meant: Option<&'static str>,
    },
}

fn hint(meant: &Option<&'static str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"))
}

impl Code {
    /// Draws a code from random bytes: a number and two words, or three words
    /// without a number.
    pub(crate) fn drawn(numbered: bool, random: &[u8; RANDOM_BYTES]) -> Self {
        let pairs = random.chunks_exact(2);
        let mut draws = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let mut draw = |below: u16| draws.next().expect("there are four") % below;
        let number = match numbered {
            true => 1 + draw(MAX_DRAWN_NUMBER),
            false => 0,
        };
        let count = if numbered { 2 } else { 3 };
        // 2,048 divides 65,536, so all words are equally likely.
        let list = words();
        let words = (0..count).map(|_| list[usize::from(draw(WORDS))]);
        Self {
            number,
            words: words.collect(),
        }
    }

    /// The offer on the network; `None` for a code of three words.
    pub fn number(&self) -> Option<u16> {
        (self.number != 0).then_some(self.number)
    }

    pub(crate) fn wire_number(&self) -> u16 {
        self.number
    }

    /// The words, which both sides prove to know.
    pub(crate) fn secret(&self) -> String {
        self.words.join("-")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let separates = |c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.' | ',');
        let parts: Vec<_> = text
            .split(separates)
            .filter(|part| !part.is_empty())
            .collect();
        if parts.len() != 3 {
            return Err(CodeError::Form);
        }
        let is_number = parts[0].bytes().all(|byte| byte.is_ascii_digit());
        let number = match is_number {
            true => parts[0].parse().ok().filter(|&number| number > 0),
            false => Some(0),
        };
        let secret = &parts[usize::from(is_number)..];
        let words = secret.iter().map(|part| word(part));
        Ok(Self {
            number: number.ok_or(CodeError::Form)?,
            words: words.collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.write_str(&self.secret()),
            number => write!(f, "{number}-{}", self.secret()),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}, …)", self.number)
    }
}

fn word(typed: &str) -> Result<&'static str, CodeError> {
    let list = words();
    let lower = typed.to_lowercase();
    let found = list.binary_search(&lower.as_str());
    found.map(|at| list[at]).map_err(|_| {
        // No two words share their first four letters.
        let start: String = lower.chars().take(4).collect();
        let begins = |word: &&&str| start.chars().count() >= 3 && word.starts_with(&start);
        CodeError::Word {
            word: typed.chars().take(MAX_SHOWN).collect(),
            meant: list.iter().find(begins).copied(),
        }
    })
}

/// Sorted.
fn words() -> &'static [&'static str] {
    static LIST: std::sync::LazyLock<Vec<&str>> =
        std::sync::LazyLock::new(|| include_str!("words.txt").lines().collect());
    &LIST
}

const WORDS: u16 = 2_048;

/// Short to say; a network has few offers.
const MAX_DRAWN_NUMBER: u16 = 99;

/// A number, and at most three words.
pub(crate) const RANDOM_BYTES: usize = 8;

const MAX_SHOWN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        let list = words();
        assert_eq!(list.len(), usize::from(WORDS));
        assert!(list.is_sorted_by(|a, b| a < b));
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(list.iter().all(plain));
        // What the hint for a slip builds on.
        let mut starts: Vec<_> = list.iter().map(|word| &word[..word.len().min(4)]).collect();
        starts.dedup();
        assert_eq!(starts.len(), list.len());
    }

    #[test]
    fn what_is_drawn_is_read_back() {
        for seed in 0..=u8::MAX {
            let random: [u8; RANDOM_BYTES] =
                std::array::from_fn(|at| (usize::from(seed) * 31 + at * 77).to_le_bytes()[0]);
            for numbered in [true, false] {
                let code = Code::drawn(numbered, &random);
                assert_eq!(code.number().is_some(), numbered);
                assert!(code.wire_number() <= MAX_DRAWN_NUMBER);
                assert_eq!(code.to_string().parse(), Ok(code));
            }
        }
    }

    #[test]
    fn all_words_are_drawn() {
        let mut drawn = std::collections::HashSet::new();
        for draw in 0..WORDS {
            let [high, low] = draw.to_be_bytes();
            let code = Code::drawn(false, &[high, low, 0, 0, 0, 0, 0, 0]);
            drawn.insert(code.words[0]);
        }
        assert_eq!(drawn.len(), usize::from(WORDS));
    }

    #[test]
    fn case_spaces_and_hyphens_do_not_matter() {
        let code: Code = "7-coral-lamp".parse().unwrap();
        for text in [
            "7 coral lamp",
            "  7-Coral-LAMP\n",
            "7--coral - lamp",
            "07.coral,lamp",
        ] {
            assert_eq!(text.parse(), Ok(code.clone()), "{text}");
        }
        assert_eq!(code.secret(), "coral-lamp");
        assert_eq!(code.number(), Some(7));
    }

    #[test]
    fn what_cannot_have_been_shown_is_refused() {
        for text in [
            "",
            "7",
            "7-coral",
            "coral-lamp",
            "0-coral-lamp",
            "65536-coral-lamp",
            "7-coral-lamp-orbit",
            "7-7-lamp",
            "٧-coral-lamp",
        ] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
        let error = "7-cora-lamp".parse::<Code>().unwrap_err().to_string();
        assert!(error.contains(r#"did you mean "coral"?"#), "{error}");
        let error = "7-xxxxxxx-lamp".parse::<Code>().unwrap_err().to_string();
        assert!(!error.contains("mean"), "{error}");
    }

    #[test]
    fn debug_keeps_the_secret() {
        let shown = format!("{:?}", "7-coral-lamp".parse::<Code>().unwrap());
        assert!(shown.contains('7') && !shown.contains("coral"), "{shown}");
    }
}
