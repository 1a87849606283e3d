//! One entry taken apart: fields by the field map, everything else as metadata.

use crate::event::Scalar;
use crate::field_map::{FieldMap, Role, Roles};
use crate::json::{self, Lossy};
use crate::map::{self, Key, Pair, Pairs};
use crate::msgpack::{self, Cursor, Head, MsgpackError};
use crate::{Map, Value};

/// The name under which metadata that lost against a key of the same name stays reachable.
const LOSERS: &str = "metadata";
/// Of records with up to so many keys beside the fields each is compared with each.
const FEW: usize = 16;
/// Where the text of a level stands that said more than one of the six names.
const LEVEL_RAW: &str = "level_raw";

/// Views an entry `[time, record]` or `[[time, metadata], record]` that an index has checked.
pub(super) struct Record<'a> {
    body: &'a [u8],
    /// The map of the entry's header.
    header: Option<&'a [u8]>,
    roles: Roles,
}

/// All metadata of an event, merged: the record's own keys win over its `metadata` map, that over
/// the metadata of the entry's header.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    winners: Pairs<'a>,
    losers: Pairs<'a>,
    /// The key of the map that the losers stand in: [`LOSERS`], where no winner has that name.
    losers_name: Key<'a>,
}

/// Reads up to the record; gives the number of elements of the entry and the map in its header.
fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<(u32, Option<&'a [u8]>), MsgpackError> {
    let elements = if let Head::Array(elements) = cursor.head()? { elements } else { 0 };
    let mut probe = *cursor;
    let header = match probe.head()? {
        Head::Array(elements) => {
            probe.skip()?;
            let has_map = elements > 1 && matches!({ probe }.head(), Ok(Head::Map(_)));
            if has_map { Some(probe.value()?) } else { None }
        }
        _ => None,
    };
    cursor.skip()?;
    Ok((elements, header))
}

/// The map in the header of an entry, and where its record begins and ends.
pub(super) fn split(entry: &[u8]) -> Option<(Option<&[u8]>, usize, usize)> {
    let mut cursor = Cursor::new(entry);
    let (elements, header) = read_header(&mut cursor).ok()?;
    let start = cursor.position();
    if elements == 2 {
        return Some((header, start, entry.len()));
    }
    cursor.skip().ok()?;
    Some((header, start, cursor.position()))
}

impl<'a> Record<'a> {
    /// Reads the entry at the start of `entry`.
    pub(super) fn read(entry: &'a [u8], fields: &FieldMap) -> Result<Self, MsgpackError> {
        let mut cursor = Cursor::new(entry);
        let (_, header) = read_header(&mut cursor)?;
        let record_at = cursor.position();
        let Head::Map(pairs) = cursor.head()? else {
            return Ok(Self { body: &[], header, roles: Roles::default() });
        };
        let roles = fields.find(&mut cursor, pairs, record_at)?;
        let body = entry.get(record_at..cursor.position()).unwrap_or_default();
        Ok(Self { body, header, roles })
    }

    /// The record as it came.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// Where the top-level keys of level, message and source stand.
    pub(super) fn field_keys(&self) -> [Option<usize>; 3] {
        [Role::Level, Role::Message, Role::Source].map(|role| {
            self.roles.get(role).filter(|found| !found.is_nested).map(|found| found.key_at)
        })
    }

    /// Merges the metadata.
    pub(super) fn metadata(&self) -> Result<Metadata<'a>, MsgpackError> {
        if self.body.is_empty() {
            return Ok(Metadata::default());
        }
        let (mut inner, mut level_raw) = (None, None);
        // Twins: the last counts, so a later pair takes the place of an earlier one.
        let mut kept: Vec<Pair<'a>> = Vec::new();
        map::visit(self.body, |key, value, key_at| match self.roles.at_key(key_at) {
            Some(Role::Level) => match crate::entries::read_level(value) {
                Some(level) if is_name_of(value, level) => {}
                Some(_) => level_raw = Some(value),
                None => kept.push((key, value)),
            },
            Some(Role::Message | Role::Source) => {}
            None if self.is_twin_of_role(&key) => {}
            None if key.as_bytes() == LOSERS.as_bytes() && is_map(value) => inner = Some(value),
            None => kept.push((key, value)),
        })?;
        let mut merged = Metadata { winners: Pairs::of(kept), ..Metadata::default() };
        for map in [inner, self.header].into_iter().flatten() {
            for (key, value) in Pairs::read(map)? {
                merged.add(&key, value);
            }
        }
        if let Some(value) = level_raw {
            merged.add(&Key::from(LEVEL_RAW), value);
        }
        if !merged.losers.as_slice().is_empty() {
            merged.losers_name = merged.winners.free(&Key::from(LOSERS));
        }
        Ok(merged)
    }

    /// Shows the pairs of the metadata where no two have one key, as in most records; else nothing,
    /// and tells so.
    pub(super) fn each_plain_pair(&self, show: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let mut pairs = Plain::default();
        let mut inner = None;
        let read = map::visit_text(self.body, |key, value, key_at| {
            match (self.roles.at_key(key_at), key) {
                (Some(Role::Level), _) => {
                    let level = crate::entries::read_level(value);
                    pairs.is_odd |= !level.is_some_and(|level| is_name_of(value, level));
                }
                (Some(Role::Message | Role::Source), _) => {}
                (None, Some(key)) if key == LOSERS.as_bytes() && is_map(value) => {
                    pairs.is_odd |= inner.replace(value).is_some();
                }
                (None, key) => pairs.add(key.filter(|key| !self.is_field(key)), value),
            }
        });
        let inner = inner
            .map_or(Ok(()), |inner| map::visit_text(inner, |key, value, _| pairs.add(key, value)));
        let is_plain = self.header.is_none() && !pairs.is_odd && read.is_ok() && inner.is_ok();
        if is_plain {
            pairs.all().iter().for_each(|(key, value)| show(key, value));
        }
        is_plain
    }

    /// Whether a field of the record has this key.
    fn is_field(&self, key: &[u8]) -> bool {
        self.field_keys().into_iter().flatten().any(|key_at| {
            let mut cursor = Cursor::at(self.body, key_at);
            match cursor.head() {
                Ok(Head::Str(len) | Head::Bin(len)) => {
                    len as usize == key.len() && cursor.take(len).is_ok_and(|taken| taken == key)
                }
                _ => true,
            }
        })
    }

    /// Whether an earlier pair has the key of a field; of equal keys the last one counts.
    fn is_twin_of_role(&self, key: &Key<'_>) -> bool {
        self.field_keys().into_iter().flatten().any(|key_at| {
            Key::read(&mut Cursor::at(self.body, key_at)).is_ok_and(|taken| taken == *key)
        })
    }
}

