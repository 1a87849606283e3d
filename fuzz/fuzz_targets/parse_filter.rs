//! No text makes the parser of filters, or what is done with its result, panic; what is printed
//! parses to the same filter.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use logmon_core::{Event, Filter, Level, Scalar, Timestamp};

/// One event with a value of each kind under every name.
struct Fixed;

impl Event for Fixed {
    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos(1_795_305_600_000_000_000)
    }

    fn received(&self) -> Timestamp {
        Timestamp::from_nanos(1_795_305_601_000_000_000)
    }

    fn tag(&self) -> &str {
        "app.web.access"
    }

    fn level(&self) -> Option<Level> {
        Some(Level::Warn)
    }

    fn message(&self) -> Cow<'_, str> {
        Cow::Borrowed("GET /api/v1 timeout 10.0.0.1 接続失敗 Straße ΟΔΟΣ")
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("billing-api"))
    }

    fn visit_metadata(&self, _path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        [
            Scalar::Nil,
            Scalar::Bool(true),
            Scalar::Int(-42),
            Scalar::Float(f64::NAN),
            Scalar::Str("web"),
            Scalar::Bytes(b"\xff"),
            Scalar::Time(self.timestamp()),
            Scalar::Map,
        ]
        .into_iter()
        .any(visit)
    }
}

fuzz_target!(|text: &str| {
    match Filter::parse(text) {
        Ok(filter) => {
            let printed = filter.to_string();
            assert_eq!(Filter::parse(&printed).as_ref(), Ok(&filter), "{printed}");
            let simple = filter.simplify();
            assert_eq!(simple.simplify(), simple);
            let resolved = filter.resolve(Fixed.timestamp());
            assert!(!resolved.uses_now());
            assert_eq!(resolved.matches(&Fixed), resolved.simplify().matches(&Fixed));
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.offset()));
            assert!(text.is_char_boundary(error.offset() + error.length()));
        }
    }
});
