//! Reading over a message that is too long, to see whether it wants an acknowledgement.

use logmon_core::Tag;

use super::frame::likely_option;
use super::options::Options;
use super::reject::{Rejects, sample};
use super::scan::Shape;
use super::{AckWire, Limits, Message, Reason};

/// A message of which only the option is kept, because it stands at the very end.
#[derive(Debug)]
pub(super) struct Skip {
    /// How many bytes of the message have been thrown away.
    pub(super) base: u64,
    offset: u64,
    tag: Option<Tag>,
    sample: Vec<u8>,
}

impl Skip {
    /// Begins at a message whose first bytes are `start`, at `offset` of the connection.
    pub(super) fn new(offset: u64, tag: Option<Tag>, start: &[u8]) -> Self {
        Self { base: 0, offset, tag, sample: sample(start) }
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

    /// The refusal, with the chunk id if the option was seen. `rest` are the bytes from `base` to
    /// the end of the message.
    pub(super) fn finish(
        self,
        rest: &[u8],
        shape: &Shape,
        wire: AckWire,
        limits: &Limits,
    ) -> Message {
        let end = self.base + rest.len() as u64;
        let mut message = Message::new(self.offset, end);
        let start =
            shape.start(likely_option(shape)).and_then(|start| start.checked_sub(self.base));
        let start = start.and_then(|start| usize::try_from(start).ok());
        if let Some(option) = start.and_then(|start| rest.get(start..)) {
            let options = Options::read(option, 0..option.len(), wire, limits);
            message.chunks.push(&options, option, (0, false));
            message.warnings.extend(options.warning);
        }
        let mut rejects = Rejects::default();
        rejects.add(Reason::MessageTooBig, (self.offset, 0), self.tag.as_ref(), &self.sample);
        message.rejected = rejects.into_vec();
        message
    }
}
