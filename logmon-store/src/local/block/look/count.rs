//! Counting the events of a block by columns.

use std::collections::HashMap;

use logmon_core::{Buckets, FieldValue, Key, Level, Measure, TableSpec, Tables, Tally, Timestamp};

use super::super::bits::Rows;
use super::super::builder::LEVEL_BITS;
use super::super::damage::BlockError;
use super::super::eval::{PathReader, Shown};
use super::super::info::BlockInfo;
use super::super::pages::Values;
use super::super::read::Open;

/// Whether the header alone says what these tables count of all its events.
pub(super) fn is_in_header(specs: &[TableSpec], info: &BlockInfo) -> bool {
    specs.iter().all(|spec| {
        let is_by_level = matches!(&*spec.by, [] | [Key::Level]);
        let buckets = spec.buckets.as_ref();
        let is_in_one = buckets.is_none_or(|buckets| stretch_of(buckets, info) != Stretch::Several);
        is_by_level && is_in_one && spec.measure == Measure::Count
    })
}

/// The stretch, if any, that all events of a block are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    One(usize),
    Outside,
    Several,
}

fn stretch_of(buckets: &Buckets, info: &BlockInfo) -> Stretch {
    let (first, last) = info.times;
    match (buckets.of(first), buckets.of(last)) {
        (Some(one), Some(other)) if one == other => Stretch::One(one),
        (None, None) => {
            let is_before = buckets.bounds().first().is_none_or(|start| last < *start);
            let is_after = buckets.bounds().last().is_none_or(|end| first >= *end);
            if is_before || is_after { Stretch::Outside } else { Stretch::Several }
        }
        _ => Stretch::Several,
    }
}

/// Adds what the header says of all its events.
pub(super) fn add_header(info: &BlockInfo, tables: &mut Tables) {
    let specs = tables.specs().clone();
    for (at, spec) in specs.iter().enumerate() {
        let bucket = match spec.buckets.as_ref().map(|buckets| stretch_of(buckets, info)) {
            Some(Stretch::One(bucket)) => Some(bucket),
            _ => None,
        };
        if spec.by.is_empty() {
            let tally = Tally { count: info.rows.into(), sum: 0.0, times: info.times, bucket };
            tables.add(at, &[], &tally);
            continue;
        }
        let counts = info.levels.iter().zip(info.level_times).zip(0..);
        for ((count, times), code) in counts.filter(|((count, _), _)| **count > 0) {
            let tally = Tally { count: u64::from(*count), sum: 0.0, times, bucket };
            tables.add(at, &[level_value(code)], &tally);
        }
    }
}

fn level_value(code: u8) -> FieldValue {
    Level::from_code(code).map_or(FieldValue::Missing, FieldValue::Level)
}

/// Counts some events of a block.
pub(super) fn count(open: &Open<'_>, rows: &Rows, tables: &mut Tables) -> Result<(), BlockError> {
    if rows.is_empty() {
        return Ok(());
    }
    let specs = tables.specs().clone();
    let is_by_columns = |spec: &TableSpec| {
        spec.measure == Measure::Count
            && !spec.by.contains(&Key::Message)
            && spec.by.len() <= MAX_KEYS
    };
    if !specs.iter().all(is_by_columns) {
        return open.each_event(rows, &mut |logs| logs.iter().for_each(|log| tables.observe(log)));
    }
    // All is read before anything is counted, so that damage leaves the tables as they were.
    let mut involved = Rows::none(open.rows());
    let mut columns: Vec<Vec<Column>> = Vec::new();
    for spec in specs.iter() {
        let read = spec.by.iter().map(|key| Column::read(open, key, (rows, &mut involved)));
        columns.push(read.collect::<Result<_, _>>()?);
    }
    let times = open.times()?;
    let mut plain = rows.clone();
    plain.and_not(&involved);
    let involved: Vec<u32> = involved.iter().filter_map(|row| u32::try_from(row).ok()).collect();
    let involved = if involved.is_empty() { None } else { Some(open.materialise(&involved)?) };
    for (at, (spec, columns)) in specs.iter().zip(&columns).enumerate() {
        let groups = group_by(spec, columns, (&plain, times));
        for (Group { numbers, bucket }, sum) in groups {
            let columns = columns.iter().zip(numbers);
            let values: Vec<FieldValue> =
                columns.filter_map(|(column, number)| column.value(number)).collect();
            let times = (Timestamp::from_nanos(sum.first), Timestamp::from_nanos(sum.last));
            tables.add(at, &values, &Tally { count: sum.count, sum: 0.0, times, bucket });
        }
    }
    if let Some(group) = involved {
        group.iter().for_each(|log| tables.observe(&log));
    }
    Ok(())
}

/// The fields of a table, at most.
const MAX_KEYS: usize = 4;

/// Events with the same values, in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Group {
    numbers: [u32; MAX_KEYS],
    bucket: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    count: u64,
    first: i64,
    last: i64,
}

impl Sum {
    const NOTHING: Self = Self { count: 0, first: i64::MAX, last: i64::MIN };

