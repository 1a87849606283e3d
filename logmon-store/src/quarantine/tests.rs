use bytes::Bytes;
use logmon_core::{QuarantinedKind, Tag, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::vfs::memory::{Call, Fault, MemoryVfs};

fn item(reason: &str, bytes: &'static [u8]) -> Quarantined {
    let kind = QuarantinedKind::Message;
    let mut item = Quarantined::new("forward", reason, kind, Bytes::from_static(bytes));
    item.detail = "the message is no array".to_owned();
    item.peer = Some("192.0.2.7:4711".to_owned());
    item.tag = Some(Tag::from("app.web"));
    item.count = 3;
    item.received = Timestamp::from_nanos(1_800_000_000_123_456_789);
    item
}

fn open(vfs: &MemoryVfs, config: QuarantineConfig) -> DirQuarantine {
    DirQuarantine::open_in(Arc::new(vfs.clone()), config).unwrap()
}

fn reasons(quarantine: &DirQuarantine) -> Vec<String> {
    let listed = quarantine.list().unwrap();
    listed.into_iter().map(|item| item.facts.unwrap().0.reason).collect()
}

#[tokio::test]
async fn keeps_items_over_a_restart_until_they_are_removed() {
    let vfs = MemoryVfs::new();
    let quarantine = open(&vfs, QuarantineConfig::default());
    let first = item("no_array", b"\xc3nonsense");
    quarantine.put(first.clone()).await.unwrap();
    quarantine.put(item("bad_tag", b"")).await.unwrap();
    let quarantine = open(&vfs.power_cut(0), QuarantineConfig::default());
    let listed = quarantine.list().unwrap();
    assert_eq!(reasons(&quarantine), ["no_array", "bad_tag"]);
    assert_eq!(quarantine.get(listed[0].id).unwrap(), first);
    let (facts, kept) = listed[0].facts.as_ref().unwrap();
    assert_eq!((kept, &facts.peer, facts.count), (&9, &first.peer, 3));
    quarantine.remove(listed[0].id).unwrap();
    assert_eq!(reasons(&quarantine), ["bad_tag"]);
    assert!(matches!(quarantine.get(listed[0].id), Err(GetError::Unknown(_))));
    assert!(matches!(quarantine.remove(listed[0].id), Err(GetError::Unknown(_))));
    assert_eq!(quarantine.status().items, 1);
}

/// The bounds hold: the oldest go first and are counted.
#[tokio::test]
async fn makes_room_and_counts_what_went() {
    let vfs = MemoryVfs::new();
    let one = file::encode(&item("a", b"1234"), &QuarantineConfig::default()).len() as u64;
    let config = QuarantineConfig { max_bytes: 2 * one, ..QuarantineConfig::default() };
    let quarantine = open(&vfs, config);
    for reason in ["a", "b", "c", "d"] {
        quarantine.put(item(reason, b"1234")).await.unwrap();
    }
    assert_eq!(reasons(&quarantine), ["c", "d"]);
    let status = quarantine.status();
    assert_eq!((status.kept, status.expired, status.bytes), (4, 2, 2 * one));
    assert_eq!(vfs.names().len(), 2);
}

#[tokio::test]
async fn keeps_the_head_of_what_is_long_and_only_the_facts_where_told() {
    let bounded = QuarantineConfig { max_item_bytes: 4, ..QuarantineConfig::default() };
    let facts = QuarantineConfig { keep: Keep::Facts, ..QuarantineConfig::default() };
    for (config, expected) in [(bounded, &b"long"[..]), (facts, b"")] {
        let quarantine = open(&MemoryVfs::new(), config);
        quarantine.put(item("too_long", b"longer than that")).await.unwrap();
        let kept = quarantine.get(quarantine.list().unwrap()[0].id).unwrap();
        assert_eq!((&*kept.bytes, kept.full_bytes), (expected, 16));
    }
}

#[tokio::test]
async fn items_put_together_share_the_sync_of_the_directory() {
    let vfs = MemoryVfs::new();
    let quarantine = open(&vfs, QuarantineConfig::default());
    let reasons_put: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
    let puts = reasons_put.iter().map(|reason| quarantine.put(item(reason, b"x")));
    let puts: Vec<_> = puts.collect();
    for put in puts {
        put.await.unwrap();
    }
    assert_eq!(vfs.calls(Call::SyncDir), 1);
    assert_eq!(reasons(&quarantine), reasons_put);
}

#[tokio::test]
async fn a_failure_of_the_disk_is_told_and_the_next_item_is_kept() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename, Call::SyncDir] {
        let vfs = MemoryVfs::new();
        let quarantine = open(&vfs, QuarantineConfig::default());
        vfs.fail(call, 1, Fault::Full);
        assert!(quarantine.put(item("first", b"x")).await.is_err(), "{call:?}");
        quarantine.put(item("second", b"x")).await.unwrap();
        assert_eq!(quarantine.status().failed, 1);
        assert!(reasons(&quarantine).contains(&"second".to_owned()), "{call:?}");
        assert!(vfs.names().iter().all(|name| !name::is_draft(name)), "{call:?}");
    }
}

