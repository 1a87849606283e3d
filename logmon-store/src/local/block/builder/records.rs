//! The records of a block's events: shapes, values, and what is known of metadata paths.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use logmon_core::filter::key;
use logmon_core::msgpack::{Cursor, Head};
use logmon_core::{Event as _, Level, LogRef, Parts, Scalar};

use super::super::bloom::Bloom;
use super::super::dictionary::Same;
use super::super::pages::{FIRST_PATH, OTHERS, PageWriter};
use super::super::shape::{self, CONTAINER, Cutter, Item, Leaf, Role, is_name, scalar_of};
use super::super::wire::{put_bytes, put_varint};
use super::paths::Paths;

/// Where the text of a level stands in the metadata that says more than one of the six names.
const LEVEL_RAW: &[u8] = b"level_raw";
/// The map whose keys are metadata beside those of the record.
const METADATA: &[u8] = b"metadata";

/// The records of the events so far.
#[derive(Debug, Default)]
pub(super) struct Records {
    cutter: Cutter,
    by_key: HashMap<u64, u16, BuildHasherDefault<Same>>,
    shapes: Vec<Shape>,
    patterns: Vec<u8>,
    slots: Vec<Slot>,
    /// The shape of each event.
    rows: Vec<u16>,
    last: u16,
    paths: Paths,
}

/// What records have in common.
#[derive(Debug)]
struct Shape {
    fields: usize,
    pattern: Range<usize>,
    slots: Range<usize>,
    /// Paths that each such event has, whatever its values: those of maps (`true`) and of nil.
    constants: Vec<(u32, bool)>,
    /// Metadata is merged from several places, or repeats itself, or has arrays: it is looked at
    /// event by event.
    is_involved: bool,
    events: u32,
}

/// A value of a shape.
#[derive(Clone, Copy, Debug)]
struct Slot {
    column: u16,
    role: Role,
    path: u32,
    path_key: u64,
}

/// Where the values of an event go.
type Sinks<'a> = (&'a mut PageWriter, &'a mut Bloom);

impl Records {
    /// The shape of each event.
    pub(super) fn shapes(&self) -> &[u16] {
        &self.rows
    }

    /// Takes the record of the next event; tells whether the message was cut out of it.
    #[inline]
    pub(super) fn push(
        &mut self,
        (log, parts, has_header): (LogRef<'_>, &Parts<'_>, bool),
        fields: usize,
        (pages, bloom): Sinks<'_>,
    ) -> bool {
        // An index has read the record, so it reads.
        let _is_whole = self.cutter.cut(parts);
        let number = self.shape_of(&log, parts, fields, bloom);
        self.rows.push(number);
        let Some(shape) = self.shapes.get_mut(usize::from(number)) else { return false };
        let slots = self.slots.get(shape.slots.clone()).unwrap_or_default();
        for (slot, Leaf { start, end }) in slots.iter().zip(&self.cutter.leaves) {
            let value = parts.record.get(*start as usize..*end as usize).unwrap_or_default();
            pages.value(slot.column, value);
        }
        if shape.is_involved || has_header {
            self.paths.begin_event();
            let paths = &mut self.paths;
            log.each_metadata(&mut |path, value| {
                let path_key = key::path(path);
                let number = paths.find_or_insert(path_key, path);
                paths.see(number, value);
                bloom.add(path_key);
                if let Some(key) = key::value(path_key, value) {
                    bloom.add(key);
                }
            });
        } else {
            shape.events += 1;
            for (slot, Leaf { start, end }) in slots.iter().zip(&self.cutter.leaves) {
                let value = parts.record.get(*start as usize..*end as usize).unwrap_or_default();
                let scalar = || scalar_of(value);
                match slot.role {
                    Role::Metadata => {
                        let value = scalar();
                        self.paths.add_kind(slot.path, value);
                        if let Some(key) = key::value(slot.path_key, value) {
                            bloom.add(key);
                        }
                    }
                    Role::Level => add_level(slot, (scalar(), log.level()), &mut self.paths, bloom),
                    Role::Field => {}
                }
            }
        }
        self.cutter.has_message
    }

    /// The number of the shape that was cut out last.
    #[inline]
    fn shape_of(
        &mut self,
        log: &LogRef<'_>,
        parts: &Parts<'_>,
        fields: usize,
        bloom: &mut Bloom,
    ) -> u16 {
        if self.is(self.last, fields) {
            return self.last;
        }
        let mut key = pattern_key(fields, &self.cutter.pattern);
        while let Some(number) = self.by_key.get(&key) {
            if self.is(*number, fields) {
                self.last = *number;
                return *number;
            }
            key = key.wrapping_add(1);
        }
        let number = u16::try_from(self.shapes.len()).unwrap_or(u16::MAX);
        let shape = self.describe(log, parts, fields, bloom);
        self.shapes.push(shape);
        self.by_key.insert(key, number);
        self.last = number;
        number
    }

