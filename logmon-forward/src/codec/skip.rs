//! Reading over a message that is too long, to see whether it wants an acknowledgement.

use logmon_core::Tag;

use super::frame::likely_option;
use super::options::Options;
use super::reject::{Rejects, Start};
use super::scan::Shape;
use super::{AckWire, Limits, Message, Reason};

/// A message of which only the option is kept, because it stands at the very end.
#[derive(Debug)]
pub(super) struct Skip {
    /// How many bytes of the message have been thrown away.
    pub(super) base: u64,
    offset: u64,
    tag: Option<Tag>,
    start: Start,
}

impl Skip {
    /// Begins at a message at `offset` of the connection.
    pub(super) fn new(offset: u64, tag: Option<Tag>) -> Self {
        Self { base: 0, offset, tag, start: Start::default() }
    }

    /// How many bytes of memory it holds.
    pub(super) fn memory(&self) -> usize {
        self.start.memory()
    }

    /// Keeps what there is room for of `dropped`, the bytes from `base` on.
    pub(super) fn keep(&mut self, dropped: &[u8], limits: &Limits) {
        self.start.keep(self.base, dropped, limits);
    }

    /// Up to which byte of the message nothing is needed any more, of those from `base` up to
    /// `end`.
    pub(super) fn needless(&self, shape: &Shape, (reach, end): (u64, u64), limits: &Limits) -> u64 {
        let scanned = reach.min(end);
        let option = shape.start(likely_option(shape)).filter(|start| *start >= self.base);
        match option {
            Some(start) if end - start <= limits.max_option_bytes as u64 => start.min(scanned),
            _ => scanned,
        }
    }

    /// The option in `rest`, the bytes from `base` to the end of the message, if it was not lost.
    pub(super) fn option<'r>(&self, rest: &'r [u8], shape: &Shape) -> Option<&'r [u8]> {
        let start = shape.start(likely_option(shape))?.checked_sub(self.base)?;
        rest.get(usize::try_from(start).ok()?..)
    }

    /// The refusal of a message that ends `rest` bytes behind `base`, with the chunk id if the
    /// option was seen.
    pub(super) fn finish(
        self,
        rest: usize,
        option: Option<&[u8]>,
        wire: AckWire,
        limits: &Limits,
    ) -> Message {
        let end = self.base + rest as u64;
        let mut message = Message::new(self.offset, end);
        if let Some(option) = option {
            let options = Options::read(option, 0..option.len(), wire, limits);
            message.chunks.push(&options, option, (0, false));
            message.warnings.extend(options.warning);
        }
        let bytes = (self.start.into_bytes(), end);
        message.rejected =
            Rejects::whole(Reason::MessageTooBig, self.offset, self.tag.as_ref(), bytes);
        message
    }
}
