//! Characters that make a name look like another one.
//!
//! # Source
//! Unicode UAX #9, UTR #36.

/// The first such character of a name; U+FFFD for bytes that are not UTF-8.
pub(super) fn first(name: &[u8]) -> Option<char> {
    name.utf8_chunks().find_map(|chunk| {
        let odd = chunk.valid().chars().find(|&found| is_deceptive(found));
        let invalid = !chunk.invalid().is_empty();
        odd.or_else(|| invalid.then_some(char::REPLACEMENT_CHARACTER))
    })
}

/// Control characters, direction marks and overrides, non-ASCII line breaks,
/// and characters without width. Joiners are allowed: Indic and Arabic names,
/// and emoji, need them.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
