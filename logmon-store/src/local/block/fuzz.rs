//! The way in for fuzzing: any bytes as a block.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use logmon_core::{FieldTally, Filter, Key, Order, Scope, TableSpec, Tables};

use super::info::Section;
use super::wire::Fields;
use super::{Block, BlockInfo, HEADER_BYTES, Scratch};
use crate::query::{Best, Look};
use crate::vfs::Vfs as _;
use crate::vfs::memory::MemoryVfs;

/// Reads bytes as a block and asks it everything, as the bytes are and with every checksum put
/// right. Gives the number of events read each time.
pub fn read_block(bytes: &[u8]) -> (u64, u64) {
    (read(bytes), read(&sealed(bytes.to_vec())))
}

fn read(bytes: &[u8]) -> u64 {
    let Ok(info) = BlockInfo::parse(bytes) else { return 0 };
    let vfs = MemoryVfs::new();
    vfs.put("block", bytes.to_vec());
    let Ok(file) = vfs.open("block") else { return 0 };
    let rows = info.rows;
    let block = Block::new(Arc::new(info), file, "block".into(), 0);
    let mut scratch = Scratch::default();
    let is_whole = block.verify(&mut scratch).is_ok();
    let mut events = 0;
    if let Ok(group) = block.open(&mut scratch).read_all() {
        let mut json = Vec::new();
        group.iter().for_each(|log| log.write_json(&mut json));
        events = group.len() as u64;
        assert_eq!(events, u64::from(rows), "all events or none");
    }
    let cancel = AtomicBool::new(false);
    for text in QUERIES {
        let Ok(filter) = Filter::parse(text) else { continue };
        let scope = Scope::new(filter);
        let look = Look::new(&scope, 1 << 60, &cancel);
        let mut best = Best::new(Order::NewestFirst, 10, 1 << 20);
        let mut damages = Vec::new();
        let found = block.find(&look, &mut best, (&mut scratch, &mut damages));
        let mut tables = Tables::new(vec![TableSpec::by([Key::Level, Key::Metadata("x".into())])]);
        let counted = block.tally(&look, &mut tables, (&mut scratch, &mut damages));
        let mut tally = FieldTally::default();
        let _fields = block.fields(&look, &mut tally, (&mut scratch, &mut damages));
        if let (Ok(found), Ok(counted), true) = (found, counted, is_whole && damages.is_empty()) {
            assert_eq!(found.matched, counted.matched, "{text}");
        }
    }
    events
}

/// One of each kind of column.
const QUERIES: [&str; 8] = [
    "*",
    "level>=warn OR source:a*",
    "NOT tag:a timestamp>=1",
    "a OR *b*",
    "/^a+/ OR /b/",
    "x:1 OR y.z:*",
    "level_raw:* OR metadata.level:*",
    "received>=1 接",
];

/// Makes bytes pass the checksums, so that what lies behind them is reached.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    const TABLE: usize = HEADER_BYTES - 4 - Section::ALL.len() * 13;
    if bytes.len() < HEADER_BYTES {
        return bytes;
    }
    let mut at = HEADER_BYTES;
    let mut pages = Vec::new();
    for section in Section::ALL {
        let entry = TABLE + section as usize * 13;
        let len = bytes.get(entry..).and_then(|rest| Fields(rest).u32()).unwrap_or(0) as usize;
        let Some(content) = bytes.get(at..at.saturating_add(len)) else { break };
        match section {
            Section::Pages => pages = content.to_vec(),
            Section::Messages | Section::Values => {
                seal_pages(&mut pages, content, usize::from(section == Section::Values));
            }
            _ => {}
        }
        let crc = crc32c::crc32c(content);
        put(&mut bytes, entry + 8, crc);
        at += len;
    }
    // The table of pages, now that its checksums are right.
    let before = Section::ALL.iter().take_while(|section| **section != Section::Pages);
    let lens = before.filter_map(|section| {
        let entry = TABLE + *section as usize * 13;
        Fields(bytes.get(entry..)?).u32()
    });
    let start = HEADER_BYTES + lens.map(|len| len as usize).sum::<usize>();
    let crc = crc32c::crc32c(&pages);
    if let Some(table) = bytes.get_mut(start..start + pages.len()) {
        table.copy_from_slice(&pages);
        put(&mut bytes, TABLE + Section::Pages as usize * 13 + 8, crc);
    }
    let crc = crc32c::crc32c(bytes.get(..HEADER_BYTES - 4).unwrap_or_default());
    put(&mut bytes, HEADER_BYTES - 4, crc);
    bytes
}

/// Puts the checksums of one of the two kinds of pages right; each entry of the table has 29 bytes.
fn seal_pages(table: &mut [u8], content: &[u8], kind: usize) {
    let mut at = 0_usize;
    for entry in table.chunks_exact_mut(29) {
        let stored = 3 + kind * 13 + 1;
        let len = Fields(entry.get(stored..).unwrap_or_default()).u32().unwrap_or(0) as usize;
        let Some(page) = content.get(at..at.saturating_add(len)) else { return };
        put(entry, stored + 8, crc32c::crc32c(page));
        at += len;
    }
}

fn put(bytes: &mut [u8], at: usize, crc: u32) {
    if let Some(four) = bytes.get_mut(at..at + 4) {
        four.copy_from_slice(&crc.to_le_bytes());
    }
}
