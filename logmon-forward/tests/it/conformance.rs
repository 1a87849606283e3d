//! The table of `docs/forward-conformance.md` has every row of the protocol's checklist, and the
//! tests it names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the checklist.
const ROWS: std::ops::RangeInclusive<u16> = 1..=153;

/// One line of the table: `| F-001 | case | test | result |`.
struct Row {
    case: String,
    tests: Vec<String>,
    result: String,
}

#[test]
fn every_row_is_there_and_names_its_test() {
    let rows = table();
    let missing: Vec<_> = ROWS.filter(|number| !rows.contains_key(number)).collect();
    assert!(missing.is_empty(), "rows without a line: {missing:?}");
    let beyond: Vec<_> = rows.keys().filter(|number| !ROWS.contains(number)).collect();
    assert!(beyond.is_empty(), "there are no such rows: {beyond:?}");
    let known = tests_of_the_workspace();
    for (number, row) in &rows {
        assert!(!row.case.is_empty(), "F-{number:03} says no case");
        match row.result.as_str() {
            "shown" => assert!(!row.tests.is_empty(), "F-{number:03} names no test"),
            // What cannot be shown here says why.
            why => assert!(why.len() > 20, "F-{number:03} neither shows nor explains: {why:?}"),
        }
        for test in &row.tests {
            assert!(known.contains(test), "F-{number:03} names `{test}`, which is no test");
        }
    }
}

/// The lines of the table by row.
fn table() -> BTreeMap<u16, Row> {
    let text = fs::read_to_string(root().join("docs/forward-conformance.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| F-")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [row, case, tests, result] = cells.try_into().unwrap_or_else(|cells: Vec<_>| {
            panic!("{} cells instead of 4: {line}", cells.len())
        });
        let number = row.strip_prefix("F-").unwrap().parse().unwrap();
        let tests = tests.split('`').skip(1).step_by(2).map(last_name).collect();
        let row = Row { case: case.to_owned(), tests, result: result.to_owned() };
        assert!(rows.insert(number, row).is_none(), "F-{number:03} stands twice");
    }
    rows
}

/// `listener::acks` is the test `acks`; the path is for people.
fn last_name(path: &str) -> String {
    path.rsplit("::").next().unwrap_or_default().to_owned()
}

/// The names of all functions that stand behind a test attribute, and of the tests in JavaScript
/// that are named by their file.
fn tests_of_the_workspace() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["logmon-core", "logmon-forward", "logmon-store", "logmon-bin", "tests/clients"] {
        visit(&root().join(folder), &mut names);
    }
    names
}

fn visit(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["node_modules", "ui", "target"].contains(&name.as_str()) {
            visit(&path, names);
        } else if name.ends_with(".test.mjs") {
            names.insert(name);
        } else if name.ends_with(".rs") {
            collect(&fs::read_to_string(&path).unwrap(), names);
        }
    }
}

/// Adds the functions of a file that stand behind `#[test]` or `#[tokio::test]`, or inside
/// `proptest!`, where every function is a test.
fn collect(source: &str, names: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let function = ["fn ", "async fn "].iter().find_map(|start| line.strip_prefix(start));
        if let (true, Some(function)) = (is_test, function) {
            names.insert(function.split(['(', '<']).next().unwrap_or_default().to_owned());
            is_test = false;
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
