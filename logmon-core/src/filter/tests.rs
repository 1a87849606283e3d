use super::sample::Sample;
use super::*;
use crate::{Event, Level, Scalar};

const DOCUMENT: &str = include_str!("../../../docs/filters.md");

fn table() -> toml::Table {
    include_str!("../../testdata/filters.toml").parse().unwrap()
}

fn events(table: &toml::Table) -> Vec<(&str, Sample)> {
    let events = table["events"].as_table().unwrap();
    events.iter().map(|(name, json)| (&**name, Sample::from_json(json.as_str().unwrap()))).collect()
}

#[test]
fn agrees_with_every_row_of_the_table() {
    let table = table();
    let events = events(&table);
    for row in table["rows"].as_array().unwrap() {
        let query = row["query"].as_str().unwrap();
        let filter = Filter::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(filter.to_string(), row["print"].as_str().unwrap(), "print of `{query}`");
        assert_eq!(Filter::parse(&filter.to_string()).as_ref(), Ok(&filter), "`{query}` reread");
        let passes: Vec<_> =
            row["passes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for (name, event) in &events {
            let expected = passes.contains(name);
            assert_eq!(filter.matches(event), expected, "`{query}` on {name}");
            assert_eq!(naive::matches(&filter, event), expected, "`{query}` on {name}, naively");
            assert_eq!(
                filter.simplify().matches(event),
                expected,
                "`{query}` on {name}, simplified"
            );
        }
    }
}

#[test]
fn says_where_each_mistake_is() {
    for row in table()["errors"].as_array().unwrap() {
        let query = row["query"].as_str().unwrap();
        let error = Filter::parse(query).expect_err(query);
        let place = [error.offset(), error.length()].map(|number| number.to_string());
        let expected = ["offset", "length"].map(|key| row[key].as_integer().unwrap().to_string());
        assert_eq!(place, expected, "offset and length for `{query}`");
        assert_eq!(format!("{:?}", error.kind()), row["kind"].as_str().unwrap(), "`{query}`");
        let first = error.expected().first().copied().unwrap_or_default();
        assert_eq!(first, row["expected"].as_str().unwrap(), "expected by `{query}`");
        let detail = row["detail"].as_str().unwrap();
        assert!(error.detail().starts_with(detail), "`{query}`: {error}");
    }
}

#[test]
fn the_examples_of_the_documentation_are_filters() {
    let mut lines = DOCUMENT.lines();
    let mut count = 0;
    while lines.by_ref().any(|line| line == "```logmon") {
        for line in lines.by_ref().take_while(|line| *line != "```") {
            let query = line.split("   #").next().unwrap_or_default();
            assert!(Filter::parse(query).is_ok(), "{query}: {:?}", Filter::parse(query));
            count += 1;
        }
    }
    assert!(count > 30, "found only {count} examples");
}

/// The first two columns of the table in a section of the documentation.
fn columns(section: &str) -> Vec<(String, String)> {
    let (_, text) = DOCUMENT.split_once(&format!("\n## {section}\n")).unwrap();
    let (text, _) = text.split_once("\n## ").unwrap_or((text, ""));
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches('|').replace("\\|", "\u{1}"));
    let both = cells.map(|row| {
        let (left, right) = row.split_once('|').unwrap();
        [left, right].map(|cell| cell.trim().replace('\u{1}', "|")).into()
    });
    both.collect()
}

#[test]
fn the_forms_of_the_documentation_are_filters() {
    for (forms, _) in columns("Forms") {
        for form in forms.split('`').skip(1).step_by(2) {
            assert!(Filter::parse(form).is_ok(), "{form}: {:?}", Filter::parse(form));
        }
    }
}

#[test]
fn the_errors_of_the_documentation_are_those_of_the_parser() {
    for (query, error) in columns("Errors") {
        let found = Filter::parse(query.trim_matches('`')).unwrap_err().to_string();
        assert_eq!(error, found, "{query}");
    }
}

fn limit_of(text: &str) -> String {
    let error = Filter::parse(text).unwrap_err();
    assert_eq!(error.kind(), ParseFilterErrorKind::Limit, "{error}");
    error.detail().to_owned()
}

#[test]
fn every_limit_is_an_error_that_names_it() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(limit_of(&nested(MAX_DEPTH + 1)).contains("deeper than 64"));
    assert!(limit_of(&"NOT ".repeat(100_000 / 8)).contains("deeper than 64"));
    assert!(Filter::parse(&"a ".repeat(MAX_ATOMS)).is_ok());
    assert!(limit_of(&"a ".repeat(MAX_ATOMS + 1)).contains("1000 tests"));
    assert!(limit_of(&"a".repeat(MAX_TEXT_BYTES + 1)).contains("65536 bytes"));
    assert!(limit_of(&"/a/ ".repeat(MAX_REGEXPS + 1)).contains("64 regular expressions"));
    assert!(limit_of(&format!("{}:1", "a".repeat(MAX_NAME_BYTES + 1))).contains("512 bytes"));
    let long = format!("{}:({})", "a".repeat(MAX_NAME_BYTES), "1 ".repeat(200));
    assert!(limit_of(&long).contains("written out"));
}

