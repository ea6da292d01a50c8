//! Escapes text from a peer before it is printed. Pure.
//!
//! Terminals interpret control sequences, and readers trust what they see. Text
//! from a peer could clear the screen, hide its end behind forty spaces, or
//! look like part of the surrounding sentence. Such characters are shown here
//! as `\u{…}`, the code point in hexadecimal.
//!
//! Escaped are: control characters (C0, DEL, C1, including line breaks and
//! tabs), direction marks and overrides, characters that fonts may omit
//! (`Default_Ignorable_Code_Point`), blank letters, spaces other than U+0020,
//! and the fifth and later marks on one letter. A backslash is doubled, so that
//! no text can look escaped: two different texts never look alike.
//!
//! Korean, Japanese, Arabic and Hebrew remain readable, composed or decomposed.
//! Joiners and variation selectors are invisible and therefore escaped,
//! although some emoji, and some names in Persian or Indic scripts, need them.
//!
//! # Source
//! Unicode 17, `DerivedCoreProperties.txt` for `Default_Ignorable_Code_Point`,
//! UAX #9 for directions, and UTR #36 for deceptive text.

use std::fmt::{self, Write};

use unicode_normalization::char::is_combining_mark;

/// Escapes text from a peer for printing on one line, without characters that
/// could deceive a terminal or a reader.
///
/// Convert bytes to text with [`String::from_utf8_lossy`] first, or use
/// [`escape_name_bytes`].
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::text::escape;
///
/// assert_eq!(escape("a\u{1b}[2Jb"), r"a\u{1b}[2Jb");
/// assert_eq!(escape("안녕, Grüße, שלום"), "안녕, Grüße, שלום");
/// assert_eq!(escape(r"C:\new"), r"C:\\new");
/// ```
pub fn escape(text: &str) -> String {
    pieces(text, Rule::Text).fold(String::with_capacity(text.len()), push)
}

/// Quotes text from a peer inside a sentence: in quotation marks that it cannot
/// close, and truncated after about `max_chars` characters.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::text::quote;
///
/// assert_eq!(quote("user@desk", 32), r#""user@desk""#);
/// assert_eq!(quote(r#"me", says "you"#, 8), r#""me\u{22}"…"#);
/// ```
pub fn quote(text: &str, max_chars: usize) -> String {
    let mut shown = String::from("\"");
    let mut room = max_chars;
    for piece in pieces(text, Rule::Quoted) {
        if piece.chars() > room {
            shown.push_str("\"…");
            return shown;
        }
        room -= piece.chars();
        shown = push(shown, piece);
    }
    shown.push('"');
    shown
}

/// Escapes a name from a peer like [`escape`], and also spaces that are hard to
/// count: leading, trailing, and repeated ones.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::text::escape_name;
///
/// assert_eq!(escape_name("a\u{1b}[2Jb"), r"a\u{1b}[2Jb");
/// assert_eq!(escape_name("report.pdf  .exe"), r"report.pdf\u{20}\u{20}.exe");
/// assert_eq!(escape_name("바다 1.jpg"), "바다 1.jpg");
/// ```
pub fn escape_name(name: &str) -> String {
    pieces(name, Rule::Name).fold(String::with_capacity(name.len()), push)
}

/// Escapes a name that may be any bytes, as on Unix: like [`escape_name`], with
/// bytes that are not UTF-8 as `\x…`.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::text::escape_name_bytes;
///
/// assert_eq!(escape_name_bytes("바다.jpg".as_bytes()), "바다.jpg");
/// assert_eq!(escape_name_bytes(b"\xc7\xd1.txt"), r"\xc7\xd1.txt");
/// ```
pub fn escape_name_bytes(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        shown = pieces(chunk.valid(), Rule::Name).fold(shown, push);
        for byte in chunk.invalid() {
            write!(shown, r"\x{byte:02x}").expect("a string takes everything");
        }
    }
    shown
}

/// Additional characters to escape.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rule {
    Text,
    Name,
    Quoted,
}

/// One character of the text, as shown.
enum Piece {
    Plain(char),
    Backslash,
    Escaped(char),
}

impl Piece {
    fn chars(&self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Backslash => 2,
            Self::Escaped(character) => character.escape_unicode().count(),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(character) => f.write_char(*character),
            Self::Backslash => f.write_str(r"\\"),
            Self::Escaped(character) => character.escape_unicode().fmt(f),
        }
    }
}

fn push(mut shown: String, piece: Piece) -> String {
    write!(shown, "{piece}").expect("a string takes everything");
    shown
}

