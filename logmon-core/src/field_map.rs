//! Which keys of a record feed the fields of an event.

use crate::map;
use crate::msgpack::{Cursor, Head, MsgpackError};

/// Which keys of a record are its level, its message and its source.
///
/// The first key of a list that the record has (with a value other than nil) wins. A name with a
/// dot, `a.b`, means key `b` in the map `a`, or else the literal key `a.b`. All other keys are
/// metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMap {
    names: Vec<Name>,
    /// Bit `i` of entry `len` is set where top-level key `i` has `len` bytes, so that most keys
    /// of a record are told apart from all names by one look.
    by_len: [u64; 64],
    lists: [Vec<String>; 3],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    role: Role,
    rank: u8,
    /// The first byte of `key`, which tells most keys of one length apart.
    first: Option<u8>,
    key: Vec<u8>,
    /// The key inside the map under `key`, for a dotted name.
    inner: Option<Vec<u8>>,
}

impl Name {
    fn new(role: Role, rank: u8, key: &str, inner: Option<Vec<u8>>) -> Self {
        let key: Vec<u8> = key.into();
        Self { role, rank, first: key.first().copied(), key, inner }
    }
}

/// A field that a key can feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Level = 0,
    Message = 1,
    Source = 2,
}

/// Where in a record a field was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    rank: u8,
    /// Offset of the top-level key from the start of the record.
    pub(crate) key_at: usize,
    /// Offset of the value from the start of the record.
    pub(crate) value_at: usize,
    /// Whether the value lies inside a map, which then stays metadata as a whole.
    pub(crate) is_nested: bool,
}

/// What the field map found in one record, and what lies beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roles {
    found: [Option<Found>; 3],
}

impl Roles {
    pub(crate) fn get(&self, role: Role) -> Option<Found> {
        self.found[role as usize]
    }

    /// The role whose value stands under the top-level key at `key_at`.
    pub(crate) fn at_key(&self, key_at: usize) -> Option<Role> {
        [Role::Level, Role::Message, Role::Source].into_iter().find(|role| {
            self.get(*role).is_some_and(|found| found.key_at == key_at && !found.is_nested)
        })
    }
}

/// A field map that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldMapError {
    /// A name is empty or longer than 63 bytes.
    #[error("field name `{0}` is empty or longer than 63 bytes")]
    Name(String),
    /// More than 64 names in all.
    #[error("{0} field names in all, at most 64 are possible")]
    TooMany(usize),
}

/// The level's default keys, in order.
pub const LEVEL_KEYS: &[&str] = &["level", "severity", "lvl", "log.level"];
/// The message's default keys, in order.
pub const MESSAGE_KEYS: &[&str] = &["message", "msg", "log", "_msg", "body"];
/// The source's default keys, in order.
pub const SOURCE_KEYS: &[&str] = &["source", "service", "service.name", "container", "logger"];

