//! The table of `docs/fault-matrix.md` has every row about one machine and its disk, and about
//! MongoDB, and the tests it names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rows about faults and about bad input that concern one machine and its disk, or MongoDB.
fn rows() -> BTreeSet<String> {
    let faults = (1..=45).chain(66..=70).chain(73..=76).map(|number| format!("S-{number:03}"));
    let input = (94..=100).chain(109..=110).map(|number| format!("R-{number:03}"));
    faults.chain(input).collect()
}

#[test]
fn every_row_is_there_and_shows_or_explains() {
    let table = table();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), rows());
    let mut tests = BTreeMap::new();
    for (folder, krate) in
        [("logmon-core", "core"), ("logmon-store", "store"), ("logmon-bin", "bin")]
    {
        visit(&root().join(folder), krate, &mut tests);
    }
    for (row, (named, result)) in &table {
        match result.as_str() {
            "shown" => assert!(!named.is_empty(), "{row} names no test"),
            // What cannot be shown here says why.
            why => assert!(why.len() > 20, "{row} neither shows nor explains: {why:?}"),
        }
        for name in named {
            let (krate, rest) = name.split_once("::").unwrap();
            let last = rest.rsplit("::").next().unwrap();
            let files = tests.get(&(krate.to_owned(), last.to_owned()));
            let files: &BTreeSet<String> =
                files.unwrap_or_else(|| panic!("{row} names `{name}`, which is no test"));
            // The module stands in the path of the file.
            let parts: Vec<_> = rest.split("::").collect();
            let module = parts.iter().rev().nth(1).filter(|module| **module != "tests");
            let is_there =
                module.is_none_or(|module| files.iter().any(|file| file.contains(*module)));
            assert!(is_there, "{row} names `{name}`, which is in {files:?}");
        }
    }
}

/// The tests and the result of each row: `| S-001 | fault | tests | result |`.
fn table() -> BTreeMap<String, (Vec<String>, String)> {
    let text = fs::read_to_string(root().join("docs/fault-matrix.md")).unwrap();
    let is_row = |line: &&str| line.starts_with("| S-") || line.starts_with("| R-");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(is_row) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [row, fault, tests, result] = cells
            .try_into()
            .unwrap_or_else(|cells: Vec<_>| panic!("{} cells instead of 4: {line}", cells.len()));
        assert!(!fault.is_empty(), "{row} names no fault");
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let known = rows.insert(row.to_owned(), (tests, result.to_owned()));
        assert!(known.is_none(), "{row} stands twice");
    }
    rows
}

/// Which files have a test of a name, by crate and name.
type Tests = BTreeMap<(String, String), BTreeSet<String>>;

fn visit(folder: &Path, krate: &str, tests: &mut Tests) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["ui", "target"].contains(&name.as_str()) {
            visit(&path, krate, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for test in tests_of(&fs::read_to_string(&path).unwrap()) {
                let files = tests.entry((krate.to_owned(), test)).or_default();
                files.insert(path.display().to_string());
            }
        }
    }
}

/// The functions of a file that stand behind `#[test]` or `#[tokio::test]`.
fn tests_of(source: &str) -> Vec<String> {
    let (mut is_test, mut names) = (false, Vec::new());
    for line in source.lines().map(str::trim_start) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let function = ["fn ", "async fn "].iter().find_map(|start| line.strip_prefix(start));
        if let (true, Some(function)) = (is_test, function) {
            names.push(function.split(['(', '<']).next().unwrap_or_default().to_owned());
            is_test = false;
        }
    }
    names
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
