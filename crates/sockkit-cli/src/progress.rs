//! Progress on standard error.

use indicatif::ProgressBar;

use crate::say;

/// One line that changes.
pub(crate) fn spinner() -> ProgressBar {
    match say::draws_progress() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    }
}

/// A bar whose length is not known yet.
pub(crate) fn bar() -> ProgressBar {
    match say::draws_progress() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    }
}