    #[inline]
    fn is(&self, number: u16, fields: usize) -> bool {
        self.shapes.get(usize::from(number)).is_some_and(|shape| {
            shape.fields == fields
                && self.patterns.get(shape.pattern.clone()) == Some(&self.cutter.pattern)
        })
    }

    /// Looks at the first event of a shape.
    fn describe(
        &mut self,
        log: &LogRef<'_>,
        parts: &Parts<'_>,
        fields: usize,
        bloom: &mut Bloom,
    ) -> Shape {
        let pattern_start = self.patterns.len();
        self.patterns.extend_from_slice(&self.cutter.pattern);
        let survey = Survey::of(&self.cutter, log, parts);
        let slots_start = self.slots.len();
        for value in &survey.values {
            let path_key = key::path(&value.path);
            let column = self.paths.find_or_insert(path_key, &value.path);
            let path = column.map_or(u32::MAX, u32::from);
            let column = column.map_or(OTHERS, |path| path + FIRST_PATH);
            self.slots.push(Slot { column, role: value.role, path, path_key });
            if value.role == Role::Metadata && !survey.is_involved {
                bloom.add(path_key);
            }
        }
        let mut constants = Vec::new();
        if !survey.is_involved {
            for (path, is_map) in &survey.constants {
                let path_key = key::path(path);
                bloom.add(path_key);
                let number = self.paths.find_or_insert(path_key, path);
                constants.extend(number.map(|path| (u32::from(path), *is_map)));
                let key = key::value(path_key, if *is_map { Scalar::Map } else { Scalar::Nil });
                key.into_iter().for_each(|key| bloom.add(key));
            }
        }
        Shape {
            fields,
            pattern: pattern_start..self.patterns.len(),
            slots: slots_start..self.slots.len(),
            constants,
            is_involved: survey.is_involved,
            events: 0,
        }
    }

    /// Appends the list of paths. Counts what was put off until now.
    pub(super) fn put_paths(&mut self, out: &mut Vec<u8>) {
        for shape in self.shapes.iter().filter(|shape| !shape.is_involved) {
            let slots = self.slots.get(shape.slots.clone()).unwrap_or_default();
            let metadata = slots.iter().filter(|slot| slot.role == Role::Metadata);
            for path in metadata.map(|slot| slot.path) {
                self.paths.add_events(path, shape.events);
            }
            for (path, is_map) in shape.constants.iter().filter(|_| shape.events > 0) {
                self.paths.add_kind(*path, if *is_map { Scalar::Map } else { Scalar::Nil });
                self.paths.add_events(*path, shape.events);
            }
        }
        self.paths.put(out);
    }

