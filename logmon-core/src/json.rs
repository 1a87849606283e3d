//! JSON text straight from msgpack bytes.
//!
//! Every msgpack value has one JSON form: bytes are text where they are UTF-8, else
//! `{"$bin": base64}`; times (`EventTime` and the msgpack timestamp) are RFC 3339; other
//! extensions are `{"$ext": [type, base64]}`; NaN and the infinities are `null`; a key that is not
//! text is the JSON text of the key; of equal keys in one map the last one counts. Integers are
//! written exactly, also beyond 2^53.

#[cfg(feature = "json")]
mod read;
mod write;

#[cfg(feature = "json")]
pub use read::{JsonError, to_msgpack, write_json_as_msgpack};
pub use write::{Lossy, write_string, write_text, write_value};
pub(crate) use write::{base64, write_checked, write_key};