fn pieces(text: &str, rule: Rule) -> impl Iterator<Item = Piece> {
    let mut characters = text.chars().peekable();
    let mut before = None;
    // Number of marks on the last letter; `None` if there is no letter.
    let mut marks = None;
    std::iter::from_fn(move || {
        let character = characters.next()?;
        let lonely_space = character == ' '
            && !matches!(before, None | Some(' '))
            && !matches!(characters.peek(), None | Some(' '));
        before = Some(character);
        let is_odd = is_never_shown(character)
            || rule != Rule::Text && character == ' ' && !lonely_space
            || rule == Rule::Quoted && is_quotation_mark(character);
        let piece = match character {
            '\\' => Piece::Backslash,
            _ if is_odd => Piece::Escaped(character),
            _ if !is_mark(character) => Piece::Plain(character),
            _ => match &mut marks {
                Some(count) if *count < MAX_MARKS => {
                    *count += 1;
                    return Some(Piece::Plain(character));
                }
                _ => Piece::Escaped(character),
            },
        };
        // A mark after an escape or a space would be drawn onto it.
        marks = matches!(piece, Piece::Plain(letter) if letter != ' ').then_some(0);
        Some(piece)
    })
}

/// Characters drawn onto the previous letter, including vowels and finals of
/// decomposed Hangul.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}')
        || is_combining_mark(character)
}

fn is_never_shown(character: char) -> bool {
    character.is_control() || is_default_ignorable(character) || is_blank(character)
}

/// `Default_Ignorable_Code_Point`: a font that lacks such a character draws
/// nothing. Includes direction marks and overrides.
fn is_default_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{061c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Every space except U+0020, line and paragraph separators, and characters
/// that fonts draw as blank although Unicode classifies them as letters, marks
/// or symbols.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{00a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{2028}'..='\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{2800}'
            | '\u{3000}'
            | '\u{fff9}'..='\u{fffc}'
            | '\u{13430}'..='\u{13440}'
            | '\u{13441}'..='\u{13442}'
            | '\u{16fe4}'
            | '\u{1d159}'
    )
}

/// Characters that look like a closing quotation mark.
fn is_quotation_mark(character: char) -> bool {
    matches!(
        character,
        '"' | '«'
            | '»'
            | '\u{02ba}'
            | '\u{02dd}'
            | '\u{02ee}'
            | '\u{02f6}'
            | '\u{05f2}'
            | '\u{05f4}'
            | '\u{2018}'..='\u{201f}'
            | '\u{2032}'..='\u{2037}'
            | '\u{275b}'..='\u{275e}'
            | '\u{3003}'
            | '\u{301d}'..='\u{301f}'
            | '\u{ff02}'
            | '\u{1f676}'..='\u{1f678}'
    )
}

