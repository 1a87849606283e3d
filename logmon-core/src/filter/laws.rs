//! The laws that hold for all filters and all events.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::sample::Sample;
use super::*;
use crate::{Event, Level};

/// Texts that are likely to meet the messages below, and one of each form.
const ATOMS: &[&str] = &[
    "a",
    "b",
    "ab",
    "a*",
    "*b*",
    "\"a b\"",
    "\"b a b\"",
    "a.b*",
    "接",
    "接続*",
    "*続*",
    "ß",
    "/a+b/",
    "/A B/i",
    "*.*",
    "level:none",
    "level>=warn",
    "level<info",
    "level:[debug TO error]",
    "level:*",
    "source:ab",
    "source:a*",
    "source:*",
    "source:/b$/",
    "tag:a.**",
    "tag:{a,b}",
    "tag:*",
    "timestamp>=2",
    "timestamp:[1 TO 3}",
    "received<3",
    "x:*",
    "x:1",
    "x:\"1\"",
    "x>=1",
    "x<2.5",
    "x:{0 TO 2]",
    "x:a*b",
    "x:true",
    "x:null",
    "x:/a/",
    "x>\"a\"",
    "y.z:*",
    "y.z:1",
    "y.z:a",
    "*",
];

fn atom() -> impl Strategy<Value = Filter> {
    select(ATOMS).prop_map(|text| Filter::parse(text).unwrap())
}

pub(super) fn filter() -> impl Strategy<Value = Filter> {
    atom().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            vec(inner.clone(), 2..5).prop_map(Filter::And),
            vec(inner, 2..5).prop_map(Filter::Or),
        ]
    })
}

pub(super) fn event() -> impl Strategy<Value = Sample> {
    let value = select(vec![
        json!(null),
        json!(true),
        json!(1),
        json!(2),
        json!(1.5),
        json!("1"),
        json!("a"),
        json!("ab"),
        json!("true"),
        json!("null"),
        json!([]),
        json!([1, ["a", 3]]),
        json!({"z": 1}),
        json!([{"z": "a"}, {"z": [2, 1]}]),
    ]);
    let metadata = (value.clone(), value.clone(), value)
        .prop_map(|(x, y, z)| json!({"x": x, "y": y, "y.z": z}));
    let level = select([None].into_iter().chain(Level::ALL.map(Some)).collect::<Vec<_>>());
    let source = select(vec![None, Some("a"), Some("ab"), Some("B")]);
    let message = "[abAB .接続ßẞ]{0,8}";
    (level, source, select(vec!["a", "a.b", "b", ""]), message, 0_i64..4, metadata).prop_map(
        |(level, source, tag, message, seconds, metadata)| Sample {
            timestamp: Timestamp::from_seconds(seconds, 0).unwrap(),
            received: Timestamp::from_seconds(seconds + 1, 0).unwrap(),
            tag: tag.to_owned(),
            level,
            message,
            source: source.map(str::to_owned),
            metadata,
        },
    )
}

/// Atoms of arbitrary text, as programs build them.
pub(super) fn odd_atom() -> impl Strategy<Value = Filter> {
    let text =
        || prop_oneof![any::<String>(), "[aA*\\\\\"/:()<>=|\\[\\]{} \t\n.-]{1,6}", "AND|OR|TO|NOT"];
    let path = || text().prop_filter("a name has at least one character", |path| !path.is_empty());
    let metadata = |path: String, test| Filter::from(Atom::Field(FieldTest::metadata(path, test)));
    let words = (text(), any::<bool>()).prop_map(|(text, is_prefix)| {
        Words::new(&text, is_prefix).map_or(Filter::All, |words| Atom::Words(words).into())
    });
    prop_oneof![
        words,
        path().prop_map(|text| Atom::Substring(Substring::new(&text)).into()),
        (path(), text()).prop_map(move |(path, text)| {
            metadata(path, ValueTest::Equals(Literal::bare(&text)))
        }),
        (path(), text()).prop_map(move |(path, text)| {
            metadata(path, ValueTest::Equals(Literal::Text(text.into())))
        }),
        (path(), text()).prop_map(move |(path, text)| {
            let upper = std::ops::Bound::Excluded(Literal::Text(text.into()));
            let lower = std::ops::Bound::Unbounded;
            metadata(path, ValueTest::Range(Range { lower, upper }))
        }),
        (path(), text(), path()).prop_map(move |(path, first, last)| {
            let pieces = [first.as_str(), last.as_str(), ""];
            metadata(path, ValueTest::Wildcard(Wildcard::new(pieces)))
        }),
        (any::<i64>(), any::<i32>()).prop_map(|(nanos, offset)| {
            let lower = std::ops::Bound::Included(Instant::At(Timestamp::from_nanos(nanos)));
            let upper = std::ops::Bound::Excluded(Instant::Now(i64::from(offset) * 1_000));
            Atom::Time(TimeTest { clock: Clock::Received, lower, upper }).into()
        }),
    ]
}

