//! What a block knows of its events without looking at them.

use logmon_core::filter::{Clock, Facts, Possible};
use logmon_core::{Level, Timestamp};

use super::read::Open;

/// What the header, the dictionaries and the filter of keys say. Where they are damaged they say
/// nothing: whoever reads on finds out.
pub(super) struct BlockFacts<'o, 'b>(pub(super) &'o Open<'b>);

impl Facts for BlockFacts<'_, '_> {
    fn times(&self, clock: Clock) -> (Timestamp, Timestamp) {
        let info = self.0.block.info();
        match clock {
            Clock::Timestamp => info.times,
            Clock::Received => info.received,
        }
    }

    fn may_have_level(&self, level: Option<Level>) -> bool {
        self.0.block.info().count_of(level) > 0
    }

    fn tags(&self, accepts: &dyn Fn(&str) -> bool) -> Possible {
        let Ok(dictionaries) = self.0.dictionaries() else { return Possible::Some };
        of(dictionaries.tags.iter().map(|tag| accepts(tag)))
    }

    fn sources(&self, accepts: &dyn Fn(Option<&str>) -> bool) -> Possible {
        let Ok(dictionaries) = self.0.dictionaries() else { return Possible::Some };
        let without = (dictionaries.sources.events() < u64::from(self.0.block.info().rows))
            .then(|| accepts(None));
        of(dictionaries.sources.iter().map(|text| accepts(Some(text))).chain(without))
    }

    fn may_have(&self, key: u64) -> bool {
        self.0.may_have(key).unwrap_or(true)
    }
}

/// From what each of the values, of which the events have all and no others, is told.
fn of(mut accepted: impl Iterator<Item = bool>) -> Possible {
    let (mut may_pass, mut may_fail) = (false, false);
    // Both are known after a few.
    let _all = accepted.all(|accepts| {
        *if accepts { &mut may_pass } else { &mut may_fail } = true;
        !(may_pass && may_fail)
    });
    Possible::of(may_pass, may_fail)
}