/// Per letter. Vietnamese needs two, and Hebrew with accents four.
const MAX_MARKS: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "",
            "a b",
            "Mon Nov  2 08:33:21 2026",
            "사진/바다 1.jpg",
            "日本語 テキスト",
            "السلام عليكم",
            "שָׁלוֹם",
            "tiếng Việt",
            "क्षत्रिय",
            "ภาษาไทย น้ำ",
            "🎥 😀",
            "\u{fffd}",
        ] {
            assert_eq!(escape(text), text);
        }
        // As macOS writes names: decomposed.
        for text in [
            "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}",
            "e\u{301}",
        ] {
            assert_eq!(escape_name(text), text);
        }
    }

    #[test]
    fn what_a_terminal_obeys_or_a_reader_does_not_see_is_escaped() {
        for character in [
            '\0',
            '\u{7}',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{9d}',
            '\u{200d}',
            '\u{202e}',
            '\u{2066}',
            '\u{3164}',
            '\u{115f}',
            '\u{1160}',
            '\u{ffa0}',
            '\u{2800}',
            '\u{034f}',
            '\u{fe0f}',
            '\u{e0100}',
            '\u{e0041}',
            '\u{2003}',
            '\u{3000}',
            '\u{a0}',
            '\u{2028}',
            '\u{1d159}',
        ] {
            let code = u32::from(character);
            let expected = format!(r"a\u{{{code:x}}}b");
            assert_eq!(escape(&format!("a{character}b")), expected);
        }
    }

    #[test]
    fn a_text_cannot_pretend_to_be_escaped() {
        assert_eq!(escape(r"\u{1b}"), r"\\u{1b}");
        assert_eq!(escape("\u{1b}"), r"\u{1b}");
    }

    #[test]
    fn spaces_that_cannot_be_counted_are_shown_in_names() {
        assert_eq!(escape_name("a b"), "a b");
        assert_eq!(escape_name(" a"), r"\u{20}a");
        assert_eq!(escape_name("a "), r"a\u{20}");
        assert_eq!(escape_name("a  .exe"), r"a\u{20}\u{20}.exe");
        assert_eq!(escape("a  b "), "a  b ");
    }

    #[test]
    fn marks_pile_up_to_four_and_need_a_letter() {
        let four = format!("a{}", "\u{300}".repeat(4));
        assert_eq!(escape(&four), four);
        assert_eq!(
            escape(&format!("{four}\u{300}")),
            format!(r"{four}\u{{300}}")
        );
        assert_eq!(
            escape(&format!("{four}\u{300}\u{301}b\u{300}")),
            format!(r"{four}\u{{300}}\u{{301}}b{}", '\u{300}')
        );
        for (text, shown) in [
            ("\u{300}a", r"\u{300}a"),
            (" \u{300}", r" \u{300}"),
            ("\u{1b}\u{300}", r"\u{1b}\u{300}"),
            ("\u{1161}", r"\u{1161}"),
        ] {
            assert_eq!(escape(text), shown);
        }
    }

    #[test]
    fn a_quotation_ends_where_we_end_it() {
        assert_eq!(quote("", 4), r#""""#);
        assert_eq!(quote("four", 4), r#""four""#);
        assert_eq!(quote("fives", 4), r#""four"…"#.replace("four", "five"));
        assert_eq!(quote("“a”", 99), r#""\u{201c}a\u{201d}""#);
        assert_eq!(quote("a   b", 99), r#""a\u{20}\u{20}\u{20}b""#);
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_each() {
        for (name, shown) in [
            (&b"\xff"[..], r"\xff"),
            (b"a\xc7\xd1b", r"a\xc7\xd1b"),
            // Cut in the middle of a character, and a surrogate.
            (b"\xec\x82", r"\xec\x82"),
            (b"\xed\xa0\x80", r"\xed\xa0\x80"),
            // What looks escaped is not.
            (br"\xff", r"\\xff"),
            // A mark would be drawn onto the escape.
            (b"\xff\xcc\x80", r"\xff\u{300}"),
            (b"a \xff", r"a\u{20}\xff"),
        ] {
            assert_eq!(escape_name_bytes(name), shown, "{name:?}");
        }
    }

    /// Reads an escaped name back.
    fn unescape_bytes(shown: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), shown);
        while let Some((plain, escaped)) = rest.split_once('\\') {
            bytes.extend(plain.as_bytes());
            let end = match escaped.as_bytes()[0] {
                b'x' => {
                    bytes.push(u8::from_str_radix(&escaped[1..3], 16).unwrap());
                    3
                }
                b'\\' => {
                    bytes.push(b'\\');
                    1
                }
                _ => {
                    let end = escaped.find('}').unwrap() + 1;
                    bytes.extend(unescape(&format!(r"\{}", &escaped[..end])).bytes());
                    end
                }
            };
            rest = &escaped[end..];
        }
        bytes.extend(rest.as_bytes());
        bytes
    }

    /// Reads an escaped text back.
    fn unescape(shown: &str) -> String {
        let (mut text, mut rest) = (String::new(), shown);
        while let Some((plain, escaped)) = rest.split_once('\\') {
            text.push_str(plain);
            if let Some(after) = escaped.strip_prefix('\\') {
                text.push('\\');
                rest = after;
            } else {
                let (code, after) = escaped.strip_prefix("u{").unwrap().split_once('}').unwrap();
                let code = u32::from_str_radix(code, 16).unwrap();
                text.push(char::from_u32(code).unwrap());
                rest = after;
            }
        }
        text + rest
    }

    /// Texts in which the odd is common.
    fn texts() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            ' ',
            '\\',
            '{',
            '}',
            'u',
            '"',
            'a',
            '\u{1b}',
            '\n',
            '\u{9b}',
            '\u{300}',
            '\u{202e}',
            '\u{3164}',
            '\u{115f}',
            '\u{1161}',
            '\u{11ab}',
            '\u{2003}',
            '\u{fe0f}',
            '\u{e0100}',
        ]);
        let character = prop_oneof![odd, any::<char>()];
        prop::collection::vec(character, 0..40).prop_map(|text| text.into_iter().collect())
    }

    proptest! {
        #[test]
        fn no_two_names_are_shown_alike(name in prop::collection::vec(any::<u8>(), 0..60), text in texts()) {
            for name in [name, text.into_bytes()] {
                prop_assert_eq!(unescape_bytes(&escape_name_bytes(&name)), &*name);
                if let Ok(text) = str::from_utf8(&name) {
                    prop_assert_eq!(escape_name_bytes(&name), escape_name(text));
                }
            }
        }

        #[test]
        fn nothing_odd_is_shown_and_no_two_texts_alike(text in texts()) {
            for shown in [escape(&text), escape_name(&text), quote(&text, usize::MAX)] {
                let odd = |character: char| {
                    character.is_control()
                        || character.is_whitespace() && character != ' '
                        || "\u{200e}\u{200f}\u{061c}\u{2800}\u{3164}\u{115f}\u{1160}\u{ffa0}\u{34f}"
                            .contains(character)
                        || ('\u{202a}'..='\u{202e}').contains(&character)
                        || ('\u{2066}'..='\u{2069}').contains(&character)
                        || ('\u{fe00}'..='\u{fe0f}').contains(&character)
                        || ('\u{e0000}'..='\u{e0fff}').contains(&character)
                };
                prop_assert!(!shown.contains(odd), "{shown:?}");
            }
            prop_assert_eq!(unescape(&escape(&text)), &*text);
            prop_assert_eq!(unescape(&escape_name(&text)), &*text);
            let quoted = quote(&text, usize::MAX);
            prop_assert_eq!(unescape(quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap()), &*text);
            prop_assert!(!escape_name(&text).contains("  "));
            prop_assert_eq!(quoted.matches('"').count(), 2);
        }
    }
}
