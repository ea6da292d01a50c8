//! Shows the user what would be written or sent, and asks.
//!
//! All text from the peer is escaped. Risky entries come first and are never
//! omitted: if they do not fit, a plain `y` is not enough.

mod keyboard;
mod offer;
mod request;
mod risk;

use std::io::{self, IsTerminal};

use anyhow::ensure;

pub(crate) use self::{offer::OfferView, request::Request};
use crate::say::tell;

/// A question on the terminal, and the answer that counts as yes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Question {
    text: &'static str,
    /// Number of files, to be typed as confirmation if not all of them could be
    /// listed.
    confirm: Option<usize>,
}

impl Question {
    /// Asks. Any answer other than yes counts as no, including the end of
    /// input. Input typed before the question is discarded.
    ///
    /// # Cancel safety
    /// Cancel safe; input typed later remains for the next question.
    pub(crate) async fn ask(&self) -> anyhow::Result<bool> {
        let hint = match self.confirm {
            None => "[y/N]".to_owned(),
            Some(count) => format!("not all could be listed: type {count} to accept [{count}/N]"),
        };
        let answer = keyboard::ask(&format!("{} {hint} ", self.text)).await?;
        Ok(self.is_yes(&answer))
    }

    fn is_yes(&self, answer: &str) -> bool {
        let answer = answer.trim().to_ascii_lowercase();
        match self.confirm {
            None => matches!(
                answer.as_str(),
                // The last two are y and yes on a Korean keyboard.
                "y" | "yes" | "예" | "네" | "ㅛ" | "ㅛㄷㄴ"
            ),
            Some(count) => answer == count.to_string(),
        }
    }
}

/// # Errors
/// Fails if a question would be needed and there is no terminal.
pub(crate) fn can_ask(yes: bool) -> anyhow::Result<()> {
    ensure!(
        yes || io::stdin().is_terminal(),
        "standard input is not a terminal, so the user cannot be asked; use --yes to accept without asking"
    );
    Ok(())
}

/// Waits for a line.
///
/// # Errors
/// If there is no terminal.
pub(crate) async fn enter(text: &str) -> anyhow::Result<()> {
    keyboard::ask(text).await.map(|_line| ())
}

/// Width of the terminal, in columns.
fn columns() -> usize {
    #[cfg(unix)]
    let of_terminal = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    #[cfg(windows)]
    let of_terminal = sockkit::console::columns().unwrap_or(0);
    match of_terminal {
        MIN_COLUMNS.. => of_terminal.into(),
        _ => COLUMNS,
    }
}

fn print(lines: &[String]) {
    for line in lines {
        tell!("{line}");
    }
}

/// Shortens escaped text to this many columns. The middle is omitted, because a
/// name's extension shows its type.
fn fit(text: &str, columns: usize) -> String {
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let half = columns.saturating_sub(1) / 2;
    let head = within(text.chars(), half);
    let tail: String = within(text.chars().rev(), half).chars().rev().collect();
    format!("{head}…{tail}")
}

fn within(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    characters
        .take_while(|character| {
            let fits = width(*character) <= left;
            left = left.saturating_sub(width(*character));
            fits
        })
        .collect()
}

/// An upper bound. The first wide characters are Hangul.
fn width(character: char) -> usize {
    if character < '\u{1100}' { 1 } else { 2 }
}

/// Width without a terminal.
const COLUMNS: usize = 100;

/// With fewer columns, names could not be distinguished.
const MIN_COLUMNS: u16 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_a_yes_and_a_number_where_not_all_was_listed() {
        let plain = Question {
            text: "?",
            confirm: None,
        };
        for (answer, yes) in [
            ("y\n", true),
            ("YES", true),
            ("예", true),
            ("ㅛ\n", true),
            ("ㅛㄷㄴ", true),
            ("", false),
            ("yo", false),
            ("ㅜ", false),
        ] {
            assert_eq!(plain.is_yes(answer), yes, "{answer:?}");
        }
        let counted = Question {
            text: "?",
            confirm: Some(120),
        };
        for (answer, yes) in [("y", false), ("120\n", true), ("12", false)] {
            assert_eq!(counted.is_yes(answer), yes, "{answer:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("0123456789.exe", 9), "0123….exe");
        assert_eq!(fit("가나다라마바사.exe", 13), "가나다…사.exe");
    }
}