#[test]
fn now_is_fixed_once() {
    let filter = Filter::parse("a timestamp:[now-1h TO now]").unwrap();
    assert!(filter.uses_now() && !Filter::parse("a OR timestamp>=0").unwrap().uses_now());
    let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let resolved = filter.resolve(noon);
    assert!(!resolved.uses_now());
    let hours = "timestamp:[2026-11-22T11:00:00Z TO 2026-11-22T12:00:00Z]";
    assert_eq!(resolved, Filter::parse(&format!("a {hours}")).unwrap());
    let event = Sample { timestamp: noon, message: "a".to_owned(), ..Sample::default() };
    assert!(resolved.matches(&event) && !filter.matches(&event));
}

#[test]
fn values_that_json_lacks_compare_too() {
    let accepts = |text: &str, value| match Filter::parse(text).unwrap() {
        Filter::Atom(atom) => match &*atom {
            Atom::Field(test) => test.test().accepts(value),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    let time = Scalar::Time("2026-11-22T12:00:00Z".parse().unwrap());
    assert!(accepts("at:2026-11-22T21:00:00+09:00", time));
    assert!(accepts("at>=\"2026-11-22T12:00:00Z\"", time));
    assert!(!accepts("at>2026-11-22T12:00:00Z", time) && !accepts("at:now", time));
    assert!(accepts("x:*", Scalar::Bytes(b"\xff")) && !accepts("x:a", Scalar::Bytes(b"a")));
    assert!(accepts("x:18446744073709551615", Scalar::Int(i128::from(u64::MAX))));
    for text in ["x:0", "x<=0", "x>=0", "x:NaN"] {
        assert!(!accepts(text, Scalar::Float(f64::NAN)), "{text}");
    }
}

#[test]
fn simplify_makes_equal_what_means_the_same() {
    for (text, simple) in [
        ("b a b", "a AND b"),
        ("/x/ level:error", "level:error AND /x/"),
        ("a (b (c d))", "a AND b AND c AND d"),
        ("NOT NOT a", "a"),
        ("a OR *", "*"),
        ("a OR NOT *", "a"),
        ("a NOT *", "NOT *"),
        ("a NOT a", "NOT *"),
        ("a OR b OR NOT a", "*"),
        ("a (a OR b)", "a"),
        ("a OR (a b) OR c", "a OR c"),
        ("(a (a OR b)) OR a", "a"),
        ("NOT (a OR *)", "NOT *"),
    ] {
        assert_eq!(Filter::parse(text).unwrap().simplify().to_string(), simple, "{text}");
    }
}

#[test]
fn a_set_evaluates_each_distinct_filter_once() {
    let table = table();
    let events = events(&table);
    let mut set = FilterSet::new();
    let mut register = |text: &str| set.register(&Filter::parse(text).unwrap());
    let errors = register("level:error connection");
    assert_eq!(register("connection AND (level:error OR level:error)"), errors);
    let (all, nothing) = (register("*"), register("nosuch:1"));
    assert_eq!(set.len(), 3);

    let found = set.evaluate(events.iter().map(|(_, event)| event.clone()));
    let names = |id| {
        let matches = found.iter().find(|matches| matches.filter == id);
        matches.map(|matches| matches.events.iter().map(|at| events[*at as usize].0).collect())
    };
    assert_eq!(names(errors), Some(vec!["reset"]));
    assert_eq!(names(all).map(|names: Vec<_>| names.len()), Some(8));
    assert_eq!(names(nothing), None);
}

#[test]
fn a_set_forgets_a_filter_with_its_last_registration() {
    let mut set = FilterSet::new();
    let a = Filter::parse("a").unwrap();
    let id = set.register(&a);
    set.register(&a);
    assert!(!set.release(id));
    assert_eq!(set.get(id), Some(&a));
    assert!(set.release(id) && set.is_empty() && set.get(id).is_none());
    assert!(!set.release(id), "released once too often");
    assert_eq!(set.register(&Filter::parse("b").unwrap()), id, "the place is used again");
}

#[test]
fn a_long_message_costs_linear_time() {
    // Each would take hours if a repeated beginning were compared from every place.
    let message = "a ".repeat(200_000);
    let event = Sample { message, level: Some(Level::Info), ..Sample::default() };
    let event: &dyn Event = &event;
    for text in [
        format!("\"{}b\"", "a ".repeat(20_000)),
        format!("*{}b*", "a\\ ".repeat(20_000)),
        format!("x:{}b", "a*".repeat(20_000)),
    ] {
        assert!(!Filter::parse(&text).unwrap().matches(event));
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_uses_the_text() {
    let filter: Filter = serde_json::from_str(r#""Level:1 \"a b\"""#).unwrap();
    assert_eq!(serde_json::to_string(&filter).unwrap(), r#""Level:1 AND \"a b\"""#);
    assert!(serde_json::from_str::<Filter>(r#""level:""#).is_err());
}
