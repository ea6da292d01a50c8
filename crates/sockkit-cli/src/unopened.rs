//! Advice for datagrams that this side's key does not open.

use sockkit::stream::{Stats, Unopened};

/// Explains why no picture is shown, once per reason.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    received: u64,
    unopened: u64,
    told: Option<Unopened>,
}

impl Advice {
    /// Call it periodically. Returns a new reason if more datagrams arrived that could
    /// not be opened, and no picture.
    pub(crate) fn on_figures(&mut self, stats: &Stats) -> Option<&'static str> {
        let shows = stats.received > self.received;
        let more = stats.unopened > self.unopened;
        (self.received, self.unopened) = (stats.received, stats.unopened);
        let why = stats.why_unopened.filter(|_| more && !shows)?;
        let is_news = self.told != Some(why);
        self.told = Some(why);
        is_news.then(|| words(why))
    }
}

/// The reason, and what to do.
pub(crate) fn words(why: Unopened) -> &'static str {
    match why {
        Unopened::NoKey => {
            "pictures arrive, but they are sealed: leave out --plain here, or give --key FILE, with the \
             file that cam has"
        }
        Unopened::OtherKey => {
            "pictures arrive, but they are sealed with another key: --key needs the file that cam has"
        }
        Unopened::NotSealed => {
            "pictures arrive, but they are not sealed: leave out --plain there, or give it here, too"
        }
        _ => "pictures arrive, but they cannot be opened",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_and_only_while_nothing_is_shown() {
        let (mut advice, mut stats) = (Advice::default(), Stats::default());
        assert_eq!(advice.on_figures(&stats), None);
        let mut come = |received, unopened, why| {
            stats.received += received;
            stats.unopened += unopened;
            stats.why_unopened = Some(why);
            advice.on_figures(&stats).is_some()
        };
        assert!(come(0, 10, Unopened::OtherKey));
        assert!(!come(0, 10, Unopened::OtherKey));
        assert!(come(0, 10, Unopened::NotSealed));
        // A stranger beside the sender is no news.
        assert!(!come(5, 10, Unopened::NoKey));
        assert!(!come(0, 0, Unopened::NoKey));
        assert!(come(0, 1, Unopened::NoKey));
    }
}
