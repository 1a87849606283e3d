//! Which events make a chunk, and what its id is.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use logmon_core::{Event as _, EventId, LogRef, SinkBatch, Tag};
use sha2::{Digest as _, Sha256};

/// The events of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) tag: Tag,
    /// Which events of the batch, ascending.
    pub(super) events: Vec<usize>,
    /// How many bytes their entries have.
    pub(super) bytes: usize,
    pub(super) id: String,
}

/// Puts the events of a batch into chunks: those of one tag together, in their order, up to
/// `target` bytes of entries; a longer entry is alone. Nothing but the events and `target` matters,
/// so that the same unit always makes the same chunks; those of which nothing is left are not
/// given.
pub(super) fn plan(batch: &SinkBatch, target: usize) -> Vec<Plan> {
    let mut plans = Plans { target, done: Vec::new(), open: HashMap::new() };
    for (log, left) in batch.unit() {
        plans.add(left, &log);
    }
    plans.finish()
}

struct Plans {
    target: usize,
    done: Vec<Open>,
    /// Of each tag the chunk that is not full, as an index into `done`.
    open: HashMap<Tag, usize>,
}

/// A chunk that may grow.
struct Open {
    tag: Tag,
    /// Those that are left to be sent.
    events: Vec<usize>,
    count: usize,
    bytes: usize,
    first: EventId,
    seqs: (u64, u64),
}

impl Plans {
    fn add(&mut self, left: Option<usize>, log: &LogRef<'_>) {
        let (tag, bytes) = (log.tag(), log.entry().len());
        let open = self.open.get(tag).and_then(|open| self.done.get_mut(*open));
        match open.filter(|open| open.bytes + bytes <= self.target) {
            Some(open) => {
                open.events.extend(left);
                open.count += 1;
                open.bytes += bytes;
                open.seqs.1 = log.seq();
            }
            None => {
                let (tag, seqs) = (Tag::from(tag), (log.seq(), log.seq()));
                self.open.insert(tag.clone(), self.done.len());
                let (events, first) = (left.into_iter().collect(), log.id());
                self.done.push(Open { tag, events, count: 1, bytes, first, seqs });
            }
        }
    }

    fn finish(self) -> Vec<Plan> {
        let finish = |open: Open| Plan {
            id: journal_id(open.first, open.seqs, open.count, &open.tag),
            tag: open.tag,
            events: open.events,
            bytes: open.bytes,
        };
        self.done.into_iter().map(finish).filter(|plan| !plan.events.is_empty()).collect()
    }
}

/// The id of a chunk of a journal's events: 128 bits of a digest over where they stand there. The
/// epoch of a journal has random bits, so two journals do not make the same ids.
fn journal_id(first: EventId, (low, high): (u64, u64), count: usize, tag: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"logmon chunk 1\0");
    hash.update(first.epoch().to_bytes());
    hash.update(low.to_be_bytes());
    hash.update(high.to_be_bytes());
    hash.update((count as u64).to_be_bytes());
    hash.update(tag);
    let digest = hash.finalize();
    BASE64.encode(digest.get(..16).unwrap_or_default())
}

/// A chunk id nobody else uses: 128 random bits.
pub(super) fn random_id() -> std::io::Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(std::io::Error::other)?;
    Ok(BASE64.encode(bits))
}

#[cfg(test)]
mod tests {
    use logmon_core::{Epoch, Group, GroupBuilder, Log};

    use super::*;

    fn whole_group(texts: &[(&str, &str)], epoch: u8, first: u64) -> Group {
        let mut builder = GroupBuilder::with_capacity(Epoch::from_bytes([epoch; 7]), 8, 8, 1024);
        for (seq, (tag, text)) in (first..).zip(texts) {
            let time = logmon_core::Timestamp::from_nanos(1_500_000_000_000_000_000);
            let log = Log::new(*text).tag(*tag).timestamp(time);
            builder.push(&log.to_batch().unwrap(), seq);
        }
        builder.finish()
    }

    fn batch(texts: &[(&str, &str)], epoch: u8, first: u64) -> SinkBatch {
        let all: Vec<u32> = (0..u32::try_from(texts.len()).unwrap()).collect();
        SinkBatch::new(whole_group(texts, epoch, first), all)
    }

    fn shape(plans: &[Plan]) -> Vec<(&str, &[usize])> {
        plans.iter().map(|plan| (plan.tag.as_str(), plan.events.as_slice())).collect()
    }

    /// F-151: what is left of a unit is cut as the whole of it was.
    #[test]
    fn a_chunk_keeps_its_id_when_others_of_its_unit_are_done() {
        let texts = [("a", "12345678"), ("a", "2"), ("a", "3"), ("a", "4")];
        let group = batch(&texts, 1, 7);
        let one = group.logs().next().unwrap().entry().len();
        let whole = plan(&group, one);
        assert!(whole.len() > 2, "{whole:?}");
        let (first, last) = (&whole[0], whole.last().unwrap());
        let left: Vec<u32> = [first, last]
            .iter()
            .flat_map(|plan| plan.events.iter().map(|at| u32::try_from(*at).unwrap()))
            .collect();
        let all: Vec<u32> = (0..4).collect();
        let rest = SinkBatch::new(whole_group(&texts, 1, 7), left).left_of(all.into());
        let rest = plan(&rest, one);
        let ids = |plans: &[Plan]| plans.iter().map(|plan| plan.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&rest), [first.id.clone(), last.id.clone()]);
        assert_eq!(rest[1].events.len(), last.events.len());
    }

    #[test]
    fn chunks_are_of_one_tag_and_of_limited_size() {
        let long = "x".repeat(1_000);
        let texts = [("a", "1"), ("b", "2"), ("a", "3"), ("a", &long), ("b", "5"), ("a", "6")];
        let batch = batch(&texts, 1, 7);
        let whole = plan(&batch, 1 << 20);
        assert_eq!(shape(&whole), [("a", &[0, 2, 3, 5][..]), ("b", &[1, 4])]);
        let small = plan(&batch, 100);
        let expected = [("a", &[0, 2][..]), ("b", &[1, 4]), ("a", &[3]), ("a", &[5])];
        assert_eq!(shape(&small), expected);
        assert!(small[2].bytes > 1_000, "a long one is alone");
        assert_eq!(plan(&batch, 100), small);
    }

    /// F-151: the same events under the same numbers make the same id; anything else another.
    #[test]
    fn ids_are_of_the_place_in_the_journal() {
        let texts = [("a", "1"), ("a", "2"), ("a", "3")];
        let id = |texts: &[(&str, &str)], epoch, first| {
            let plans = plan(&batch(texts, epoch, first), 1 << 20);
            assert_eq!(plans.len(), 1);
            let id = plans[0].id.clone();
            assert!(id.len() == 24 && id.ends_with("==") && !id.contains('\n'), "{id}");
            id
        };
        let one = id(&texts, 1, 7);
        assert_eq!(one, id(&texts, 1, 7));
        let others = [
            id(&texts, 2, 7),
            id(&texts, 1, 8),
            id(&texts[..2], 1, 7),
            id(&[("b", "1"), ("b", "2"), ("b", "3")], 1, 7),
        ];
        assert!(!others.contains(&one), "{others:?}");
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
