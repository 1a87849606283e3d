//! Making the file of a staged message a segment of the journal.

use std::sync::Arc;

use logmon_core::{AppendError, Committed, FieldMap, Position};

use super::{Stop, Trouble, Writer};
use crate::journal::control::Record;
use crate::journal::format::SegmentHeader;
use crate::journal::segment::{Segment, file_name};
use crate::journal::staging::{Adoption, Sealed, Staged};

impl Writer {
    /// Appends a staged message and begins the segment behind it.
    pub(super) fn take_staged(&mut self, adoption: Adoption) -> Result<(), Stop> {
        let Adoption { staged, promise } = adoption;
        match self.adopt(staged) {
            Ok(result) => {
                let is_appended = result.is_ok();
                promise.resolve(result);
                let newest = self.shared.catalog().segments.back().map(|segment| segment.info);
                if let Some(info) = newest.filter(|_| is_appended) {
                    self.save_chunks(&info);
                }
                self.make_room(0)
            }
            Err(stop) => {
                promise.resolve(Err(self.stop(stop)));
                Ok(())
            }
        }
    }

    /// # Durability
    /// Everything before the message and the message itself are durable before it has its name,
    /// whatever the configured durability; so it is there whole or not at all.
    fn adopt(&mut self, staged: Staged) -> Result<Result<Committed, AppendError>, Stop> {
        if self.shared.is_poisoned() {
            return Err(Stop::Closing);
        }
        self.make_room_for_message(staged.bytes())?;
        let maps = self.define(staged.maps())?;
        self.sync_dirty()?;
        let number = self.next_number;
        self.next_number += 1;
        let header = SegmentHeader {
            number,
            epoch: self.epoch,
            journal: self.journal,
            first_seq: self.next_seq,
            created: self.shared.vfs.now(),
            chain: self.chain_before_next(),
        };
        let mut sealed = None;
        self.until_space(|_| {
            let filled = staged.fill(&header, &maps);
            sealed = Some(filled.map_err(|error| Trouble::of("writing a staged message", error))?);
            Ok(())
        })?;
        let Some(sealed) = sealed else { return Err(Stop::Closing) };
        self.shared.count_fsync();
        match staged.sync().map_err(|error| Trouble::of("syncing a staged message", error)) {
            Ok(()) => {}
            // What is saved of it is unknown; of the journal nothing is in doubt.
            Err(Trouble::Full(_)) => {
                let queued_bytes = self.shared.queue.bytes();
                return Ok(Err(AppendError::Busy { queued_bytes }));
            }
            Err(Trouble::Failed(doing, error)) => {
                return Err(Stop::Poison(format!("{doing} failed: {error}")));
            }
        }
        self.rename(staged, number)?;
        Ok(Ok(self.publish_segment(sealed)))
    }

    /// The numbers of field maps; those that have none yet are defined, durably.
    fn define(&mut self, maps: &[Arc<FieldMap>]) -> Result<Vec<u16>, Stop> {
        let mut records = Vec::new();
        let mut new_maps: Vec<Arc<FieldMap>> = Vec::new();
        let mut numbers = Vec::with_capacity(maps.len());
        {
            let catalog = self.shared.catalog();
            for map in maps {
                let number = catalog.number_of(map).or_else(|| {
                    let number = catalog.field_maps.len() + new_maps.len();
                    new_maps.push(map.clone());
                    u16::try_from(number).ok()
                });
                let Some(number) = number else {
                    return Err(Stop::Poison("more than 65535 field maps are in use".into()));
                };
                if new_maps.last().is_some_and(|new| Arc::ptr_eq(new, map)) {
                    records.push(Record::FieldMap(number, map.clone()));
                }
                numbers.push(number);
            }
        }
        if !records.is_empty() {
            self.until_space(|writer| writer.write_records(&records))?;
            self.shared.catalog().field_maps.extend(new_maps);
        }
        Ok(numbers)
    }

    fn rename(&mut self, staged: Staged, number: u64) -> Result<(), Stop> {
        let vfs = self.shared.vfs.clone();
        let name = file_name(number);
        self.until_space(|_| {
            let renamed = vfs.rename(staged.name(), &name);
            renamed.map_err(|error| Trouble::of("naming a staged message", error))
        })?;
        staged.adopted();
        self.leave_chunks();
        // From here on a reader of the directory may find it behind the segment that was written.
        if let Some(mut before) = self.active.take() {
            before.cut();
        }
        vfs.sync_dir().map_err(|error| {
            Stop::Poison(format!("syncing the directory after naming {name} failed: {error}"))
        })
    }

    /// Lets readers see the message.
    fn publish_segment(&mut self, sealed: Sealed) -> Committed {
        let Sealed { info, blocks } = sealed;
        let segment = Segment::begin(info);
        segment.note_blocks(blocks);
        self.next_seq = info.end_seq;
        self.chain = info.chain;
        {
            let mut catalog = self.shared.catalog();
            if let Some(before) = catalog.segments.pop_back_if(|before| before.info.events == 0) {
                // It goes when the next checkpoint holds what it defines.
                catalog.removing.push(before.info.number);
            }
            catalog.segments.push_back(segment);
            catalog.ledger.appended += info.events;
            catalog.head = info.end_seq;
        }
        self.shared.head_moved(info.end_seq);
        let first = Position { epoch: self.epoch, seq: info.first_seq };
        Committed::new(first, info.end_seq)
    }
}
