//! Durations, sizes and instants as people write them.

use std::time::Duration;

use jiff::tz::TimeZone;
use logmon_core::Timestamp;

/// A duration such as `250ms`, `30s`, `15m`, `6h`, `7d` or `2w`, or several one after the other.
///
/// # Errors
/// What was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is not a duration such as 250ms, 30s, 15m, 6h, 7d or 2w");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(expected());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
        let (number, behind) = rest.split_at_checked(digits).ok_or_else(expected)?;
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(letters).ok_or_else(expected)?;
        let number: u64 = number.parse().map_err(|_| expected())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(expected()),
        };
        let part = number.checked_mul(millis).map(Duration::from_millis).ok_or_else(expected)?;
        total = total.checked_add(part).ok_or_else(expected)?;
        rest = behind.trim_start();
    }
    Ok(total)
}

/// A number of bytes: `1048576`, `64KiB`, `8MiB`, `10GiB`, or decimal `kB`, `MB`, `GB`, `TB`.
///
/// # Errors
/// What was expected.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is not a size such as 1048576, 64KiB, 8MiB or 10GB");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(expected()),
    };
    number.checked_mul(unit).ok_or_else(expected)
}

/// An instant: RFC 3339; a Unix number in seconds, milliseconds, microseconds or nanoseconds, told
/// apart by size; or `now`, `now-15m`, `now+1h`, `now/d` (the start of the day in `zone`).
///
/// # Errors
/// What was expected.
pub(crate) fn instant(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        return relative(rest, now, zone).ok_or_else(|| {
            format!("`{text}` is not a relative time such as now, now-15m, now+1h or now/d")
        });
    }
    if let Some(time) = unix(text) {
        return Ok(time);
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let local = text.parse::<jiff::civil::DateTime>().ok();
    local
        .and_then(|time| zone.to_timestamp(time).ok())
        .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
        .map(Timestamp::from_nanos)
        .ok_or_else(|| {
            format!("`{text}` is not a time: write RFC 3339, Unix seconds, now or now-15m")
        })
}

/// A Unix number, its unit told by its size.
pub(crate) fn unix(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        let unit = match number.unsigned_abs() {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return number.checked_mul(unit).map(Timestamp::from_nanos);
    }
    let looks_like_a_number =
        text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    let seconds = looks_like_a_number.then(|| text.parse::<f64>().ok()).flatten()?;
    Timestamp::from_seconds_f64(seconds)
}

fn relative(rest: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if rest.is_empty() {
        return Some(now);
    }
    let (sign, text) = rest.split_at_checked(1)?;
    let nanos = |text| i64::try_from(duration(text).ok()?.as_nanos()).ok();
    match sign {
        "-" => Some(now.saturating_add_nanos(-nanos(text)?)),
        "+" => Some(now.saturating_add_nanos(nanos(text)?)),
        "/" if text == "d" => {
            let now = jiff::Timestamp::from_nanosecond(i128::from(now.as_nanos())).ok()?;
            let day = now.to_zoned(zone.clone()).start_of_day().ok()?;
            i64::try_from(day.timestamp().as_nanosecond()).ok().map(Timestamp::from_nanos)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(14 * 86_400)));
        //
        for bad in ["", "1", "1h1", "-5s", "5 parsecs", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(bytes("8MiB"), Ok(8 << 20));
        assert_eq!(bytes("10 GB"), Ok(10_000_000_000));
        for bad in ["", "-1", "1e99", "5 pieces", "99999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_instants() {
        let now = Timestamp::from_seconds(1_800_000_000, 5).unwrap();
        let read = |text| instant(text, now, &TimeZone::UTC).map(Timestamp::as_nanos);
        assert_eq!(read("now"), Ok(now.as_nanos()));
        assert_eq!(read("now-15m"), Ok(now.as_nanos() - 900_000_000_000));
        assert_eq!(read("now/d"), Ok(1_799_971_200_000_000_000));
        assert_eq!(read("1800000000"), Ok(1_800_000_000_000_000_000));
        assert_eq!(read("1800000000123"), Ok(1_800_000_000_123_000_000));
        assert_eq!(read("0.5"), Ok(500_000_000));
        assert_eq!(read("2027-01-15T09:00:00+01:00"), Ok(1_800_000_000_000_000_000));
        assert_eq!(read("2027-01-15T08:00:00"), Ok(1_800_000_000_000_000_000));
        for bad in ["", "then", "now*2", "now-", "2027-99-01T00:00:00Z", "9999-01-01T00:00:00Z"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
