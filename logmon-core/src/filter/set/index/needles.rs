//! Texts anywhere in the message: an automaton for the many, a search for each of the few new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::Finder;

use super::super::super::eval::View;
use super::AtomId;
use crate::Event;

/// So many are searched for one by one before an automaton is worth building.
const MOST_FRESH: usize = 8;

/// Texts, folded and not empty, each of one atom.
#[derive(Debug, Default)]
pub(super) struct Needles {
    atoms: HashMap<Arc<str>, AtomId>,
    /// Those that the automaton does not know yet.
    fresh: Vec<(Finder<'static>, AtomId)>,
    automaton: Option<Automaton>,
    /// The automaton that is built on a thread of its own meanwhile.
    next: Option<JoinHandle<Option<Built>>>,
}

#[derive(Debug)]
struct Automaton {
    built: Built,
    /// The atom of each needle, as long as it is asked for.
    atoms: Vec<Option<AtomId>>,
    /// How many of `atoms` are there no more.
    gone: usize,
}

#[derive(Debug)]
struct Built {
    /// Ignores the case of ASCII, so that text of ASCII need not be folded.
    searcher: AhoCorasick,
    needles: HashMap<Arc<str>, usize>,
}

impl Needles {
    pub(super) fn insert(&mut self, id: AtomId, needle: &str) {
        self.atoms.insert(needle.into(), id);
        self.fresh.push((Finder::new(needle.as_bytes()).into_owned(), id));
    }

    pub(super) fn remove(&mut self, needle: &str) {
        let Some(id) = self.atoms.remove(needle) else { return };
        self.fresh.retain(|(_, other)| *other != id);
        if let Some(automaton) = &mut self.automaton
            && let Some(at) = automaton.built.needles.get(needle)
            && automaton.atoms[*at].take().is_some()
        {
            automaton.gone += 1;
        }
    }

    /// Takes an automaton that is ready, and has one built where that is worth it.
    pub(super) fn keep_up(&mut self) {
        if self.next.as_ref().is_some_and(JoinHandle::is_finished) {
            self.take_next();
        }
        let gone = self.automaton.as_ref().map_or(0, |automaton| automaton.gone);
        if self.next.is_some() || self.fresh.len() <= MOST_FRESH && gone <= self.atoms.len() / 2 {
            return;
        }
        if self.atoms.is_empty() {
            self.automaton = None;
            return;
        }
        let needles: Vec<Arc<str>> = self.atoms.keys().cloned().collect();
        let thread = std::thread::Builder::new().name("needles".to_owned());
        // Without a thread each is searched for by itself, which is slower and no less right.
        self.next = thread.spawn(move || build(&needles)).ok();
    }

    fn take_next(&mut self) {
        let Some(Ok(Some(built))) = self.next.take().map(JoinHandle::join) else { return };
        let mut atoms = vec![None; built.needles.len()];
        for (needle, at) in &built.needles {
            atoms[*at] = self.atoms.get(needle).copied();
        }
        let gone = atoms.iter().filter(|atom| atom.is_none()).count();
        self.fresh.retain(|(finder, _)| {
            std::str::from_utf8(finder.needle()).is_ok_and(|text| !built.needles.contains_key(text))
        });
        self.automaton = Some(Automaton { built, atoms, gone });
    }

    pub(super) fn find<E: Event + ?Sized>(&self, view: &View<'_, E>, mut hit: impl FnMut(AtomId)) {
        if let Some(automaton) = &self.automaton {
            let message = view.message();
            let text = if message.is_ascii() { message } else { view.folded() };
            for found in automaton.built.searcher.find_overlapping_iter(text) {
                automaton.atoms[found.pattern().as_usize()].into_iter().for_each(&mut hit);
            }
        }
        for (finder, id) in &self.fresh {
            if finder.find(view.folded().as_bytes()).is_some() {
                hit(*id);
            }
        }
    }

    /// Waits until everything is in the automaton.
    #[cfg(test)]
    pub(in super::super) fn settle(&mut self) {
        self.keep_up();
        while self.next.is_some() {
            self.take_next();
            self.keep_up();
        }
    }
}

fn build(needles: &[Arc<str>]) -> Option<Built> {
    let searcher = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(needles.iter().map(|needle| needle.as_bytes()))
        .ok()?;
    let needles = needles.iter().cloned().zip(0..).collect();
    Some(Built { searcher, needles })
}