    /// Appends the shapes.
    pub(super) fn put_templates(&self, out: &mut Vec<u8>) {
        put_varint(out, self.shapes.len() as u64);
        for shape in &self.shapes {
            put_varint(out, shape.fields as u64);
            out.push(u8::from(shape.is_involved));
            put_bytes(out, self.patterns.get(shape.pattern.clone()).unwrap_or_default());
            for slot in self.slots.get(shape.slots.clone()).unwrap_or_default() {
                put_varint(out, u64::from(slot.column));
                out.push(slot.role as u8);
            }
            put_varint(out, shape.constants.len() as u64);
            for (path, is_map) in &shape.constants {
                put_varint(out, u64::from(*path));
                out.push(u8::from(*is_map));
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_key.clear();
        self.shapes.clear();
        self.patterns.clear();
        self.slots.clear();
        self.rows.clear();
        self.last = 0;
        self.paths.clear();
    }
}

/// Metadata of a level: nothing where it is just the name, `level_raw` where it says more, and an
/// ordinary value where it names no level.
fn add_level(
    slot: &Slot,
    (value, level): (Scalar<'_>, Option<Level>),
    paths: &mut Paths,
    bloom: &mut Bloom,
) {
    let (path, path_key) = match level {
        None => (Some(slot.path).filter(|path| *path != u32::MAX), slot.path_key),
        Some(level) if is_name(value, level) => return,
        Some(_) => {
            let path_key = key::path(LEVEL_RAW);
            (paths.find_or_insert(path_key, LEVEL_RAW).map(u32::from), path_key)
        }
    };
    if let Some(path) = path {
        paths.add_kind(path, value);
        paths.add_events(path, 1);
    }
    bloom.add(path_key);
    if let Some(key) = key::value(path_key, value) {
        bloom.add(key);
    }
}

fn pattern_key(fields: usize, pattern: &[u8]) -> u64 {
    key::path(pattern).wrapping_add(fields as u64)
}

/// What is found in a pattern.
#[derive(Debug, Default)]
struct Survey {
    values: Vec<Found>,
    /// Paths of maps (`true`) and of nil.
    constants: Vec<(Vec<u8>, bool)>,
    is_involved: bool,
}

#[derive(Debug)]
struct Found {
    path: Vec<u8>,
    role: Role,
}

impl Survey {
    fn of(cutter: &Cutter, log: &LogRef<'_>, parts: &Parts<'_>) -> Self {
        let mut survey = Self::default();
        let mut walk = Walk::default();
        let mut seen = Seen::default();
        let read =
            shape::walk(&cutter.pattern, &mut |item| survey.item(item, &mut walk, &mut seen));
        survey.is_involved |= read.is_none();
        survey.find_roles(log, parts, &seen);
        // Twins, and one path by two ways.
        let mut paths: Vec<&[u8]> = survey.values.iter().map(|value| &*value.path).collect();
        paths.extend(survey.constants.iter().map(|(path, _)| &**path));
        paths.extend(seen.message.as_deref());
        paths.extend(seen.source.as_deref());
        paths.sort_unstable();
        survey.is_involved |= paths.windows(2).any(|two| two[0] == two[1]);
        survey.is_involved |= seen.has_level_raw;
        survey
    }

    fn item(&mut self, item: Item<'_>, walk: &mut Walk, seen: &mut Seen) {
        match item {
            Item::Key(key, depth) => {
                walk.ends.truncate(depth);
                walk.path.truncate(walk.ends.last().copied().unwrap_or(0));
                if depth > 1 + usize::from(walk.is_in_metadata) {
                    walk.path.push(b'.');
                }
                self.is_involved |= !put_key(&mut walk.path, key);
                seen.is_top = depth == 1;
                seen.has_level_raw |= walk.path == LEVEL_RAW;
                if seen.is_top && walk.path == METADATA {
                    // Of several the last one counts.
                    self.is_involved |= seen.metadata_keys > 0;
                    seen.metadata_keys += 1;
                }
            }
            Item::Bytes([0xc0]) => self.constants.push((walk.path.clone(), false)),
            Item::Bytes(_) => {
                if seen.is_top && walk.path == METADATA {
                    // Its keys are merged with those of the record.
                    walk.is_in_metadata = true;
                    walk.path.clear();
                } else if !walk.ends.is_empty() {
                    self.constants.push((walk.path.clone(), true));
                }
                walk.ends.push(walk.path.len());
            }
            Item::Source => seen.source = Some(walk.path.clone()),
            Item::Message(_) => {
                seen.message = Some(walk.path.clone());
                seen.is_message_nested = !seen.is_top;
            }
            Item::Value(kind) => {
                self.is_involved |= kind == CONTAINER;
                self.values.push(Found { path: walk.path.clone(), role: Role::Metadata });
                seen.tops.push(seen.is_top);
            }
            Item::End => {
                walk.ends.pop();
                walk.is_in_metadata &= walk.ends.len() > 1;
            }
        }
    }

    /// Tells which of the values at the top are fields.
    fn find_roles(&mut self, log: &LogRef<'_>, parts: &Parts<'_>, seen: &Seen) {
        self.is_involved |= seen.is_message_nested;
        let [level, message, source] = log.field_keys();
        let fields = [(level, Role::Level), (message, Role::Field), (source, Role::Field)];
        for (key_at, role) in fields {
            let Some(key_at) = key_at else { continue };
            let mut path = Vec::new();
            let key = parts.record.get(key_at..).unwrap_or_default();
            self.is_involved |= !put_key(&mut path, key);
            let mut values = self.values.iter_mut().zip(&seen.tops);
            match values.find(|(value, is_top)| **is_top && value.path == path) {
                Some((value, _)) => value.role = role,
                None if [&seen.message, &seen.source].contains(&&Some(path)) => {}
                // A map that was taken apart.
                None => self.is_involved = true,
            }
        }
    }
}

/// Where in a pattern one is.
#[derive(Debug, Default)]
struct Walk {
    path: Vec<u8>,
    /// How long the path was at each map one is in.
    ends: Vec<usize>,
    is_in_metadata: bool,
}

#[derive(Debug, Default)]
struct Seen {
    message: Option<Vec<u8>>,
    source: Option<Vec<u8>>,
    is_message_nested: bool,
    has_level_raw: bool,
    is_top: bool,
    /// How often the record has the key of the metadata.
    metadata_keys: usize,
    /// For each value, whether it stands under a key of the record itself.
    tops: Vec<bool>,
}

/// Appends the text of a key; `false` if the key is no text.
fn put_key(path: &mut Vec<u8>, key: &[u8]) -> bool {
    let mut cursor = Cursor::new(key);
    let text = match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => cursor.take(len).ok(),
        _ => None,
    };
    path.extend_from_slice(text.unwrap_or_default());
    text.is_some()
}
