//! Stretches of time that people count in: 1, 2 or 5 of a unit, and the calendar.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use logmon_core::Timestamp;

/// The most buckets of a histogram.
pub(super) const MAX_BUCKETS: usize = 1_000;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The length of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    name: &'static str,
    reach: Reach,
}

/// How far a bucket reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// So many nanoseconds, counted from the start of each day.
    Nanos(i64),
    Day,
    /// From Monday on.
    Week,
    Months(i8),
    Years(i16),
}

const fn step(name: &'static str, reach: Reach) -> Step {
    Step { name, reach }
}

/// All there are, ascending.
const STEPS: &[Step] = &[
    step("1ms", Reach::Nanos(SECOND / 1_000)),
    step("2ms", Reach::Nanos(SECOND / 500)),
    step("5ms", Reach::Nanos(SECOND / 200)),
    step("10ms", Reach::Nanos(SECOND / 100)),
    step("20ms", Reach::Nanos(SECOND / 50)),
    step("50ms", Reach::Nanos(SECOND / 20)),
    step("100ms", Reach::Nanos(SECOND / 10)),
    step("200ms", Reach::Nanos(SECOND / 5)),
    step("500ms", Reach::Nanos(SECOND / 2)),
    step("1s", Reach::Nanos(SECOND)),
    step("2s", Reach::Nanos(2 * SECOND)),
    step("5s", Reach::Nanos(5 * SECOND)),
    step("10s", Reach::Nanos(10 * SECOND)),
    step("20s", Reach::Nanos(20 * SECOND)),
    step("30s", Reach::Nanos(30 * SECOND)),
    step("1m", Reach::Nanos(MINUTE)),
    step("2m", Reach::Nanos(2 * MINUTE)),
    step("5m", Reach::Nanos(5 * MINUTE)),
    step("10m", Reach::Nanos(10 * MINUTE)),
    step("20m", Reach::Nanos(20 * MINUTE)),
    step("30m", Reach::Nanos(30 * MINUTE)),
    step("1h", Reach::Nanos(HOUR)),
    step("2h", Reach::Nanos(2 * HOUR)),
    step("4h", Reach::Nanos(4 * HOUR)),
    step("6h", Reach::Nanos(6 * HOUR)),
    step("12h", Reach::Nanos(12 * HOUR)),
    step("1d", Reach::Day),
    step("1w", Reach::Week),
    step("1mo", Reach::Months(1)),
    step("3mo", Reach::Months(3)),
    step("6mo", Reach::Months(6)),
    step("1y", Reach::Years(1)),
    step("2y", Reach::Years(2)),
    step("5y", Reach::Years(5)),
    step("10y", Reach::Years(10)),
    step("20y", Reach::Years(20)),
    step("50y", Reach::Years(50)),
    step("100y", Reach::Years(100)),
];

impl Step {
    /// The step of this name, or the next longer one to a duration.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = match text {
            "second" => "1s",
            "minute" => "1m",
            "hour" => "1h",
            "day" => "1d",
            "week" => "1w",
            "month" => "1mo",
            "quarter" => "3mo",
            "year" => "1y",
            text => text,
        };
        if let Some(step) = STEPS.iter().find(|step| step.name == name) {
            return Ok(*step);
        }
        let expected =
            || format!("`{text}` is not a step such as auto, 10s, 5m, 1h, day, week, 1mo or 1y");
        let wanted = crate::units::duration(text).map_err(|_| expected())?.as_nanos();
        let fits = |step: &&Self| u128::from(step.least().unsigned_abs()) >= wanted;
        STEPS.iter().find(fits).filter(|_| wanted > 0).copied().ok_or_else(expected)
    }

    /// The shortest step with which a range has no more than so many buckets, and their bounds.
    pub(super) fn fitting(
        from: Timestamp,
        to: Timestamp,
        zone: &TimeZone,
        most: usize,
    ) -> Option<(Self, Vec<Timestamp>)> {
        STEPS.iter().find_map(|step| Some((*step, step.bounds(from, to, zone, most)?)))
    }

    pub(super) const fn name(self) -> &'static str {
        self.name
    }

    /// The shortest a bucket is, but for those that a change of clocks cuts.
    const fn least(self) -> i64 {
        match self.reach {
            Reach::Nanos(nanos) => nanos,
            Reach::Day => DAY,
            Reach::Week => 7 * DAY,
            Reach::Months(months) => 28 * DAY * months as i64,
            Reach::Years(years) => 365 * DAY * years as i64,
        }
    }

    /// The bounds of the buckets that hold a range; `None` if they were more than `most`.
    pub(super) fn bounds(
        self,
        from: Timestamp,
        to: Timestamp,
        zone: &TimeZone,
        most: usize,
    ) -> Option<Vec<Timestamp>> {
        let length = i128::from(to.as_nanos()) - i128::from(from.as_nanos());
        // Months and years are up to a tenth longer than `least`, days of 25 hours too.
        if length / (2 * i128::from(self.least())) > most as i128 {
            return None;
        }
        let mut day = self.first_day(date_of(from, zone)?)?;
        let mut at = start_of(day, zone)?;
        if let Reach::Nanos(step) = self.reach {
            let into = i128::from(from.as_nanos()) - at;
            at += into - into.rem_euclid(i128::from(step));
        }
        let mut bounds = vec![clamped(at)];
        while bounds.len() <= most {
            let end = start_of(self.next(day)?, zone)?;
            at = match self.reach {
                Reach::Nanos(step) => (at + i128::from(step)).min(end),
                _ => end,
            };
            if at == end {
                day = self.next(day)?;
            }
            // Beyond what a timestamp reaches they fall together.
            if bounds.last() != Some(&clamped(at)) {
                bounds.push(clamped(at));
            }
            if clamped(at) >= to {
                return (bounds.len() >= 2).then_some(bounds);
            }
        }
        None
    }

    /// The first day of the bucket of a day.
    fn first_day(self, day: Date) -> Option<Date> {
        match self.reach {
            Reach::Nanos(_) | Reach::Day => Some(day),
            Reach::Week => {
                let behind = i64::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(jiff::Span::new().days(behind)).ok()
            }
            Reach::Months(months) => {
                let month = (day.month() - 1) / months * months + 1;
                Date::new(day.year(), month, 1).ok()
            }
            Reach::Years(years) => Date::new(day.year() - day.year().rem_euclid(years), 1, 1).ok(),
        }
    }

    /// The first day of the next bucket; the next day where buckets are shorter than days.
    fn next(self, day: Date) -> Option<Date> {
        let span = jiff::Span::new();
        let span = match self.reach {
            Reach::Nanos(_) | Reach::Day => span.days(1),
            Reach::Week => span.days(7),
            Reach::Months(months) => span.months(months),
            Reach::Years(years) => span.years(years),
        };
        day.checked_add(span).ok()
    }
}

