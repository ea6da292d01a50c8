//! The rights of a known peer. Pure.

use std::{fmt, str::FromStr};

/// Something that a peer may do with this machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Right {
    /// Send files, which `receive` stores here.
    Give,
    /// Receive files that `send` offers.
    Take,
    /// Watch the camera.
    Watch,
    /// Send pictures, which `view --listen` shows here.
    Show,
}

/// A set of rights; empty by default.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// use sockkit::link::trust::{Right, Rights};
///
/// let rights: Rights = "give,watch".parse()?;
/// assert!(rights.has(Right::Watch) && !rights.has(Right::Take));
/// assert_eq!(rights.with(Right::Take).to_string(), "give,take,watch");
/// assert_eq!(Rights::NONE.to_string(), "none");
/// # Ok::<(), sockkit::link::trust::RightsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rights(u8);

/// Text that is not a set of rights.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a right; use give, take, watch and show, separated by commas, or none")]
pub struct RightsError(String);

impl Right {
    const ALL: [Self; 4] = [Self::Give, Self::Take, Self::Watch, Self::Show];

    /// The right's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Give => "give",
            Self::Take => "take",
            Self::Watch => "watch",
            Self::Show => "show",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Give => 1,
            Self::Take => 2,
            Self::Watch => 4,
            Self::Show => 8,
        }
    }
}

impl Rights {
    /// No rights: the peer is known, but may do nothing on its own.
    pub const NONE: Self = Self(0);

    /// Whether the set contains `right`.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Adds a right.
    #[must_use]
    pub fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    fn of(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::NONE);
        }
        let mut rights = Self::NONE;
        for word in text.split(',') {
            let named = Right::ALL.into_iter().find(|right| right.as_str() == word);
            rights = rights.with(named?);
        }
        Some(rights)
    }
}

impl FromStr for Rights {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        Self::of(text).ok_or_else(|| RightsError(text.to_owned()))
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Right::ALL.into_iter().filter(|right| self.has(*right));
        let words: Vec<_> = all.map(Right::as_str).collect();
        match words.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&words.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_read_back() {
        for bits in 0..16 {
            let rights = Rights(bits);
            assert_eq!(rights.to_string().parse(), Ok(rights));
        }
        for bad in ["", "Give", "give,", "give take", "none,give", "all"] {
            assert!(bad.parse::<Rights>().is_err(), "{bad}");
        }
    }
}