    fn add(&mut self, more: Self) {
        self.count += more.count;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// Up to so many combinations of values have a place each.
const MAX_PLACES: usize = 1 << 16;

/// Sums up the events of `rows` by their values and stretches of time.
fn group_by(
    spec: &TableSpec,
    columns: &[Column],
    (rows, times): (&Rows, &[i64]),
) -> Vec<(Group, Sum)> {
    let mut stretches = Stretches::new(spec.buckets.as_ref());
    let each = rows.iter().map(|row| {
        let nanos = times.get(row).copied().unwrap_or_default();
        let mut numbers = [0; MAX_KEYS];
        for (slot, column) in numbers.iter_mut().zip(columns) {
            *slot = column.numbers.get(row).copied().unwrap_or_default();
        }
        let sum = Sum { count: 1, first: nanos, last: nanos };
        (Group { numbers, bucket: stretches.of(nanos) }, sum)
    });
    let buckets = spec.buckets.as_ref().map_or(0, Buckets::count) + 1;
    let sizes = columns.iter().map(|column| column.values.len());
    match sizes.clone().try_fold(buckets, usize::checked_mul) {
        Some(places @ ..=MAX_PLACES) => {
            by_place(each, (places, buckets), &sizes.collect::<Vec<_>>())
        }
        _ => {
            let mut sums: HashMap<Group, Sum> = HashMap::new();
            each.for_each(|(group, sum)| sums.entry(group).or_insert(Sum::NOTHING).add(sum));
            sums.into_iter().collect()
        }
    }
}

fn by_place(
    each: impl Iterator<Item = (Group, Sum)>,
    (places, buckets): (usize, usize),
    sizes: &[usize],
) -> Vec<(Group, Sum)> {
    let mut sums = vec![Sum::NOTHING; places];
    for (group, sum) in each {
        let bucket = group.bucket.map_or(0, |bucket| bucket + 1);
        let place = sizes
            .iter()
            .zip(group.numbers)
            .fold(bucket, |place, (size, number)| place * size + number as usize);
        if let Some(place) = sums.get_mut(place) {
            place.add(sum);
        }
    }
    let group_at = |mut place: usize| {
        let mut numbers = [0; MAX_KEYS];
        for (slot, size) in numbers.iter_mut().zip(sizes).rev() {
            *slot = u32::try_from(place % size).unwrap_or(u32::MAX);
            place /= size;
        }
        Group { numbers, bucket: (place % buckets).checked_sub(1) }
    };
    let some = sums.into_iter().enumerate().filter(|(_, sum)| sum.count > 0);
    some.map(|(place, sum)| (group_at(place), sum)).collect()
}

/// Finds stretches of time; that of the last instant is tried first.
struct Stretches<'b> {
    buckets: Option<&'b Buckets>,
    last: Option<(usize, i64, i64)>,
}

impl<'b> Stretches<'b> {
    const fn new(buckets: Option<&'b Buckets>) -> Self {
        Self { buckets, last: None }
    }

    fn of(&mut self, nanos: i64) -> Option<usize> {
        if let Some((at, start, end)) = self.last
            && (start..end).contains(&nanos)
        {
            return Some(at);
        }
        let buckets = self.buckets?;
        let at = buckets.of(Timestamp::from_nanos(nanos))?;
        let bound = |at: usize| buckets.bounds().get(at).map(|bound| bound.as_nanos());
        self.last = bound(at).zip(bound(at + 1)).map(|(start, end)| (at, start, end));
        Some(at)
    }
}

/// The values of events by one key: a number for each row, and what it stands for.
struct Column {
    numbers: Vec<u32>,
    values: Vec<FieldValue>,
}

impl Column {
    fn value(&self, number: u32) -> Option<FieldValue> {
        self.values.get(number as usize).cloned()
    }

    /// Reads the values of `rows`; adds rows to `involved` whose values it takes the event to tell.
    fn read(
        open: &Open<'_>,
        key: &Key,
        (rows, involved): (&Rows, &mut Rows),
    ) -> Result<Self, BlockError> {
        let text = |text: &str| FieldValue::Text(text.into());
        Ok(match key {
            Key::Level => Self {
                numbers: open.flags()?.iter().map(|flags| u32::from(flags & LEVEL_BITS)).collect(),
                values: (0..=LEVEL_BITS).map(level_value).collect(),
            },
            Key::Source => {
                let known = open.dictionaries()?.sources.iter().map(text);
                let values = [FieldValue::Missing].into_iter().chain(known).collect();
                Self { numbers: open.sources()?.iter().copied().map(u32::from).collect(), values }
            }
            Key::Tag => {
                let values = open.dictionaries()?.tags.iter().map(|tag| text(tag)).collect();
                let runs = open.runs()?.iter();
                let tags = runs.flat_map(|run| std::iter::repeat_n(u32::from(run.tag), run.rows));
                Self { numbers: tags.collect(), values }
            }
            Key::Metadata(path) => Self::metadata(open, path, (rows, involved))?,
            Key::Message => Self { numbers: Vec::new(), values: Vec::new() },
        })
    }

    fn metadata(
        open: &Open<'_>,
        path: &str,
        (rows, involved): (&Rows, &mut Rows),
    ) -> Result<Self, BlockError> {
        let reader = PathReader::new(open, path)?;
        let mut column = Self { numbers: vec![0; open.rows()], values: vec![FieldValue::Missing] };
        let mut known: HashMap<FieldValue, u32> = HashMap::new();
        let mut values = Values::default();
        for page in open.pages()? {
            reader.page(page, (rows, &mut values), &mut |row, shown| {
                let value = match shown {
                    Shown::Nothing => return,
                    Shown::Involved => return involved.insert(row),
                    Shown::One(value) => FieldValue::of(value),
                };
                // A map is no value.
                let Some(value) = value else { return };
                let next = u32::try_from(column.values.len()).unwrap_or(u32::MAX);
                let number = *known.entry(value.clone()).or_insert(next);
                if number == next {
                    column.values.push(value);
                }
                if let Some(slot) = column.numbers.get_mut(row) {
                    *slot = number;
                }
            })?;
        }
        Ok(column)
    }
}