fn date_of(time: Timestamp, zone: &TimeZone) -> Option<Date> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos())).ok()?;
    Some(time.to_zoned(zone.clone()).date())
}

/// The instant a day begins, in nanoseconds, which may lie beyond what a timestamp reaches.
fn start_of(day: Date, zone: &TimeZone) -> Option<i128> {
    Some(zone.to_zoned(day.at(0, 0, 0, 0)).ok()?.timestamp().as_nanosecond())
}

fn clamped(nanos: i128) -> Timestamp {
    let end = if nanos < 0 { i64::MIN } else { i64::MAX };
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(step: &str, from: &str, to: &str, zone: &str) -> Vec<String> {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let bounds = Step::parse(step).unwrap().bounds(time(from), time(to), &zone, MAX_BUCKETS);
        bounds.unwrap().iter().map(|bound| bound.to_string().replace(".000000000", "")).collect()
    }

    #[test]
    fn steps_are_rounded_up() {
        for (text, name) in [
            ("10s", "10s"),
            ("3s", "5s"),
            ("90s", "2m"),
            ("45m", "1h"),
            ("7d", "1w"),
            ("day", "1d"),
            ("1mo", "1mo"),
            ("year", "1y"),
            ("200d", "1y"),
        ] {
            assert_eq!(Step::parse(text).unwrap().name(), name, "{text}");
        }
        for bad in ["", "0s", "fast", "-1s", "1000000d"] {
            assert!(Step::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn buckets_begin_where_people_begin_to_count() {
        for (step, from, to, zone, expected) in [
            (
                "10s",
                "2026-11-22T14:03:05.5Z",
                "2026-11-22T14:03:20Z",
                "UTC",
                vec!["2026-11-22T14:03:00Z", "2026-11-22T14:03:10Z", "2026-11-22T14:03:20Z"],
            ),
            // A day of Tokyo begins at 15:00 UTC, an hour of Kolkata at half past.
            (
                "day",
                "2026-11-22T14:00:00Z",
                "2026-11-22T16:00:00Z",
                "Asia/Tokyo",
                vec!["2026-11-21T15:00:00Z", "2026-11-22T15:00:00Z", "2026-11-23T15:00:00Z"],
            ),
            (
                "1h",
                "2026-11-22T14:00:00Z",
                "2026-11-22T14:10:00Z",
                "Asia/Kolkata",
                vec!["2026-11-22T13:30:00Z", "2026-11-22T14:30:00Z"],
            ),
            // That day is a Sunday.
            (
                "week",
                "2026-11-22T14:00:00Z",
                "2026-11-22T15:00:00Z",
                "UTC",
                vec!["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"],
            ),
            (
                "quarter",
                "2026-11-22T14:00:00Z",
                "2027-02-01T00:00:00Z",
                "UTC",
                vec!["2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z"],
            ),
        ] {
            assert_eq!(bounds(step, from, to, zone), expected, "{step} {zone}");
        }
    }

    #[test]
    fn a_change_of_clocks_makes_a_day_shorter_or_longer() {
        // Clocks of Berlin go forward on 29 March and back on 25 October 2026.
        for (from, to, hours) in [
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23),
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25),
        ] {
            let of_hours = bounds("1h", from, to, "Europe/Berlin");
            assert_eq!(of_hours.len() - 1, hours);
            let days = bounds("1d", from, to, "Europe/Berlin");
            assert_eq!((days.len(), days.first()), (2, of_hours.first()));
            assert_eq!(days.last(), of_hours.last());
        }
    }

    #[test]
    fn any_range_has_a_step() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = 1_795_000_000_000_000_000;
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, 999, now, i64::MAX - 1, i64::MAX];
        for (at, from) in ends.iter().enumerate() {
            for to in &ends[at..] {
                for most in [1, 2, 7, 120, MAX_BUCKETS] {
                    let (from, to) = (Timestamp::from_nanos(*from), Timestamp::from_nanos(*to));
                    let Some((_, bounds)) = Step::fitting(from, to, &zone, most) else {
                        assert!(most < 7, "{from} to {to} in {most}");
                        continue;
                    };
                    assert!(bounds.len() - 1 <= most);
                    assert!(bounds.is_sorted_by(|a, b| a < b));
                    assert!(bounds[0] <= from && *bounds.last().unwrap() >= to);
                }
            }
        }
    }
}
