//! Partitions and blocks as parts of a query.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use logmon_core::{FieldTally, Hit, Tables};

use super::block::{Block, BlockDamage, BlockError, Looked, Scratch};
use super::catalog::{Entry, Partition};
use crate::query::{Best, Bounds, Look, Part, PartError, Seen};

/// A partition, which is split into its blocks.
#[derive(Debug)]
struct PartitionPart(Arc<Partition>);

/// A block of a partition.
#[derive(Debug)]
struct BlockPart {
    partition: Arc<Partition>,
    at: usize,
}

/// All blocks of a partition; `None` where there are none.
pub(super) fn part_of(partition: &Arc<Partition>) -> Option<Arc<dyn Part>> {
    let part = PartitionPart(partition.clone());
    (!partition.blocks.is_empty()).then(|| Arc::new(part) as Arc<dyn Part>)
}

/// The event numbered `seq`, if a block of this partition has it.
pub(super) fn find(
    partition: &Partition,
    seq: u64,
    scratch: &mut Scratch,
) -> Result<Option<Hit>, PartError> {
    for entry in partition.unit_of(seq).iter().filter(|entry| entry.info.seqs.contains(&seq)) {
        let Some(block) = partition.block(entry)? else { continue };
        let open = block.open(scratch);
        let found =
            open.row_of(seq).and_then(|row| row.map(|row| open.materialise(&[row])).transpose());
        if let Some(group) = found.map_err(|error| partition.failed(entry, error))? {
            return Ok(Hit::new(group, 0));
        }
    }
    Ok(None)
}

impl Partition {
    /// A block with its file; `None` where retention has removed it meanwhile.
    pub(super) fn block(&self, entry: &Entry) -> io::Result<Option<Block>> {
        let file = match self.reading.files.get(self.number()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Ok(Some(Block::new(entry.info.clone(), file, self.name.clone(), entry.offset)))
    }

    /// Takes note of what cannot be read.
    fn failed(&self, entry: &Entry, error: BlockError) -> PartError {
        let all = 0..entry.info.rows as usize;
        let (offset, what, rows) = match error {
            BlockError::Damage(BlockDamage { offset, what, rows, .. }) => {
                (offset, what.to_owned(), rows.unwrap_or(all))
            }
            // A sector that cannot be read is as lost as one that was overwritten.
            BlockError::Io(error) => (entry.offset, error.to_string(), all),
            BlockError::Over => return io::Error::from(io::ErrorKind::Interrupted).into(),
        };
        let events = rows.len();
        if self.reading.note_damage(self.number(), entry.offset, rows) {
            tracing::error!(
                file = &*self.name,
                offset,
                what,
                events,
                "events of the store cannot be read; everything else is served"
            );
        }
        PartError::Damaged { file: self.name.to_string(), offset, what }
    }
}

impl Part for PartitionPart {
    fn bounds(&self) -> Bounds {
        Bounds { times: self.0.times, seqs: self.0.header.first_seq..self.0.end_seq() }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        let block = |at| Arc::new(BlockPart { partition: self.0.clone(), at }) as Arc<dyn Part>;
        Ok(Some((0..self.0.blocks.len()).map(block).collect()))
    }
}

impl BlockPart {
    fn entry(&self) -> Option<&Entry> {
        self.partition.blocks.get(self.at)
    }

    /// Looks at the block, and takes note of what is damaged.
    fn look(
        &self,
        look_at: impl FnOnce(&Block, (&mut Scratch, &mut Vec<BlockDamage>)) -> Looked,
    ) -> Result<Seen, PartError> {
        let Some(entry) = self.entry() else { return Ok(Seen::default()) };
        let Some(block) = self.partition.block(entry)? else { return Ok(Seen::default()) };
        let mut damages = Vec::new();
        let looked = SCRATCH.with_borrow_mut(|scratch| look_at(&block, (scratch, &mut damages)));
        for damage in damages {
            // It is counted in what was seen, and everything else is served.
            let _counted = self.partition.failed(entry, damage.into());
        }
        looked.map_err(|error| self.partition.failed(entry, error))
    }
}

thread_local! {
    /// What the thread needs for reading blocks.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Part for BlockPart {
    fn bounds(&self) -> Bounds {
        let none = || Bounds { times: self.partition.times, seqs: 0..0 };
        self.entry().map_or_else(none, |entry| Bounds {
            times: entry.info.times,
            seqs: entry.info.seqs.clone(),
        })
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        Ok(None)
    }

    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        self.look(|block, with| block.find(look, best, with))
    }

    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        self.look(|block, with| block.tally(look, tables, with))
    }

    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        self.look(|block, with| block.fields(look, tally, with))
    }
}
