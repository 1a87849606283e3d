use proptest::prelude::*;

use super::*;

fn codes(pattern: &str) -> Vec<&'static str> {
    let pattern = TagPattern::parse(pattern).unwrap();
    pattern.warnings().iter().map(TagPatternWarning::code).collect()
}

/// Look-around is read with the feature `lookaround` only.
fn is_beyond_this_build(pattern: &str) -> bool {
    cfg!(not(feature = "lookaround")) && pattern.contains("(?!")
}

#[test]
fn agrees_with_every_row_of_the_table() {
    let table: toml::Table = include_str!("../../../testdata/tag_patterns.toml").parse().unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 186);
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap();
        let (id, pattern, tag) = (text("id"), text("pattern"), text("tag"));
        if is_beyond_this_build(pattern) {
            continue;
        }
        let found = match TagPattern::parse(pattern) {
            Err(_) => "error",
            Ok(pattern) if pattern.matches(tag) => "yes",
            Ok(_) => "no",
        };
        assert_eq!(found, text("expect"), "{id}: `{pattern}` on `{tag}`");
    }
}

#[test]
fn tolerates_one_final_line_feed() {
    for (pattern, tag, accepts) in [
        ("a", "a\n", true),
        ("a", "a\n\n", false),
        ("a.**", "a\n", false),
        ("a.**", "a.b\n", true),
        ("/a/", "a\n", true),
        ("*", "a\nb", true),
        ("a**", "a\nb", false),
    ] {
        assert_eq!(TagPattern::parse(pattern).unwrap().matches(tag), accepts, "{pattern} {tag:?}");
    }
}

#[test]
fn a_choice_after_two_stars_may_begin_with_the_dot() {
    let pattern = TagPattern::parse("a.**{.b,c}").unwrap();
    assert!(pattern.matches("a.b") && pattern.matches("a.xc") && !pattern.matches("a"));
}

#[test]
fn a_final_backslash_means_nothing() {
    assert!(TagPattern::parse("a\\").unwrap().matches("a"));
}

#[test]
fn warns_about_what_is_rarely_meant() {
    assert_eq!(codes("app.** {a,b}.c"), [""; 0]);
    assert_eq!(codes("app.{web, api}.**"), ["W-BRACE-SPACE", "W-BRACE-OPEN"]);
    assert_eq!(codes("a.b,c.d"), ["W-COMMA-PATTERN"]);
    assert_eq!(codes("/a|b/"), ["W-REGEX-TOP-ALT"]);
    assert_eq!(codes(r"/(a|b)[|]\|/"), [""; 0]);
    assert_eq!(codes("a.{b,c"), ["W-BRACE-OPEN"]);
    assert_eq!(codes("a.{b*,c"), ["E-BRACE-OPEN"]);
    assert_eq!(codes("a.{b,{c*"), ["E-BRACE-OPEN"]);
}

#[test]
fn refuses_what_has_no_bound() {
    let long = "a".repeat(MAX_TAG_PATTERN_BYTES + 1);
    assert_eq!(TagPattern::parse(&long), Err(TagPatternError::TooLong(long.len())));
    let deep = "{".repeat(MAX_TAG_PATTERN_DEPTH + 1);
    assert_eq!(TagPattern::parse(&deep), Err(TagPatternError::TooDeep(deep.clone())));
    assert_eq!(TagPattern::parse(" \t"), Err(TagPatternError::Empty));
    let large = r"/(\w{1000}){1000}/";
    assert!(TagPattern::parse(large).unwrap_err().to_string().contains("larger than"));
}

#[cfg(not(feature = "lookaround"))]
#[test]
fn says_which_feature_has_look_around() {
    let error = TagPattern::parse(r"/(?!a).*/").unwrap_err();
    assert!(error.to_string().contains("`lookaround`"), "{error}");
}

/// `**`, `*` and characters only, by trying every split.
fn naive(pattern: &[char], tag: &[char]) -> bool {
    match pattern {
        [] => tag.is_empty(),
        ['*', '*', rest @ ..] => (0..=tag.len()).any(|n| naive(rest, &tag[n..])),
        ['*', rest @ ..] => (0..=tag.len())
            .take_while(|&n| n == 0 || tag[n - 1] != '.')
            .any(|n| naive(rest, &tag[n..])),
        [c, rest @ ..] => tag.first() == Some(c) && naive(rest, &tag[1..]),
    }
}

proptest! {
    #[test]
    fn stars_without_neighbouring_dots_are_plain_runs(
        pattern in "[ab]{1,2}(\\*{1,2}[ab]){0,3}(\\.[ab])?", tag in "[ab.]{0,8}"
    ) {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive(&chars(&pattern), &chars(&tag));
        prop_assert_eq!(TagPattern::parse(&pattern).unwrap().matches(&tag), expected);
    }

    #[test]
    fn the_short_ways_agree_with_the_automaton(
        pattern in "[a\\.]{0,3}(\\.\\*\\*)?", tag in "[a.\n]{0,5}"
    ) {
        let nodes = glob::parse(&pattern, &mut Vec::new()).unwrap();
        let expected = Program::new(&nodes).matches(&tag);
        prop_assert_eq!(Alternative::of_nodes(&nodes).matches(&tag), expected);
    }

    #[test]
    fn every_tag_of_plain_text_accepts_itself(tag in "[a-z0-9_@-]{1,5}(\\.[a-z0-9_]{1,5}){0,4}") {
        prop_assert!(TagPattern::parse(&tag).unwrap().matches(&tag));
    }

    #[test]
    fn no_text_makes_it_panic(pattern in "[a.*{},/\\\\| ()\\[日-]{0,24}", tag in "[a.日\\n]{0,6}") {
        if let Ok(pattern) = TagPattern::parse(&pattern) {
            pattern.matches(&tag);
            prop_assert_eq!(TagPattern::parse(&pattern.to_string()).unwrap(), pattern);
        }
    }
}
