//! Atoms about the message.

use logmon_core::Filter;
use logmon_core::filter::token::fold;
use logmon_core::filter::{Atom, Regexp};
use memchr::memmem::Finder;

use super::super::bits::Rows;
use super::super::builder::NO_TEXT;
use super::super::damage::BlockError;
use super::super::info::Section;
use super::super::pages::Page;
use super::super::read::Open;

/// A page is searched as a whole where at least one of so many of its events is asked for.
const DENSE: usize = 8;

/// What a message is searched for.
enum Search<'f> {
    /// Text that a folded message must have, and the test of one that has it.
    Folded(Box<Finder<'f>>, Box<dyn Fn(&str) -> bool + 'f>),
    Regexp(&'f Regexp),
}

impl<'f> Search<'f> {
    /// The search of an atom about the message; `None` for another.
    fn of(atom: &'f Atom) -> Option<Self> {
        Some(match atom {
            Atom::Words(words) => {
                let first = words.tokens().next().unwrap_or_default();
                Self::Folded(Box::new(Finder::new(first)), Box::new(|text| words.matches(text)))
            }
            Atom::Substring(part) => Self::Folded(
                Box::new(Finder::new(part.text())),
                Box::new(|text| part.matches(text)),
            ),
            Atom::Regexp(regexp) => Self::Regexp(regexp),
            _ => return None,
        })
    }

    /// Whether one message passes.
    fn accepts(&self, message: &[u8]) -> bool {
        let text = String::from_utf8_lossy(message);
        match self {
            Self::Folded(_, accepts) => accepts(&fold(&text)),
            Self::Regexp(regexp) => regexp.is_match(&text),
        }
    }
}

impl Open<'_> {
    pub(super) fn with_message(
        &self,
        (filter, atom): (&Filter, &Atom),
        rows: &Rows,
    ) -> Result<Rows, BlockError> {
        let Some(search) = Search::of(atom) else { return self.rebuilt(filter, rows.iter()) };
        let flags = self.flags()?;
        let has_text = |row: usize| flags.get(row).is_some_and(|flags| flags & NO_TEXT == 0);
        let without: Vec<usize> = rows.iter().filter(|row| !has_text(*row)).collect();
        let mut found = self.rebuilt(filter, without.into_iter())?;
        let (mut messages, mut folded) = (Vec::new(), Vec::new());
        for page in self.pages()? {
            let wanted = rows.iter_in(&page.rows).filter(|row| has_text(*row)).count();
            if wanted == 0 {
                continue;
            }
            self.messages(page, &mut messages)?;
            let ends = self.ends_in(page, messages.len())?;
            let page = Texts { page, ends: &ends, messages: &messages };
            if page.page.is_ascii && wanted * DENSE >= page.page.rows.len() {
                page.search(&search, &mut folded, &mut |row| {
                    if rows.has(row) && has_text(row) {
                        found.insert(row);
                    }
                });
            } else {
                for row in rows.iter_in(&page.page.rows).filter(|row| has_text(*row)) {
                    if search.accepts(page.text(row)) {
                        found.insert(row);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Where the message of each event of a page ends in its messages, which have `len` bytes.
    fn ends_in(&self, page: &Page, len: usize) -> Result<Vec<usize>, BlockError> {
        let lengths = self.lengths()?.get(page.rows.clone()).unwrap_or_default();
        let mut end = 0_usize;
        let ends: Vec<usize> = lengths
            .iter()
            .map(|len| {
                end = end.saturating_add(*len as usize);
                end
            })
            .collect();
        let is_right = ends.len() == page.rows.len() && end == len;
        if is_right { Ok(ends) } else { Err(self.damaged_page(Section::Messages, page)) }
    }
}

/// The messages of a page.
struct Texts<'p> {
    page: &'p Page,
    ends: &'p [usize],
    messages: &'p [u8],
}

impl Texts<'_> {
    /// The places of the `at`th message of the page.
    fn range(&self, at: usize) -> std::ops::Range<usize> {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before));
        start.copied().unwrap_or(0)..self.ends.get(at).copied().unwrap_or(0)
    }

    fn text(&self, row: usize) -> &[u8] {
        self.messages.get(self.range(row - self.page.rows.start)).unwrap_or_default()
    }

    /// Shows the rows of a page of ASCII that pass.
    ///
    /// The page is searched as one text. Whatever is found leads to the message where it begins,
    /// which is then tested by itself; nothing can be found in a message without something being
    /// found in the page that begins there or before.
    fn search(&self, search: &Search<'_>, folded: &mut Vec<u8>, each: &mut dyn FnMut(usize)) {
        match search {
            Search::Folded(finder, accepts) => {
                folded.clear();
                folded.extend_from_slice(self.messages);
                folded.make_ascii_lowercase();
                let Ok(text) = str::from_utf8(folded) else { return };
                let next = |from: usize| {
                    let rest = text.as_bytes().get(from..)?;
                    finder.find(rest).map(|at| from + at)
                };
                self.lead(next, &|range| text.get(range).is_some_and(accepts), each);
            }
            Search::Regexp(regexp) => {
                let Ok(text) = str::from_utf8(self.messages) else { return };
                let accepts = |range| text.get(range).is_some_and(|text| regexp.is_match(text));
                if regexp.is_local() {
                    let next = |from: usize| regexp.find_at(text, from).map(|found| found.start);
                    self.lead(next, &accepts, each);
                } else {
                    let rows = (0..self.ends.len()).filter(|at| accepts(self.range(*at)));
                    rows.for_each(|at| each(self.page.rows.start + at));
                }
            }
        }
    }

    /// Tests the messages that `next` leads to: each place where something is found, from one on.
    fn lead(
        &self,
        next: impl Fn(usize) -> Option<usize>,
        accepts: &dyn Fn(std::ops::Range<usize>) -> bool,
        each: &mut dyn FnMut(usize),
    ) {
        let (mut from, mut first) = (0, 0);
        while let Some(found) = next(from) {
            // What is empty is found at the end of a message, too, and in empty ones.
            while self.ends.get(first).is_some_and(|end| *end < found) {
                first += 1;
            }
            let mut at = first;
            while at < self.ends.len() && self.range(at).start <= found {
                if accepts(self.range(at)) {
                    each(self.page.rows.start + at);
                }
                at += 1;
            }
            if at >= self.ends.len() {
                return;
            }
            (first, from) = (at, self.range(at).start);
        }
    }
}