impl FieldMap {
    /// A map from lists of keys, each in order of preference.
    ///
    /// # Errors
    /// A name is empty or too long, or there are more than 64 names with their parts.
    pub fn new(
        level: &[impl AsRef<str>],
        message: &[impl AsRef<str>],
        source: &[impl AsRef<str>],
    ) -> Result<Self, FieldMapError> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let level: Vec<&str> = level.iter().map(AsRef::as_ref).collect();
        let message: Vec<&str> = message.iter().map(AsRef::as_ref).collect();
        let source: Vec<&str> = source.iter().map(AsRef::as_ref).collect();
        let lists = [own(&level), own(&message), own(&source)];
        let mut names = Vec::new();
        for (role, list) in [Role::Level, Role::Message, Role::Source].into_iter().zip(&lists) {
            for (rank, name) in list.iter().enumerate() {
                if name.is_empty() || name.len() > 63 {
                    return Err(FieldMapError::Name(name.clone()));
                }
                let rank = u8::try_from(rank * 2).map_err(|_| FieldMapError::TooMany(rank))?;
                names.push(Name::new(role, rank + 1, name, None));
                if let Some((outer, inner)) = name.split_once('.') {
                    names.push(Name::new(role, rank, outer, Some(inner.into())));
                }
            }
        }
        if names.len() > 64 {
            return Err(FieldMapError::TooMany(names.len()));
        }
        let mut by_len = [0; 64];
        for (at, name) in names.iter().enumerate() {
            by_len[name.key.len()] |= 1 << at;
        }
        Ok(Self { names, by_len, lists })
    }

    /// The level's keys, in order.
    pub fn level_keys(&self) -> &[String] {
        &self.lists[0]
    }

    /// The message's keys, in order.
    pub fn message_keys(&self) -> &[String] {
        &self.lists[1]
    }

    /// The source's keys, in order.
    pub fn source_keys(&self) -> &[String] {
        &self.lists[2]
    }

    /// Finds the fields in the map that begins at the cursor, passing over it.
    ///
    /// `base` is the position of the map in the cursor's bytes; offsets count from it.
    #[inline]
    pub(crate) fn find(
        &self,
        cursor: &mut Cursor<'_>,
        pairs: u32,
        base: usize,
    ) -> Result<Roles, MsgpackError> {
        let mut roles = Roles::default();
        for _ in 0..pairs {
            let key_at = cursor.position() - base;
            let before = *cursor;
            let key = match cursor.take_short_str() {
                Some(key) => key,
                None => match cursor.head()? {
                    Head::Str(len) | Head::Bin(len) => cursor.take(len)?,
                    _ => {
                        *cursor = before;
                        cursor.skip_inside(1)?;
                        &[]
                    }
                },
            };
            let mut candidates = self.by_len.get(key.len()).copied().unwrap_or(0);
            let value = *cursor;
            cursor.skip_inside(1)?;
            while candidates != 0 {
                let name = &self.names[candidates.trailing_zeros() as usize];
                candidates &= candidates - 1;
                if name.first == key.first().copied() && name.key == key {
                    roles.offer(name, key_at, value, base);
                }
            }
        }
        Ok(roles)
    }
}

/// Offsets of a key and its value from the start of the record.
type At = (usize, usize);

impl Roles {
    /// Looks for the inner key of a dotted name in the map at `value`.
    #[cold]
    #[inline(never)]
    fn offer_nested(&mut self, name: &Name, inner: &[u8], (key_at, value_at): At, value: &[u8]) {
        let mut found = None;
        let search = map::visit(value, |key, inside, _| {
            if key.as_bytes() == inner && inside.first() != Some(&0xc0) {
                found = Some(inside.as_ptr().addr() - value.as_ptr().addr());
            }
        });
        if let (Ok(()), Some(at)) = (search, found) {
            let found = Found { rank: name.rank, key_at, value_at: value_at + at, is_nested: true };
            self.keep_best(name.role, found);
        }
    }

    #[inline]
    fn offer(&mut self, name: &Name, key_at: usize, value: Cursor<'_>, base: usize) {
        let rest = value.rest();
        let value_at = value.position() - base;
        match (&name.inner, rest.first()) {
            (_, None | Some(0xc0)) => {}
            (None, Some(_)) => {
                let found = Found { rank: name.rank, key_at, value_at, is_nested: false };
                self.keep_best(name.role, found);
            }
            (Some(inner), Some(0x80..=0x8f | 0xde | 0xdf)) => {
                self.offer_nested(name, inner, (key_at, value_at), rest);
            }
            (Some(_), Some(_)) => {}
        }
    }

    /// Takes the value if it is no worse than what was found: a better rank, or an equal key
    /// again, of which the last counts.
    #[inline]
    fn keep_best(&mut self, role: Role, found: Found) {
        let slot = &mut self.found[role as usize];
        if slot.is_none_or(|known| found.rank <= known.rank) {
            *slot = Some(found);
        }
    }
}

impl Default for FieldMap {
    /// [`LEVEL_KEYS`], [`MESSAGE_KEYS`] and [`SOURCE_KEYS`].
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "constants, and a test builds it")]
        Self::new(LEVEL_KEYS, MESSAGE_KEYS, SOURCE_KEYS).expect("invariant: the defaults are valid")
    }
}
