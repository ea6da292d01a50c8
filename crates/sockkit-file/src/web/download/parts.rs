//! Which parts of a file clients have taken.

use std::{collections::BTreeMap, ops::Range};

use super::Digests;

/// The parts of one file that were taken.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Ends by beginnings: disjoint, and no two of them touch. A client decides how many
    /// there are; beyond a limit further ones are forgotten, and the file is never whole.
    taken: BTreeMap<u64, u64>,
    is_touched: bool,
    pub(super) failed: bool,
    pub(super) digests: Option<Digests>,
}

impl Parts {
    pub(super) fn add(&mut self, part: Range<u64>) {
        self.is_touched = true;
        if part.is_empty() {
            return;
        }
        let Range { mut start, mut end } = part;
        let before = self.taken.range(..=end).next_back();
        let mut before = before.map(|(start, end)| (*start, *end));
        while let Some((from, to)) = before.filter(|(_, to)| *to >= start) {
            self.taken.remove(&from);
            (start, end) = (start.min(from), end.max(to));
            let next = self.taken.range(..=end).next_back();
            before = next.map(|(start, end)| (*start, *end));
        }
        if self.taken.len() < MAX_PARTS {
            self.taken.insert(start, end);
        }
    }

    pub(super) fn is_whole(&self, size_bytes: u64) -> bool {
        match size_bytes {
            0 => self.is_touched,
            size_bytes => self.taken.get(&0) == Some(&size_bytes),
        }
    }
}

/// A client that resumes has a few.
const MAX_PARTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_a_whole_in_any_order() {
        let mut parts = Parts::default();
        for part in [4..6, 0..2, 8..10, 1..5] {
            parts.add(part);
            assert!(!parts.is_whole(10));
        }
        assert_eq!(parts.taken, BTreeMap::from([(0, 6), (8, 10)]));
        parts.add(6..8);
        assert!(parts.is_whole(10));
        assert_eq!(parts.taken.len(), 1);
    }

    #[test]
    fn an_empty_file_is_whole_once_it_was_asked_for() {
        let mut parts = Parts::default();
        assert!(!parts.is_whole(0));
        parts.add(0..0);
        assert!(parts.is_whole(0));
    }

    #[test]
    fn a_client_cannot_fill_the_memory_with_parts() {
        let mut parts = Parts::default();
        for start in 0..3 * MAX_PARTS as u64 {
            parts.add(2 * start..2 * start + 1);
        }
        assert_eq!(parts.taken.len(), MAX_PARTS);
    }
}
