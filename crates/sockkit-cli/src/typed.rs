//! The command line as it was typed, to be typed once more.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::OnceLock,
};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};

/// Remembers what follows the subcommand, without what says who the other side is.
pub(crate) fn remember(command: &Command, matches: &ArgMatches) {
    let Some((name, matches)) = matches.subcommand() else {
        return;
    };
    if let Some(command) = command.find_subcommand(name) {
        // The first time counts.
        let _ = WORDS.set(words(command, matches));
    }
}

/// The command line for the same with another peer, up to that: `shape` is how it begins
/// and ends, such as `sockkit send FILE --to`. That alone, if too much was typed to be
/// shown.
pub(crate) fn again(shape: &str) -> String {
    let words = WORDS.get().map(Vec::as_slice).unwrap_or_default();
    fill(shape, words)
}

fn fill(shape: &str, words: &[String]) -> String {
    let typed = words.join(" ");
    let mut shape_words = shape.split(' ');
    let (Some(program), Some(command)) = (shape_words.next(), shape_words.next()) else {
        return shape.to_owned();
    };
    if words.is_empty() || typed.chars().count() > MAX_CHARS {
        return shape.to_owned();
    }
    let last = shape_words
        .next_back()
        .filter(|word| word.starts_with("--"));
    let last = last.map(|option| format!(" {option}")).unwrap_or_default();
    format!("{program} {command} {typed}{last}")
}

fn words(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let arguments = command.get_arguments();
    let mut typed: Vec<_> = arguments
        .filter(|argument| !THE_PEER.contains(&argument.get_id().as_str()))
        .filter(|argument| {
            let source = matches.value_source(argument.get_id().as_str());
            source == Some(ValueSource::CommandLine)
        })
        .flat_map(|argument| occurrences(argument, matches))
        .collect();
    typed.sort_by_key(|(index, _)| *index);
    typed.into_iter().map(|(_, word)| word).collect()
}

/// An argument, with where it was typed.
fn occurrences(argument: &Arg, matches: &ArgMatches) -> Vec<(usize, String)> {
    let id = argument.get_id().as_str();
    let option = argument.get_long().map(|long| format!("--{long}"));
    let indices = matches.indices_of(id).into_iter().flatten();
    let takes_values = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let values = matches.get_raw(id).into_iter().flatten();
    match (option, takes_values) {
        (Some(option), true) => indices
            .zip(values)
            .map(|(index, value)| (index, format!("{option} {}", shell_word(value))))
            .collect(),
        (None, true) => indices
            .zip(values)
            .map(|(index, value)| (index, shell_word(no_option(value))))
            .collect(),
        (Some(option), false) => {
            let times = match argument.get_action() {
                ArgAction::Count => matches.get_count(id).into(),
                _ => 1,
            };
            let index = indices.min().unwrap_or_default();
            vec![(index, option); times]
        }
        (None, false) => Vec::new(),
    }
}

/// A file whose name begins like an option.
fn no_option(path: &OsStr) -> OsString {
    let is_option = path.len() > 1 && path.as_encoded_bytes().starts_with(b"-");
    match is_option {
        true => Path::new(".").join(path).into_os_string(),
        false => path.to_owned(),
    }
}

/// Quotes the text as one word of a command line.
pub(crate) fn shell_word(text: impl AsRef<OsStr>) -> String {
    let word = text.as_ref().to_string_lossy();
    let plain: &[u8] = match cfg!(windows) {
        true => br"._-/+:\",
        false => b"._-/+=:,@%",
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || plain.contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.into_owned(),
        // For cmd and PowerShell; no name there holds a quote.
        false if cfg!(windows) => format!("\"{word}\""),
        false if word.chars().any(char::is_control) => {
            // Understood by bash, zsh and ksh; printed as it is, it would move the cursor.
            format!("${}", shell_escaped(&word))
        }
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn shell_escaped(word: &str) -> String {
    let escaped: String = word
        .chars()
        .map(|letter| match letter {
            '\'' | '\\' => format!("\\{letter}"),
            letter if letter.is_control() => {
                let mut bytes = [0; 4];
                let bytes = letter.encode_utf8(&mut bytes).bytes();
                bytes.map(|byte| format!("\\x{byte:02x}")).collect()
            }
            letter => letter.to_string(),
        })
        .collect();
    format!("'{escaped}'")
}

/// What says who the other side is.
const THE_PEER: &[&str] = &["to", "sender", "cameras", "code", "code_file", "known"];
/// Longer than a line or two is of no use.
const MAX_CHARS: usize = 240;

static WORDS: OnceLock<Vec<String>> = OnceLock::new();

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::Cli;

    fn typed(line: &[&str]) -> String {
        let mut command = Cli::command();
        let matches = command.try_get_matches_from_mut(line).unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        let words = words(command.find_subcommand(name).unwrap(), matches);
        let shape = match name {
            "send" => "sockkit send FILE --to",
            _ => "sockkit receive",
        };
        fill(shape, &words)
    }

    #[test]
    fn all_but_the_peer_is_typed_again() {
        for (line, again) in [
            (
                &[
                    "sockkit",
                    "send",
                    "my film.iso",
                    "--to",
                    "7-coral-lamp",
                    "-y",
                ][..],
                match cfg!(windows) {
                    true => r#"sockkit send "my film.iso" --yes --to"#,
                    false => "sockkit send 'my film.iso' --yes --to",
                },
            ),
            (
                &[
                    "sockkit",
                    "send",
                    "-qvv",
                    "--code=a-b-c",
                    "--to=desk",
                    "--",
                    "-x",
                    "y",
                ],
                match cfg!(windows) {
                    true => r"sockkit send --quiet --verbose --verbose .\-x y --to",
                    false => "sockkit send --quiet --verbose --verbose ./-x y --to",
                },
            ),
            (
                &[
                    "sockkit",
                    "receive",
                    "--into",
                    "it's",
                    "7-coral-lamp",
                    "--max-bytes=5M",
                ],
                match cfg!(windows) {
                    true => r#"sockkit receive --into "it's" --max-bytes 5M"#,
                    false => r"sockkit receive --into 'it'\''s' --max-bytes 5M",
                },
            ),
            (&["sockkit", "receive", "desk"], "sockkit receive"),
        ] {
            assert_eq!(typed(line), again);
        }
    }

    #[test]
    fn too_much_is_not_typed_again() {
        let name = "a".repeat(MAX_CHARS + 1);
        let line = ["sockkit", "send", &name, "--to", "desk"];
        assert_eq!(typed(&line), "sockkit send FILE --to");
    }

    #[cfg(unix)]
    #[test]
    fn a_word_is_quoted_for_the_shell() {
        for (word, quoted) in [
            ("films/one.mkv", "films/one.mkv"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("영화", "'영화'"),
            ("a\u{1b}[2J'\n", r"$'a\x1b[2J\'\x0a'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
