//! Any bytes as an item of the quarantine, as they are and with the checksums put right: reading
//! them neither panics nor makes more of them than they are.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use logmon_store::vfs::memory::MemoryVfs;
use logmon_store::{DirQuarantine, GetError, QuarantineConfig};

const ITEM: &str = "000000000001-00000000.item";

fn read_item(bytes: &[u8]) {
    let vfs = Arc::new(MemoryVfs::new());
    vfs.put(ITEM, bytes.to_vec());
    let quarantine = DirQuarantine::open_in(vfs, QuarantineConfig::default());
    let quarantine = quarantine.expect("damage is no error");
    let listed = quarantine.list().expect("the folder can be read");
    let [listed] = &listed[..] else { panic!("one file is one item") };
    assert_eq!(listed.file_bytes, bytes.len() as u64);
    match (&listed.facts, quarantine.get(listed.id)) {
        (Ok((facts, kept)), Ok(item)) => {
            assert_eq!(item.bytes.len() as u64, *kept);
            assert!(item.bytes.len() < bytes.len());
            let mut without = item;
            without.bytes = facts.bytes.clone();
            assert_eq!(&without, facts);
        }
        (_, Err(GetError::Damaged(_))) => {}
        (facts, item) => panic!("{facts:?}, {item:?}"),
    }
}

/// Puts the checksum of all but the last four bytes there.
fn seal(bytes: &mut [u8]) {
    if let Some((checked, sum)) = bytes.split_last_chunk_mut::<4>() {
        *sum = crc32c::crc32c(checked).to_le_bytes();
    }
}

/// Makes an item of bytes as far as they are one: magic, right lengths, right checksums.
fn sealed_item(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&facts, rest) = bytes.split_first()?;
    let (facts, kept) = rest.split_at_checked(usize::from(facts))?;
    let lengths = [&(facts.len() as u32).to_le_bytes()[..], &(kept.len() as u64).to_le_bytes()];
    let mut item = [b"LMQUAR\x01\n", &lengths.concat()[..], facts, &[0; 4]].concat();
    seal(&mut item);
    let start = item.len();
    item.extend_from_slice(kept);
    item.extend_from_slice(&[0; 4]);
    seal(&mut item[start..]);
    Some(item)
}

fuzz_target!(|bytes: &[u8]| {
    read_item(bytes);
    if let Some(item) = sealed_item(bytes) {
        read_item(&item);
    }
});