/// A few pairs of keys that are text and differ.
#[derive(Default)]
struct Plain<'a> {
    pairs: [(&'a [u8], &'a [u8]); FEW],
    len: usize,
    /// There is something else as well.
    is_odd: bool,
}

impl<'a> Plain<'a> {
    /// Adds a pair, unless it is another kind of key.
    fn add(&mut self, key: Option<&'a [u8]>, value: &'a [u8]) {
        let key =
            key.filter(|key| !self.is_odd && self.all().iter().all(|(known, _)| known != key));
        match (self.pairs.get_mut(self.len), key) {
            (Some(place), Some(key)) => {
                *place = (key, value);
                self.len += 1;
            }
            _ => self.is_odd = true,
        }
    }

    fn all(&self) -> &[(&'a [u8], &'a [u8])] {
        self.pairs.get(..self.len).unwrap_or_default()
    }
}

impl<'a> Metadata<'a> {
    fn add(&mut self, key: &Key<'a>, value: &'a [u8]) {
        let list = if self.winners.has(key) { &mut self.losers } else { &mut self.winners };
        list.push(key, value);
    }

    /// The owned form.
    pub(super) fn to_map(&self) -> Result<Map, MsgpackError> {
        let owned = |pairs: &[Pair<'a>]| {
            let owned = |(key, value): &Pair<'a>| Ok((key.to_text(), Value::from_msgpack(value)?));
            pairs.iter().map(owned).collect::<Result<Map, MsgpackError>>()
        };
        let mut map = owned(self.winners.as_slice())?;
        if let Some((name, losers)) = self.losers() {
            map.insert(name.to_text(), owned(losers)?);
        }
        Ok(map)
    }

    /// Shows the pairs; those that lost as the value of one pair.
    pub(super) fn each_pair(&self, show: &mut dyn FnMut(&[u8], &[u8])) {
        for (key, value) in self.winners.as_slice() {
            show(key.as_bytes(), value);
        }
        if let Some((name, losers)) = self.losers() {
            let mut map = Vec::new();
            msgpack::write_map_len(&mut map, u32::try_from(losers.len()).unwrap_or(u32::MAX));
            for (key, value) in losers {
                msgpack::write_text(&mut map, key.as_bytes());
                map.extend_from_slice(value);
            }
            show(name.as_bytes(), &map);
        }
    }

    /// The pairs that lost, and the name of the map they stand in.
    fn losers(&self) -> Option<(&Key<'a>, &[Pair<'a>])> {
        let losers = self.losers.as_slice();
        (!losers.is_empty()).then_some((&self.losers_name, losers))
    }

    /// Appends the JSON object.
    pub(super) fn write_json(
        &self,
        out: &mut Vec<u8>,
        lossy: &mut Lossy,
    ) -> Result<(), MsgpackError> {
        out.push(b'{');
        write_pairs(out, self.winners.as_slice(), lossy)?;
        if let Some((name, losers)) = self.losers() {
            if !self.winners.as_slice().is_empty() {
                out.push(b',');
            }
            json::write_key(out, name, lossy);
            out.push(b'{');
            write_pairs(out, losers, lossy)?;
            out.push(b'}');
        }
        out.push(b'}');
        Ok(())
    }

    /// Shows what stands at `path`, as [`crate::Event::visit_metadata`] says.
    pub(super) fn visit(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        let path = path.as_bytes();
        find_in(self.winners.as_slice(), path, visit)
            || self.losers().is_some_and(|(name, losers)| {
                match path.strip_prefix(name.as_bytes()) {
                    Some([]) => visit(Scalar::Map),
                    Some([b'.', rest @ ..]) => find_in(losers, rest, visit),
                    _ => false,
                }
            })
    }
}

