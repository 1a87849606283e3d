//! The documents say what the sources say.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A link to a file of the repository.
struct Link {
    text: String,
    target: String,
}

/// The links of a document that do not leave the repository.
fn links(document: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut rest = document;
    while let Some((before, behind)) = rest.split_once("](") {
        let (target, behind) = behind.split_once(')').expect("a link ends");
        let text = before.rsplit('[').next().unwrap_or_default();
        if !target.contains("://") && !target.starts_with('#') {
            links.push(Link { text: text.to_owned(), target: target.to_owned() });
        }
        rest = behind;
    }
    links
}

/// Where a link of a document leads.
fn follow(document: &str, link: &Link) -> PathBuf {
    let file = link.target.split('#').next().unwrap_or_default();
    root().join(document).parent().unwrap().join(file)
}

const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "docs/ja/README.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/configuration.md",
    "docs/decisions.md",
    "docs/delivery.md",
    "docs/fault-matrix.md",
    "docs/forward-conformance.md",
    "docs/forwarding.md",
    "docs/operations.md",
    "docs/quarantine.md",
];

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        for link in links(&read(document)) {
            let target = follow(document, &link);
            assert!(target.exists(), "{document}: [{}]({}) leads nowhere", link.text, link.target);
        }
    }
}

/// A link whose text is code names something that the linked file defines.
#[test]
fn the_architecture_names_what_is_there() {
    let document = "docs/architecture.md";
    let mut named = 0;
    for link in links(&read(document)) {
        let Some(code) = link.text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) else {
            continue;
        };
        let target = follow(document, &link);
        if target.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&target).unwrap();
        for name in code.trim_end_matches("()").split("::") {
            assert!(defines(&source, name), "{document}: {} does not define {name}", link.target);
        }
        named += 1;
    }
    assert!(named >= 12, "the way of an event is told with {named} names only");
}

fn defines(source: &str, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "impl", "mod"];
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(name).any(|(at, _)| {
        let Some((before, behind)) = source.split_at_checked(at) else { return false };
        let ends =
            behind.strip_prefix(name).is_some_and(|rest| !rest.starts_with(is_part_of_a_name));
        // `impl Trait for Name` and `impl<T> Name<T>` define methods of Name there.
        let line = before.rsplit('\n').next().unwrap_or_default();
        let word = before.trim_end().rsplit(|c: char| !is_part_of_a_name(c)).next();
        let is_named = word.is_some_and(|word| kinds.contains(&word) || word == "for");
        let is_of_impl =
            line.trim_start().starts_with("impl") && !before.ends_with(is_part_of_a_name);
        ends && (is_named || is_of_impl)
    })
}

/// The example of the README is the one that is compiled.
#[test]
fn the_readme_embeds_what_the_example_does() {
    let example = read("logmon-core/examples/embed.rs");
    let is_there = |line: &str| example.lines().any(|known| known.trim() == line.trim());
    for document in ["README.md", "docs/ja/README.md"] {
        let text = read(document);
        let code = text.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
        for line in code.expect("an example").lines() {
            assert!(is_there(line), "{document}: not in the example: {line}");
        }
    }
}

#[test]
fn every_setting_is_described() {
    let source = read("logmon-bin/src/config/raw.rs");
    let keys =
        source.split("const KEYS").nth(1).and_then(|rest| rest.split("\n];").next()).unwrap();
    let described = read("docs/configuration.md");
    let keys: Vec<_> = keys.split('"').skip(1).step_by(2).filter(|key| !key.is_empty()).collect();
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        assert!(
            described.contains(&format!("`{key}`"))
                || described.contains(&format!(".{key}`"))
                || described.contains(&format!("[{key}]")),
            "docs/configuration.md is silent about {key}"
        );
    }
}
