//! Columns of numbers.

use super::wire::{Fields, put_signed, put_varint};

/// Appends small numbers: the low bytes of all, then, if some do not fit into them, the high bytes.
pub(super) fn put_ids(out: &mut Vec<u8>, ids: &[u16]) {
    let is_wide = ids.iter().any(|id| *id > 0xff);
    out.push(1 + u8::from(is_wide));
    out.extend(ids.iter().map(|id| id.to_le_bytes()[0]));
    if is_wide {
        out.extend(ids.iter().map(|id| id.to_le_bytes()[1]));
    }
}

/// Reads `rows` small numbers, each below `end`.
pub(super) fn read_ids(bytes: &[u8], rows: usize, end: usize) -> Option<Vec<u16>> {
    let (width, planes) = bytes.split_first()?;
    let ids: Vec<u16> = match (width, planes.len()) {
        (1, len) if len == rows => planes.iter().map(|low| u16::from(*low)).collect(),
        (2, len) if len == rows * 2 => {
            let (low, high) = planes.split_at_checked(rows)?;
            low.iter().zip(high).map(|(low, high)| u16::from_le_bytes([*low, *high])).collect()
        }
        _ => return None,
    };
    let greatest = ids.iter().max().map_or(0, |id| usize::from(*id));
    (greatest < end).then_some(ids)
}

/// The length that says that the true one stands elsewhere.
const LONG: u16 = u16::MAX;

/// Appends lengths: two planes as [`put_ids`], then those of 65,535 and more.
pub(super) fn put_lengths(out: &mut Vec<u8>, lengths: &[u32]) {
    let short = |len: &u32| u16::try_from(*len).unwrap_or(LONG).to_le_bytes();
    out.extend(lengths.iter().map(|len| short(len)[0]));
    out.extend(lengths.iter().map(|len| short(len)[1]));
    for len in lengths.iter().filter(|len| **len >= u32::from(LONG)) {
        out.extend_from_slice(&len.to_le_bytes());
    }
}

/// Reads `rows` lengths.
pub(super) fn read_lengths(bytes: &[u8], rows: usize) -> Option<Vec<u32>> {
    let (low, rest) = bytes.split_at_checked(rows)?;
    let (high, rest) = rest.split_at_checked(rows)?;
    let mut lengths: Vec<u32> = low
        .iter()
        .zip(high)
        .map(|(low, high)| u32::from(u16::from_le_bytes([*low, *high])))
        .collect();
    if rest.is_empty() {
        return lengths.iter().all(|len| *len < u32::from(LONG)).then_some(lengths);
    }
    let mut rest = Fields(rest);
    for len in lengths.iter_mut().filter(|len| **len == u32::from(LONG)) {
        *len = rest.u32().filter(|len| *len >= u32::from(LONG))?;
    }
    rest.is_empty().then_some(lengths)
}

/// The units times are told in, the coarsest first.
const UNITS: [u64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// How far a time lies behind the earliest, which is no farther than 64 bits reach.
const fn after(time: i64, earliest: i64) -> u64 {
    time.wrapping_sub(earliest).cast_unsigned()
}

/// Appends times: the greatest unit in which all distances from the earliest are whole, then each
/// time's distance from the one before.
pub(super) fn put_times(out: &mut Vec<u8>, times: &[i64], earliest: i64) {
    let is_whole = |unit: u64| times.iter().all(|time| after(*time, earliest).is_multiple_of(unit));
    let unit = UNITS.into_iter().find(|unit| is_whole(*unit)).unwrap_or(1);
    put_varint(out, unit);
    let mut last = 0;
    for time in times {
        let distance = after(*time, earliest) / unit;
        put_signed(out, distance.wrapping_sub(last).cast_signed());
        last = distance;
    }
}

/// Reads `rows` times, which lie from `earliest` to `latest`.
pub(super) fn read_times(
    bytes: &[u8],
    rows: usize,
    (earliest, latest): (i64, i64),
) -> Option<Vec<i64>> {
    let mut take = Fields(bytes);
    let unit = take.varint().filter(|unit| UNITS.contains(unit))?;
    let most = after(latest, earliest);
    let mut times = Vec::with_capacity(rows);
    let mut last = 0_u64;
    for _ in 0..rows {
        last = last.wrapping_add(take.signed()?.cast_unsigned());
        let distance = last.checked_mul(unit).filter(|distance| *distance <= most)?;
        times.push(earliest.wrapping_add(distance.cast_signed()));
    }
    take.is_empty().then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_come_back(
            ids in vec(prop_oneof![0u16..9, 0..1000u16], 0..40),
            lengths in vec(prop_oneof![0u32..9, 65_530..65_540u32, any::<u32>()], 0..40),
            times in vec(prop_oneof![any::<i64>(), 0i64..9_000, Just(i64::MIN), Just(i64::MAX)], 1..40),
            scale in proptest::sample::select(vec![1i64, 1_000, 1_000_000_000]),
        ) {
            let mut out = Vec::new();
            put_ids(&mut out, &ids);
            prop_assert_eq!(read_ids(&out, ids.len(), 1000), Some(ids.clone()));
            prop_assert_eq!(read_ids(&out, ids.len() + 1, 1000), None);
            out.clear();
            put_lengths(&mut out, &lengths);
            prop_assert_eq!(read_lengths(&out, lengths.len()), Some(lengths));
            let times: Vec<i64> = times.iter().map(|time| time.wrapping_mul(scale)).collect();
            let range = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
            out.clear();
            put_times(&mut out, &times, range.0);
            prop_assert_eq!(read_times(&out, times.len(), range), Some(times));
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        let mut out = Vec::new();
        put_ids(&mut out, &[3]);
        assert_eq!(read_ids(&out, 1, 3), None);
        out.clear();
        put_times(&mut out, &[5], 0);
        assert_eq!(read_times(&out, 1, (0, 4)), None);
    }
}
