//! The way in for benchmarks.

use logmon_core::Group;

use super::document::{self, Style};

/// Appends the documents of all events; gives how many could be made.
pub fn documents(group: &Group, out: &mut Vec<u8>) -> usize {
    group.iter().filter(|log| document::write(out, log, Style::default()).is_ok()).count()
}
