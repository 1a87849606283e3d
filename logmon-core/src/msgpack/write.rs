//! Writers of single values, each in its shortest form.

use super::EVENT_TIME_EXT;
use crate::Timestamp;

/// Appends nil.
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends a boolean.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 + u8::from(value));
}

/// Appends an integer.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if let Ok(positive) = u64::try_from(value) {
        return write_uint(out, positive);
    }
    match (i8::try_from(value), i16::try_from(value), i32::try_from(value)) {
        (Ok(small), ..) if small >= -32 => out.push(small.cast_unsigned()),
        (Ok(byte), ..) => wide(out, 0xd0, &byte.to_be_bytes()),
        (_, Ok(short), _) => wide(out, 0xd1, &short.to_be_bytes()),
        (_, _, Ok(word)) => wide(out, 0xd2, &word.to_be_bytes()),
        _ => wide(out, 0xd3, &value.to_be_bytes()),
    }
}

/// Appends an integer that is not negative.
pub fn write_uint(out: &mut Vec<u8>, value: u64) {
    match (u8::try_from(value), u16::try_from(value), u32::try_from(value)) {
        (Ok(small), ..) if small < 0x80 => out.push(small),
        (Ok(byte), ..) => wide(out, 0xcc, &[byte]),
        (_, Ok(short), _) => wide(out, 0xcd, &short.to_be_bytes()),
        (_, _, Ok(word)) => wide(out, 0xce, &word.to_be_bytes()),
        _ => wide(out, 0xcf, &value.to_be_bytes()),
    }
}

/// Appends a float of 64 bits.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    wide(out, 0xcb, &value.to_be_bytes());
}

/// Appends text. Text beyond 4 GiB cannot be told in msgpack and is cut.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    write_text(out, text.as_bytes());
}

/// Appends bytes as text, whether they are UTF-8 or not.
pub(crate) fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = clamp(bytes);
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len()), u32_len(bytes)) {
        (Ok(len), ..) if len < 32 => out.push(0xa0 | len),
        (Ok(len), ..) => wide(out, 0xd9, &[len]),
        (_, Ok(len), _) => wide(out, 0xda, &len.to_be_bytes()),
        (_, _, len) => wide(out, 0xdb, &len.to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// Appends bytes, cut at 4 GiB.
pub fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = clamp(bytes);
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len()), u32_len(bytes)) {
        (Ok(len), ..) => wide(out, 0xc4, &[len]),
        (_, Ok(len), _) => wide(out, 0xc5, &len.to_be_bytes()),
        (_, _, len) => wide(out, 0xc6, &len.to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// Appends an extension value, cut at 4 GiB.
pub fn write_ext(out: &mut Vec<u8>, kind: i8, data: &[u8]) {
    let data = clamp(data);
    match data.len() {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        len => match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len), _) => wide(out, 0xc7, &[len]),
            (_, Ok(len)) => wide(out, 0xc8, &len.to_be_bytes()),
            _ => wide(out, 0xc9, &u32_len(data).to_be_bytes()),
        },
    }
    out.push(kind.cast_unsigned());
    out.extend_from_slice(data);
}

/// Appends the header of an array of `len` values.
pub fn write_array_len(out: &mut Vec<u8>, len: u32) {
    container(out, len, 0x90, 0xdc);
}

/// Appends the header of a map of `len` pairs.
pub fn write_map_len(out: &mut Vec<u8>, len: u32) {
    container(out, len, 0x80, 0xde);
}

/// Appends `time` as Fluentd's `EventTime` (fixext8) where its unsigned 32-bit seconds reach
/// (1970 to 2106), else as the 12-byte msgpack timestamp, which reaches everywhere.
pub fn write_event_time(out: &mut Vec<u8>, time: Timestamp) {
    let seconds = time.as_nanos().div_euclid(1_000_000_000);
    let nanos = u32::try_from(time.as_nanos().rem_euclid(1_000_000_000)).unwrap_or(0);
    // Zero means "when it is received" to every receiver, so the epoch itself takes the long form.
    match u32::try_from(seconds) {
        Ok(seconds) if seconds > 0 && seconds < 0xffff_fffe => {
            wide(out, 0xd7, &[EVENT_TIME_EXT.cast_unsigned()]);
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&nanos.to_be_bytes());
        }
        _ => {
            wide(out, 0xc7, &[12, super::TIMESTAMP_EXT.cast_unsigned()]);
            out.extend_from_slice(&nanos.to_be_bytes());
            out.extend_from_slice(&seconds.to_be_bytes());
        }
    }
}

fn container(out: &mut Vec<u8>, len: u32, fix: u8, wide_marker: u8) {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(small), _) if small < 16 => out.push(fix | small),
        (_, Ok(short)) => wide(out, wide_marker, &short.to_be_bytes()),
        _ => wide(out, wide_marker + 1, &len.to_be_bytes()),
    }
}

fn wide(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    out.push(marker);
    out.extend_from_slice(bytes);
}

fn clamp(bytes: &[u8]) -> &[u8] {
    bytes.get(..u32::MAX as usize).unwrap_or(bytes)
}

fn u32_len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