/// A value is shown under its whole path, see [`Metadata::each`].
type Show<'v> = dyn FnMut(&[u8], Scalar<'_>) + 'v;

impl Metadata<'_> {
    /// Shows every value with its path: for each path, what [`Metadata::visit`] shows.
    pub(super) fn each(&self, show: &mut Show<'_>) {
        let mut path = Vec::new();
        each_of(self.winners.as_slice(), &mut path, show);
        if let Some((name, losers)) = self.losers() {
            path.extend_from_slice(name.as_bytes());
            show(&path, Scalar::Map);
            path.push(b'.');
            each_of(losers, &mut path, show);
        }
    }
}

fn each_of(pairs: &[Pair<'_>], path: &mut Vec<u8>, show: &mut Show<'_>) {
    let len = path.len();
    for (key, value) in pairs {
        path.extend_from_slice(key.as_bytes());
        each_in(value, path, show);
        path.truncate(len);
    }
}

/// Recursion is bounded by the depth that the index has checked.
fn each_in(value: &[u8], path: &mut Vec<u8>, show: &mut Show<'_>) {
    let mut cursor = Cursor::new(value);
    match cursor.head() {
        Ok(Head::Map(_)) => {
            show(path, Scalar::Map);
            if let Ok(pairs) = Pairs::read(value) {
                path.push(b'.');
                each_of(pairs.as_slice(), path, show);
                path.pop();
            }
        }
        Ok(Head::Array(len)) => {
            for item in (0..len).map_while(|_| cursor.value().ok()) {
                each_in(item, path, show);
            }
        }
        _ => {
            self::show(value, &mut |scalar| {
                show(path, scalar);
                false
            });
        }
    }
}

fn write_pairs(
    out: &mut Vec<u8>,
    pairs: &[Pair<'_>],
    lossy: &mut Lossy,
) -> Result<(), MsgpackError> {
    for (item, (key, value)) in pairs.iter().enumerate() {
        if item > 0 {
            out.push(b',');
        }
        json::write_key(out, key, lossy);
        // Checked when it was indexed.
        json::write_checked(out, value, lossy)?;
    }
    Ok(())
}

/// Looks for `path` among pairs: a key that is the path, or a key that is its beginning, followed
/// by a dot, with a map (or an array of maps) as its value.
fn find_in(pairs: &[Pair<'_>], path: &[u8], visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    for (key, value) in pairs {
        let Some(rest) = path.strip_prefix(key.as_bytes()) else { continue };
        let found = match rest {
            [] => show(value, visit),
            [b'.', rest @ ..] => descend(value, rest, visit),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

fn descend(value: &[u8], path: &[u8], visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    let mut cursor = Cursor::new(value);
    match cursor.head() {
        Ok(Head::Map(_)) => {
            Pairs::read(value).is_ok_and(|pairs| find_in(pairs.as_slice(), path, visit))
        }
        Ok(Head::Array(len)) => {
            (0..len).any(|_| cursor.value().is_ok_and(|item| descend(item, path, visit)))
        }
        _ => false,
    }
}

/// Shows a value, of an array each element.
fn show(value: &[u8], visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    let mut cursor = Cursor::new(value);
    let Ok(head) = cursor.head() else { return false };
    let scalar = match head {
        Head::Nil => Scalar::Nil,
        Head::Bool(value) => Scalar::Bool(value),
        Head::UInt(number) => Scalar::Int(i128::from(number)),
        Head::Int(number) => Scalar::Int(i128::from(number)),
        Head::Float(number) => Scalar::Float(number),
        Head::Str(len) | Head::Bin(len) => {
            let bytes = cursor.take(len).unwrap_or_default();
            std::str::from_utf8(bytes).map_or(Scalar::Bytes(bytes), Scalar::Str)
        }
        Head::Ext(kind, len) => {
            let data = cursor.take(len).unwrap_or_default();
            msgpack::ext_time(kind, data).map_or(Scalar::Bytes(data), Scalar::Time)
        }
        Head::Map(_) => Scalar::Map,
        Head::Array(len) => {
            return (0..len).any(|_| cursor.value().is_ok_and(|item| show(item, visit)));
        }
    };
    visit(scalar)
}

fn is_map(value: &[u8]) -> bool {
    matches!(Cursor::new(value).head(), Ok(Head::Map(_)))
}

/// Whether the value is just one of the six names, in any case.
fn is_name_of(value: &[u8], level: crate::Level) -> bool {
    let mut cursor = Cursor::new(value);
    match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => {
            cursor.take(len).is_ok_and(|text| text.eq_ignore_ascii_case(level.as_str().as_bytes()))
        }
        _ => false,
    }
}
