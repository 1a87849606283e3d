//! Events as lines of a terminal.

use std::io::{BufWriter, IsTerminal as _, Stdout, Write};

use serde_json::Value;

/// Buffered standard output.
pub(crate) fn output() -> BufWriter<Stdout> {
    BufWriter::new(std::io::stdout())
}

/// Writes an event of the API as `time level source message key=value …`.
///
/// Control characters of the event, escape sequences, marks that turn the direction of writing and
/// marks without width are shown, not obeyed.
pub(crate) fn write_event(out: &mut impl Write, json: &str) -> std::io::Result<()> {
    let has_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let Ok(event) = serde_json::from_str::<Value>(json) else {
        // Nested deeper than can be taken apart.
        return writeln!(out, "{}", safe(json));
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("-");
    let level = text("level");
    let (on, off) = if has_colour { (colour(level), "\x1b[0m") } else { ("", "") };
    let time = text("timestamp").get(..23).unwrap_or_else(|| text("timestamp"));
    write!(out, "{time}Z {on}{level:5}{off} {} {}", safe(text("source")), safe(text("message")))?;
    for (key, value) in event.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::String(text) => write!(out, " {}={}", safe(key), safe(text))?,
            other => write!(out, " {}={}", safe(key), safe(&other.to_string()))?,
        }
    }
    writeln!(out)
}

fn colour(level: &str) -> &'static str {
    match level {
        "FATAL" => "\x1b[1;31m",
        "ERROR" => "\x1b[31m",
        "WARN" => "\x1b[33m",
        "INFO" => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// The text with everything escaped that a terminal would act on.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let acts = c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}');
        if acts {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The columns of the terminal; 80 where standard output is none.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.or_else(|| Some(usize::from(terminal_size::terminal_size()?.0.0))).unwrap_or(80)
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The text in exactly so many columns: cut, or filled up with blanks.
pub(crate) fn fitted(text: &str, length: usize) -> String {
    let mut out = String::new();
    let mut left = length;
    let is_long = columns(text) > length;
    for c in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if is_long && wide + 1 > left {
            break;
        }
        out.push(c);
        left -= wide;
    }
    if is_long && left > 0 {
        out.push('…');
        left -= 1;
    }
    out.extend(std::iter::repeat_n(' ', left));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_its_column() {
        assert_eq!(fitted("ab", 4), "ab  ");
        assert_eq!(fitted("abcdef", 4), "abc…");
        assert_eq!(fitted("決済サービス", 5), "決済…");
        assert_eq!(fitted("決済サービス", 4), "決… ");
        assert_eq!(fitted("", 0), "");
    }

    ///
    #[test]
    fn shows_what_a_terminal_would_obey() {
        let json = serde_json::json!({
            "timestamp": "2026-11-22T14:03:05.123456789Z",
            "level": "WARN",
            "source": null,
            "message": "a\u{1b}]52;c;AAAA\u{7}b\r\n\u{202e}c\u{200b}",
            "metadata": {"n": 1, "s": "x\ty"},
        });
        let mut out = Vec::new();
        write_event(&mut out, &json.to_string()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-11-22T14:03:05.123Z WARN  - a\\u{1b}]52;c;AAAA\\u{7}b\\r\\n\\u{202e}c\\u{200b} n=1 s=x\\ty\n"
        );
    }
}