fn not(filter: &Filter) -> Filter {
    Filter::Not(Box::new(filter.clone()))
}

fn and(a: &Filter, b: &Filter) -> Filter {
    Filter::And(vec![a.clone(), b.clone()])
}

fn or(a: &Filter, b: &Filter) -> Filter {
    Filter::Or(vec![a.clone(), b.clone()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn algebra(a in filter(), b in filter(), c in filter(), event in event()) {
        let same = |left: &Filter, right: &Filter| left.matches(&event) == right.matches(&event);
        prop_assert!(same(&not(&and(&a, &b)), &or(&not(&a), &not(&b))), "De Morgan");
        prop_assert!(same(&not(&or(&a, &b)), &and(&not(&a), &not(&b))), "De Morgan");
        prop_assert!(same(&and(&a, &or(&a, &b)), &a), "absorption");
        prop_assert!(same(&or(&a, &and(&a, &b)), &a), "absorption");
        prop_assert!(same(&not(&not(&a)), &a), "double negation");
        prop_assert!(same(&and(&a, &a), &a) && same(&or(&a, &a), &a), "idempotence");
        prop_assert!(same(&and(&a, &b), &and(&b, &a)), "commutativity");
        prop_assert!(same(&or(&a, &b), &or(&b, &a)), "commutativity");
        prop_assert!(same(&and(&a, &or(&b, &c)), &or(&and(&a, &b), &and(&a, &c))), "distribution");
        prop_assert!(same(&or(&a, &and(&b, &c)), &and(&or(&a, &b), &or(&a, &c))), "distribution");
        prop_assert!(a.matches(&event) != not(&a).matches(&event), "complement");
        prop_assert!(same(&a.clone().and(b.clone()), &and(&a, &b)), "joining");
        prop_assert!(same(&a.clone().or(b.clone()), &or(&a, &b)), "joining");
        prop_assert!(same(&a.clone().negated(), &not(&a)), "negating");
    }

    #[test]
    fn simplifying_keeps_the_meaning_and_settles(filter in filter(), event in event()) {
        let simple = filter.simplify();
        prop_assert_eq!(simple.matches(&event), filter.matches(&event), "{} / {}", filter, simple);
        prop_assert_eq!(simple.simplify(), simple.clone());
        prop_assert!(simple.to_string().len() <= filter.to_string().len(), "{} / {}", filter, simple);
        prop_assert_eq!(Filter::parse(&simple.to_string()).unwrap(), simple);
    }

    #[test]
    fn simplifying_forgets_the_order(operands in vec(filter(), 2..5)) {
        let reversed: Vec<_> = operands.iter().rev().cloned().collect();
        prop_assert_eq!(Filter::Or(operands).simplify(), Filter::Or(reversed).simplify());
    }

    #[test]
    fn agrees_with_the_naive_evaluator(filter in filter(), event in event()) {
        let expected = naive::matches(&filter, &event);
        prop_assert_eq!(filter.matches(&event), expected, "{} on {:?}", filter, event);
        let erased: &dyn Event = &event;
        prop_assert_eq!(filter.matches(erased), expected);
    }

    #[test]
    fn words_agree_with_the_naive_evaluator(
        text in "[aB_ .接ー]{1,6}", message in "[aAbB_ .接ーé]{0,16}", is_prefix: bool
    ) {
        let words = Words::new(&text, is_prefix);
        let filter = words.map_or(Filter::All, |words| Atom::Words(words).into());
        let event = Sample { message, ..Sample::default() };
        prop_assert_eq!(filter.matches(&event), naive::matches(&filter, &event));
    }

    #[test]
    fn printing_and_parsing_is_the_identity(filter in filter()) {
        prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
    }

    #[test]
    fn atoms_of_any_text_survive_printing(filter in odd_atom()) {
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text).unwrap(), filter, "{}", text);
        prop_assert!(!text.contains('\n'), "one line: {}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![
        any::<String>(),
        "[ab1:*\"/()|<>=!\\[\\]{}&,. \\\\-]{0,16}",
        "((level|tag|source|timestamp|x)?(:|>=|<)?(a|1|now|\"b\"|/r/|\\*|\\[1 TO 2\\])? ?(AND|OR|NOT|-|\\(|\\))? ?){0,6}",
    ], event in event()) {
        match Filter::parse(&text) {
            Ok(filter) => {
                prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter.clone());
                prop_assert_eq!(filter.matches(&event), naive::matches(&filter, &event));
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset()), "{}", error);
                prop_assert!(text.is_char_boundary(error.offset() + error.length()), "{}", error);
            }
        }
    }
}
