//! Figures as bars of a terminal.

use std::io::{Result, Write};

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::terminal::{columns, fitted, safe};

/// The least a bar may be long.
const MIN_BAR: usize = 10;
/// The most a name takes.
const MAX_NAME: usize = 40;

/// One line: a name, a count, and what stands behind the bar.
struct Line {
    name: String,
    count: f64,
    shown: String,
    behind: String,
}

/// The answer of `/api/stats/count`.
pub(super) fn count(out: &mut dyn Write, answer: &Value, width: usize) -> Result<()> {
    let Some(rows) = answer.get("rows").and_then(Value::as_array) else {
        return writeln!(out, "{}", answer.get("count").unwrap_or(&Value::Null));
    };
    let by: Vec<&str> = list(answer, "by").filter_map(Value::as_str).collect();
    let lines = rows.iter().map(|row| {
        let names = by.iter().map(|name| text(row.get("values").and_then(|of| of.get(name))));
        line(names.collect::<Vec<_>>().join("  "), row.get("count"), String::new())
    });
    let mut lines: Vec<Line> = lines.collect();
    lines.extend(rest(answer, "other"));
    bars(out, &lines, width)
}

/// The answer of `/api/stats/top`.
pub(super) fn top(out: &mut dyn Write, answer: &Value, width: usize) -> Result<()> {
    let lines = list(answer, "rows").map(|row| {
        let share = row.get("share").and_then(Value::as_f64).unwrap_or(0.0);
        let measure = row.get("sum").or_else(|| row.get("count"));
        line(text(row.get("value")), measure, format!("{:5.1} %  {}", share * 100.0, spark(row)))
    });
    bars(out, &lines.collect::<Vec<_>>(), width)?;
    for (name, said) in [("other", "of other values"), ("missing", "without the field")] {
        if let Some(count) = answer.get(name).and_then(Value::as_u64).filter(|count| *count > 0) {
            writeln!(out, "{count} {said}")?;
        }
    }
    Ok(())
}

/// The answer of `/api/stats/histogram`, its times as a clock of the zone shows them.
pub(super) fn histogram(
    out: &mut dyn Write,
    answer: &Value,
    zone: &str,
    width: usize,
) -> Result<()> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let starts: Vec<String> =
        list(answer, "t").map(|start| clock(start.as_f64().unwrap_or(0.0), &zone)).collect();
    let keys: Vec<String> = list(answer, "keys").map(|key| text(Some(key))).collect();
    let mut series: Vec<(String, &Value)> = keys.into_iter().zip(list(answer, "v")).collect();
    if let Some(other) = answer.get("other") {
        series.push(("other".to_owned(), other));
    }
    let at = |counts: &Value, at: usize| counts.get(at).and_then(Value::as_u64).unwrap_or(0);
    let is_apart = series.len() > 1;
    let lines = starts.into_iter().enumerate().map(|(bucket, name)| {
        let parts = series.iter().map(|(name, counts)| (name, at(counts, bucket)));
        let all: u64 = parts.clone().map(|(_, count)| count).sum();
        let parts = parts.filter(|(_, count)| is_apart && *count > 0);
        let behind: Vec<String> = parts.map(|(name, count)| format!("{name} {count}")).collect();
        line(name, Some(&Value::from(all)), behind.join(", "))
    });
    bars(out, &lines.collect::<Vec<_>>(), width)
}

fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn line(name: String, count: Option<&Value>, behind: String) -> Line {
    let shown = count.map_or_else(String::new, Value::to_string);
    Line { name, count: count.and_then(Value::as_f64).unwrap_or(0.0), shown, behind }
}

/// What is in none of the rows, if there is anything.
fn rest(answer: &Value, name: &str) -> Option<Line> {
    let count = answer.get(name).filter(|count| count.as_u64() > Some(0))?;
    Some(line(format!("({name})"), Some(count), String::new()))
}

/// A value; nothing that a terminal would obey is left in it.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => safe(text),
        Some(other) => safe(&other.to_string()),
    }
}

/// Writes the lines; the longest bar takes what is left of the width.
fn bars(out: &mut dyn Write, lines: &[Line], width: usize) -> Result<()> {
    let widest = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let name = widest(&|line| columns(&line.name)).min(MAX_NAME);
    let count = widest(&|line| line.shown.len());
    let behind = widest(&|line| columns(&line.behind));
    let bar = width.saturating_sub(name + count + behind + 6).max(MIN_BAR);
    let most = lines.iter().map(|line| line.count).fold(0.0, f64::max);
    for line in lines {
        let text = format!(
            "{}  {:>count$}  {}  {}",
            fitted(&line.name, name),
            line.shown,
            drawn(line.count, most, bar),
            line.behind
        );
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// A bar of eighths of columns, blank up to its greatest length.
fn drawn(count: f64, most: f64, length: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let share = if most > 0.0 { (count / most).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a length of a line, not negative"
    )]
    let eighths = (share * (length * 8) as f64).round() as usize;
    // Something is not nothing.
    let eighths = if count > 0.0 { eighths.max(1) } else { 0 };
    let mut bar = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        bar.extend(PARTS.get(eighths % 8));
    }
    fitted(&bar, length)
}

/// A sparkline of a row.
fn spark(row: &Value) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let points: Vec<u64> = list(row, "spark").filter_map(Value::as_u64).collect();
    let most = points.iter().copied().max().unwrap_or(0).max(1);
    let height = |point: &u64| match point {
        0 => ' ',
        point => *HEIGHTS.get(usize::try_from(point * 7 / most).unwrap_or(7)).unwrap_or(&'█'),
    };
    points.iter().map(height).collect()
}

/// Unix seconds as a clock of the zone shows them.
fn clock(seconds: f64, zone: &TimeZone) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of our time")]
    let time = jiff::Timestamp::from_millisecond((seconds * 1_000.0).round() as i64);
    let Ok(time) = time else { return seconds.to_string() };
    let form = if seconds.fract() == 0.0 { "%F %T" } else { "%F %T%.3f" };
    time.to_zoned(zone.clone()).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bars_fill_the_width() {
        let answer = json!({"by": ["level", "source"], "count": 30, "other": 0, "rows": [
            {"values": {"level": "ERROR", "source": "web"}, "count": 20},
            {"values": {"source": "決済"}, "count": 10},
        ]});
        let expected = "ERROR  web  20  ████████████████████\n\
                        -  決済     10  ██████████\n";
        assert_eq!(shown(|out| count(out, &answer, 38)), expected);
        assert_eq!(shown(|out| count(out, &json!({"count": 5}), 38)), "5\n");
    }

    ///
    #[test]
    fn nothing_of_a_value_is_obeyed() {
        let answer = json!({"rows": [{"value": "a\u{1b}[2J\n", "count": 1, "share": 0.5, "spark": [0, 1, 2]}]});
        let text = shown(|out| top(out, &answer, 60));
        assert!(text.starts_with("a\\u{1b}[2J\\n  1  "), "{text}");
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with("50.0 %   ▄█\n"), "{text}");
    }

    #[test]
    fn a_histogram_shows_the_clock_of_the_zone() {
        let answer = json!({"t": [1_767_323_040, 1_767_323_100], "keys": ["ERROR", null],
            "v": [[0, 2], [0, 6]]});
        let text = shown(|out| histogram(out, &answer, "Asia/Tokyo", 64));
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("2026-01-02 12:04:00  0"));
        let last = lines.next().unwrap();
        assert!(
            last.starts_with("2026-01-02 12:05:00  8  █") && last.ends_with("█  ERROR 2, - 6"),
            "{last}"
        );
    }
}
