//! Which events a request is about, and what looking at them may cost.

use std::time::Duration;

use jiff::tz::TimeZone;
use logmon_core::filter::Filter;
use logmon_core::{Aggregate, Scope, TableSpec, Timestamp};

use super::params::Params;
use super::problem::Problem;

/// The parameters that [`Asked`] reads.
pub(super) const SCOPE: &[&str] =
    &["q", "level", "source", "search", "from", "to", "tz", "timeout"];

/// The longest time one request may take.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// The range of a request that names none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    /// The last quarter of an hour.
    Lately,
    /// All times.
    Ever,
}

/// What a request says that is about stored events.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What `now` means in it.
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) budget: Option<Duration>,
    filter: Filter,
}

impl Asked {
    /// Reads the parameters named by [`SCOPE`].
    pub(super) fn read(params: &Params, default: Default) -> Result<Self, Problem> {
        // Of whole milliseconds a database can count what is between them.
        const MILLI: i64 = 1_000_000;
        let now = Timestamp::now().as_nanos();
        let whole = now.saturating_add(MILLI - 1).div_euclid(MILLI).saturating_mul(MILLI);
        Self::at(Timestamp::from_nanos(whole), params, default)
    }

    /// The same where `now` is an instant that an earlier request meant.
    pub(super) fn at(now: Timestamp, params: &Params, default: Default) -> Result<Self, Problem> {
        let zone = zone(params)?;
        let time = |name: &str, lately: &str, ever: Timestamp| match (params.get(name), default) {
            (None, Default::Ever) => Ok(ever),
            (text, _) => crate::units::instant(text.unwrap_or(lately), now, &zone)
                .map_err(|error| Problem::parameter(name, error)),
        };
        let from = time("from", "now-15m", Timestamp::MIN)?;
        let to = time("to", "now", Timestamp::MAX)?;
        if from > to {
            return Err(Problem::parameter("from", "lies behind `to`"));
        }
        let budget = params.get("timeout").map(crate::units::duration).transpose();
        let budget = budget.map_err(|error| Problem::parameter("timeout", error))?;
        let budget = budget.map(|budget| budget.min(MAX_TIMEOUT));
        let filter = params.wanted().resolved(now)?;
        Ok(Self { now, zone, from, to, budget, filter })
    }

    /// The filter as it was written, with `now` fixed.
    pub(super) const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The events.
    pub(super) fn scope(&self) -> Scope {
        self.scope_of(&self.filter)
    }

    /// Counts the events into tables.
    pub(super) fn count(&self, tables: Vec<TableSpec>) -> Aggregate {
        self.count_of(&self.filter, tables)
    }

    /// Counts the events of another filter in the same range.
    pub(super) fn count_of(&self, filter: &Filter, tables: Vec<TableSpec>) -> Aggregate {
        let mut query = Aggregate::new(Filter::All, tables);
        query.scope = self.scope_of(filter);
        query
    }

    /// The events of another filter in the same range.
    pub(super) fn scope_of(&self, filter: &Filter) -> Scope {
        let mut scope = Scope::new(filter.simplify());
        (scope.from, scope.to) = (self.from, self.to);
        scope.budget = self.budget.unwrap_or(scope.budget);
        scope
    }
}

fn zone(params: &Params) -> Result<TimeZone, Problem> {
    let Some(name) = params.get("tz") else { return Ok(TimeZone::UTC) };
    TimeZone::get(name)
        .map_err(|_| Problem::parameter("tz", format!("`{name}` is not an IANA time zone")))
}
