//! A smaller filter that means the same.

use std::collections::HashSet;

use super::Filter;

/// The two ways to join filters. Each law holds for one with the roles of the other.
#[derive(Clone, Copy, PartialEq)]
enum Join {
    And,
    Or,
}

impl Filter {
    /// A filter that means the same and is at most as large, in canonical order: operands are
    /// sorted, the cheap kinds first.
    ///
    /// Nested operands of one operator become one list; duplicates, double negations, constants,
    /// operands beside their own negation (`a OR NOT a`) and absorbed ones (`a OR (a AND b)`)
    /// disappear. The filter that nothing passes becomes `NOT *`. Simplifying twice changes
    /// nothing more. The time is that of sorting, at each depth.
    pub fn simplify(&self) -> Self {
        match self {
            Self::All | Self::Atom(_) => self.clone(),
            Self::Not(inner) => inner.simplify().negated(),
            Self::And(operands) => join(operands, Join::And),
            Self::Or(operands) => join(operands, Join::Or),
        }
    }

    /// The filter that no event passes.
    fn nothing() -> Self {
        Self::Not(Box::new(Self::All))
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Not(inner) if **inner == Self::All)
    }

    /// How costly it is to evaluate, at worst.
    fn cost(&self) -> u8 {
        match self {
            Self::All => 0,
            Self::Atom(atom) => atom.cost(),
            Self::Not(inner) => inner.cost(),
            Self::And(operands) | Self::Or(operands) => {
                operands.iter().map(Self::cost).max().unwrap_or(0)
            }
        }
    }
}

impl Join {
    /// The filter that changes nothing as an operand.
    fn neutral(self) -> Filter {
        match self {
            Self::And => Filter::All,
            Self::Or => Filter::nothing(),
        }
    }

    /// The filter that decides alone as an operand.
    fn decisive(self) -> Filter {
        match self {
            Self::And => Filter::nothing(),
            Self::Or => Filter::All,
        }
    }

    fn is_neutral(self, filter: &Filter) -> bool {
        if self == Self::And { *filter == Filter::All } else { filter.is_nothing() }
    }

    fn is_decisive(self, filter: &Filter) -> bool {
        if self == Self::And { filter.is_nothing() } else { *filter == Filter::All }
    }

    /// The operands of a filter that is joined in this way, or the filter itself.
    fn operands(self, filter: Filter) -> Vec<Filter> {
        match (self, filter) {
            (Self::And, Filter::And(operands)) | (Self::Or, Filter::Or(operands)) => operands,
            (_, filter) => vec![filter],
        }
    }

    /// The operands of a filter that is joined in the other way.
    fn dual_operands(self, filter: &Filter) -> &[Filter] {
        match (self, filter) {
            (Self::And, Filter::Or(operands)) | (Self::Or, Filter::And(operands)) => operands,
            _ => &[],
        }
    }
}

fn join(operands: &[Filter], join: Join) -> Filter {
    let simple = operands.iter().map(Filter::simplify);
    let flat = simple.flat_map(|operand| join.operands(operand));
    let mut operands: Vec<Filter> = flat.filter(|operand| !join.is_neutral(operand)).collect();
    if operands.iter().any(|operand| join.is_decisive(operand)) {
        return join.decisive();
    }
    operands.sort_by_cached_key(|operand| (operand.cost(), operand.to_string()));
    operands.dedup();
    // By text, which tells filters apart as well as they do.
    let known: HashSet<String> = operands.iter().map(Filter::to_string).collect();
    let is_known = |filter: &Filter| known.contains(&filter.to_string());
    if operands.iter().any(|operand| matches!(operand, Filter::Not(inner) if is_known(inner))) {
        return join.decisive();
    }
    operands.retain(|operand| !join.dual_operands(operand).iter().any(is_known));
    match (operands.len(), join) {
        (0 | 1, _) => operands.pop().unwrap_or_else(|| join.neutral()),
        (_, Join::And) => Filter::And(operands),
        (_, Join::Or) => Filter::Or(operands),
    }
}
