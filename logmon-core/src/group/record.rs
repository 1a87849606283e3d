//! One entry taken apart: fields by the field map, everything else as metadata.

use crate::event::Scalar;
use crate::field_map::{FieldMap, Role, Roles};
use crate::json::{self, Lossy};
use crate::map::{self, Key, Pair, Pairs};
use crate::msgpack::{self, Cursor, Head, MsgpackError};
use crate::{Map, Value};

/// The name under which metadata that lost against a key of the same name stays reachable.
const LOSERS: &str = "metadata";
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

impl<'a> Record<'a> {
    /// Reads the entry at the start of `entry`.
    pub(super) fn read(entry: &'a [u8], fields: &FieldMap) -> Result<Self, MsgpackError> {
        let mut cursor = Cursor::new(entry);
        cursor.head()?;
        let mut probe = cursor;
        let header = match probe.head()? {
            Head::Array(elements) => {
                probe.skip()?;
                let has_map = elements > 1 && matches!({ probe }.head(), Ok(Head::Map(_)));
                if has_map { Some(probe.value()?) } else { None }
            }
            _ => None,
        };
        cursor.skip()?;
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

    /// Whether an earlier pair has the key of a field; of equal keys the last one counts.
    fn is_twin_of_role(&self, key: &Key<'_>) -> bool {
        [Role::Level, Role::Message, Role::Source].into_iter().any(|role| {
            self.roles.get(role).filter(|found| !found.is_nested).is_some_and(|found| {
                Key::read(&mut Cursor::at(self.body, found.key_at)).is_ok_and(|taken| taken == *key)
            })
        })
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