/// Wherever the power is cut, an item is there whole or not at all, and one that was kept is
/// there.
#[tokio::test]
async fn a_power_cut_leaves_no_half_item() {
    for at in 1..30 {
        for seed in 0..4 {
            let vfs = MemoryVfs::new();
            vfs.cut_at(at, seed);
            let quarantine = open(&vfs, QuarantineConfig::default());
            let mut kept_before_cut = 0;
            for reason in ["a", "b", "c"] {
                quarantine.put(item(reason, &[7; 3_000])).await.unwrap();
                let cut = vfs.calls(Call::Any) >= at;
                kept_before_cut += usize::from(!cut);
            }
            let Some(after) = vfs.cut_image() else { continue };
            let quarantine = open(&after, QuarantineConfig::default());
            quarantine.clean().unwrap();
            let listed = quarantine.list().unwrap();
            let read: Vec<_> = listed.iter().map(|item| quarantine.get(item.id)).collect();
            assert!(read.iter().all(Result::is_ok), "cut at {at}, seed {seed}: {read:?}");
            assert!(read.len() >= kept_before_cut, "cut at {at}, seed {seed}");
            assert!(after.names().iter().all(|name| !name::is_draft(name)));
        }
    }
}

#[tokio::test]
async fn damaged_items_are_listed_as_such_and_other_files_are_not_ours() {
    let vfs = MemoryVfs::new();
    let quarantine = open(&vfs, QuarantineConfig::default());
    quarantine.put(item("well", b"x")).await.unwrap();
    quarantine.put(item("to be damaged", b"yyyy")).await.unwrap();
    let name = vfs.names().pop().unwrap();
    let mut bytes = vfs.take(&name).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    vfs.put(&name, bytes);
    vfs.put("000000000000-00000000.item", b"LMQUAR".to_vec());
    for foreign in ["notes.txt", "x.item", "../0.item", "000000000000-0000000G.item", ".item"] {
        vfs.put(foreign, b"?".to_vec());
    }
    let quarantine = open(&vfs, QuarantineConfig::default());
    let listed = quarantine.list().unwrap();
    let is_well: Vec<bool> = listed.iter().map(|item| item.facts.is_ok()).collect();
    assert_eq!(is_well, [false, true, true], "facts and bytes have checksums of their own");
    assert!(matches!(quarantine.get(listed[2].id), Err(GetError::Damaged(_))));
    assert_eq!(quarantine.get(listed[1].id).unwrap().reason, "well");
    quarantine.remove(listed[0].id).unwrap();
    quarantine.remove(listed[2].id).unwrap();
    assert_eq!(reasons(&quarantine), ["well"]);
}

/// The clock goes back: the order stays.
#[test]
fn ids_ascend() {
    let at = |seconds| Timestamp::from_seconds(seconds, 0).unwrap();
    let first = ItemId::after(None, at(1_800_000_000));
    let second = ItemId::after(Some(first), at(1_700_000_000));
    let third = ItemId::after(Some(second), at(1_800_000_001));
    assert!(first < second && second < third);
    assert!(first.to_string() < second.to_string());
    for id in [first, second, third] {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for bad in ["", "-", "0-0", "../../../../x-00000000", "00000000000G-00000000"] {
        assert_eq!(bad.parse::<ItemId>(), Err(ParseItemIdError));
    }
}

proptest! {
    /// Whatever stands in a file is an item or damage.
    #[test]
    fn any_bytes_are_survived(
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        is_ours: bool,
        flip in proptest::option::of((0..150_usize, 0..8_u8)),
    ) {
        let mut bytes = file::encode(&item("r", b"some bytes"), &QuarantineConfig::default());
        match flip {
            Some((at, bit)) if is_ours => {
                let at = at % bytes.len();
                bytes[at] ^= 1 << bit;
            }
            _ if is_ours => { bytes.extend(&tail); }
            _ => { bytes.truncate(8); bytes.extend(&tail); }
        }
        let has_changed = bytes != file::encode(&item("r", b"some bytes"), &QuarantineConfig::default());
        let vfs = MemoryVfs::new();
        vfs.put("000000000001-00000001.item", bytes);
        let quarantine = open(&vfs, QuarantineConfig::default());
        let listed = quarantine.list().unwrap();
        prop_assert_eq!(quarantine.get(listed[0].id).is_err(), has_changed);
    }
}
