//! Decides which valid paths a system can store.
//!
//! # Source
//! POSIX.1-2024 §3.170 and `NAME_MAX` of Linux and macOS; "Naming Files, Paths, and
//! Namespaces" of the Windows documentation.

use super::{EntryPath, LinkTarget, NameError};

/// The naming rules of a system. A receiver applies its own rules to each
/// entry.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::file::{EntryPath, NameError, NameRules};
///
/// let path = EntryPath::parse("aux.c")?;
/// assert_eq!(NameRules::Unix.check(&path), Ok(()));
/// assert_eq!(NameRules::Windows.check(&path), Err(NameError::Device));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameRules {
    /// Any bytes, at most 255 in a component: Linux and other Unixes.
    Unix,
    /// As Unix, but UTF-8.
    MacOs,
    /// Unicode, at most 255 UTF-16 units in a component; no device, none of
    /// `< > : " \ | ? *`, no control characters, no dot or space at the end, and none of
    /// the short names that NTFS gives to the files of unfinished transfers.
    Windows,
}

impl NameRules {
    /// The rules of the target system.
    pub const fn native() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_vendor = "apple") {
            Self::MacOs
        } else {
            Self::Unix
        }
    }

    /// Checks whether the system can store a file with that path.
    ///
    /// # Errors
    /// The first [`NameError`] that applies.
    pub fn check(self, path: &EntryPath) -> Result<(), NameError> {
        path.components()
            .try_for_each(|component| self.check_component(component))
    }

    /// Checks whether the system can store a link with that target.
    ///
    /// # Errors
    /// The first [`NameError`] that applies.
    pub fn check_target(self, target: &LinkTarget) -> Result<(), NameError> {
        target
            .names()
            .try_for_each(|component| self.check_component(component))
    }

    fn check_component(self, component: &[u8]) -> Result<(), NameError> {
        let text = str::from_utf8(component).map_err(|_error| NameError::NotUnicode);
        match self {
            Self::Unix => check_length(component.len()),
            Self::MacOs => check_length(text?.len()),
            Self::Windows => check_windows(text?),
        }
    }
}

fn check_windows(component: &str) -> Result<(), NameError> {
    check_length(component.encode_utf16().count())?;
    let is_odd = |found: &char| found.is_ascii_control() || r#"<>:"\|?*"#.contains(*found);
    if let Some(found) = component.chars().find(is_odd) {
        return Err(NameError::Separator { found });
    }
    if component.ends_with(['.', ' ']) {
        return Err(NameError::Edge);
    }
    if is_device(component) {
        return Err(NameError::Device);
    }
    if is_short_temporary(component) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

fn check_length(units: usize) -> Result<(), NameError> {
    if units > MAX_COMPONENT_UNITS {
        return Err(NameError::ComponentTooLong {
            bytes: units,
            limit: MAX_COMPONENT_UNITS,
        });
    }
    Ok(())
}

/// Windows treats `nul.tar.gz` and `NUL .txt` as the device, too.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end();
    let stem = stem.to_ascii_uppercase();
    if matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$"
    ) {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let mut characters = number.unwrap_or_default().chars();
    // Windows treats the superscript digits as digits.
    matches!(
        (characters.next(), characters.next()),
        (Some('0'..='9' | '¹' | '²' | '³'), None)
    )
}

/// Whether NTFS may have given the name to a temporary file of an unfinished transfer, as
/// its second, short one: six letters and a number (`SOCKKI~1.PAR`), or, after four of
/// those, two letters, the hexadecimal digits of a hash, and a number (`SO3F9A~1.PAR`).
fn is_short_temporary(component: &str) -> bool {
    let name = component.to_ascii_uppercase();
    let Some((stem, "PAR" | "BLO")) = name.split_once('.') else {
        return false;
    };
    let Some((start, number)) = stem.split_once('~') else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // A longer number takes the place of what is before it.
    let is_start = start.strip_prefix("SO").is_some_and(|rest| {
        "CKKI".starts_with(rest) || rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    stem.len() == SHORT_STEM_BYTES && is_number && is_start
}

/// Length of a short name before its dot, if it has a number.
const SHORT_STEM_BYTES: usize = 8;
/// Bytes on Unix (`NAME_MAX`), UTF-16 units on Windows.
const MAX_COMPONENT_UNITS: usize = 255;
