//! `zenoh://`: pictures between networks, through routers.

use sockkit::link::Address;

#[cfg(not(feature = "zenoh"))]
mod absent;
#[cfg(feature = "zenoh")]
mod present;

#[cfg(not(feature = "zenoh"))]
pub(crate) use absent::{Options, publish, subscribe};
#[cfg(feature = "zenoh")]
pub(crate) use present::{Options, publish, subscribe};

/// The camera's name on a page, where `/` is a part of URLs.
pub(crate) fn page_name(at: &Address) -> String {
    let name = at.path().as_str().replace('/', ".");
    let end = name.len().saturating_sub(MAX_PAGE_NAME_BYTES);
    name.get(end..).unwrap_or_default().to_owned()
}

const MAX_PAGE_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_the_end_of_a_long_name() {
        let name = |path: &str| page_name(&format!("zenoh://hub:7447/{path}").parse().unwrap());
        assert_eq!(name("site-a/porch"), "site-a.porch");
        let long = "a".repeat(40);
        let shown = name(&format!("{long}/{long}"));
        assert_eq!(shown, format!("{}.{long}", "a".repeat(23)));
    }
}
