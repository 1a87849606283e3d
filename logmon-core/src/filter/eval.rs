//! What a filter says about one event. This is the truth that every index must agree with.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::Filter;
use super::token::fold;
use crate::Event;

/// An event under evaluation, with what several atoms want to know of it.
pub(super) struct View<'e, E: ?Sized> {
    event: &'e E,
    message: OnceCell<Cow<'e, str>>,
    /// `None` where the message is folded already.
    folded: OnceCell<Option<String>>,
}

impl<'e, E: Event + ?Sized> View<'e, E> {
    pub(super) fn new(event: &'e E) -> Self {
        Self { event, message: OnceCell::new(), folded: OnceCell::new() }
    }

    pub(super) fn event(&self) -> &'e E {
        self.event
    }

    pub(super) fn message(&self) -> &str {
        self.message.get_or_init(|| self.event.message())
    }

    pub(super) fn folded(&self) -> &str {
        let message = self.message();
        let folded = self.folded.get_or_init(|| match fold(message) {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => Some(folded),
        });
        folded.as_deref().unwrap_or(message)
    }
}

impl Filter {
    /// Tells whether `event` passes.
    ///
    /// Every event either passes the filter or its negation. A test of a field that the event does
    /// not have fails. So does a test of the time whose `now` is not
    /// [resolved](Filter::resolve).
    pub fn matches<E: Event + ?Sized>(&self, event: &E) -> bool {
        self.accepts(&View::new(event))
    }

    pub(super) fn accepts<E: Event + ?Sized>(&self, view: &View<'_, E>) -> bool {
        match self {
            Self::All => true,
            Self::Atom(atom) => atom.matches(view),
            Self::Not(inner) => !inner.accepts(view),
            Self::And(operands) => operands.iter().all(|operand| operand.accepts(view)),
            Self::Or(operands) => operands.iter().any(|operand| operand.accepts(view)),
        }
    }
}
