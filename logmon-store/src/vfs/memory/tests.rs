//! The disk that tests trust.

use std::io;

use super::*;
use crate::vfs::{Vfs as _, VfsFile};

fn file(vfs: &MemoryVfs, name: &str) -> Arc<dyn VfsFile> {
    vfs.create(name).unwrap()
}

#[test]
fn without_a_sync_a_power_cut_takes_everything() {
    let vfs = MemoryVfs::new();
    let a = file(&vfs, "a");
    a.write_at(b"one", 0).unwrap();
    assert!(vfs.power_cut(0).names().is_empty());
    vfs.sync_dir().unwrap();
    assert_eq!(vfs.power_cut(0).content("a").unwrap(), b"");
    a.sync_data().unwrap();
    a.write_at(b"two", 3).unwrap();
    assert_eq!(vfs.power_cut(0).content("a").unwrap(), b"one");
    assert_eq!(vfs.killed().content("a").unwrap(), b"onetwo");
}

#[test]
fn a_sync_saves_what_was_cut_off_and_grown_again() {
    let vfs = MemoryVfs::new();
    let a = file(&vfs, "a");
    a.write_at(&[7; 2000], 0).unwrap();
    vfs.sync_dir().unwrap();
    a.sync_data().unwrap();
    a.set_len(700).unwrap();
    a.set_len(1500).unwrap();
    a.sync_data().unwrap();
    let kept = vfs.power_cut(0).content("a").unwrap();
    assert_eq!(kept, [vec![7; 700], vec![0; 800]].concat());
}

// A file that gets a new name has the one or the other, and the one it replaces is there or not.
#[test]
fn a_rename_is_done_or_not_done() {
    let vfs = MemoryVfs::new();
    vfs.put("old", b"1".to_vec());
    vfs.put("other", b"2".to_vec());
    vfs.rename("old", "other").unwrap();
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let after = vfs.power_cut(seed);
        outcomes
            .insert(after.names().into_iter().map(|name| after.content(&name)).collect::<Vec<_>>());
    }
    let one = |text: &str| Some(text.as_bytes().to_vec());
    let expected = [vec![one("1")], vec![one("1"), one("2")]];
    assert_eq!(outcomes, expected.into_iter().collect());
}

#[test]
fn a_failing_sync_never_saves_and_a_lying_one_says_it_did() {
    for (fault, is_told) in [(Fault::Io, true), (Fault::Lie, false)] {
        let vfs = MemoryVfs::new();
        let a = file(&vfs, "a");
        vfs.sync_dir().unwrap();
        a.write_at(b"one", 0).unwrap();
        vfs.fail(Call::Sync, 1, fault);
        assert_eq!(a.sync_data().is_err(), is_told);
        assert_eq!(vfs.power_cut(0).content("a").unwrap(), b"");
        a.sync_data().unwrap();
        let kept = vfs.power_cut(0).content("a").unwrap();
        assert_eq!(kept.is_empty(), is_told, "only the lie leaves it to be saved later");
    }
}

#[test]
fn faults_befall_the_calls_that_can_have_them() {
    let vfs = MemoryVfs::new();
    let a = file(&vfs, "a");
    a.write_at(&[1; 100], 0).unwrap();
    vfs.fail_from(Call::Any, 1, Fault::ReadOnly);
    vfs.fail_from(Call::AnyRead, 1, Fault::TooManyOpen);
    assert_eq!(a.write_at(b"x", 100).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(vfs.create("b").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(vfs.open("a").unwrap_err().raw_os_error(), Some(24));
    assert_eq!(a.read_at(&mut [0; 4], 0).unwrap(), 4);
    assert_eq!(vfs.content("a").unwrap().len(), 100, "nothing was written");
    assert_eq!(vfs.hits(), 3);
    vfs.heal();
    a.write_at(b"x", 100).unwrap();
    vfs.fail(Call::Read, 1, Fault::Flip);
    let mut buf = [0; 10];
    a.read_at(&mut buf, 0).unwrap();
    assert_eq!(buf.iter().filter(|byte| **byte != 1).count(), 1);
}

#[test]
fn random_faults_repeat_with_their_seed() {
    let run = |seed| {
        let vfs = MemoryVfs::new();
        vfs.fail_at_random(Call::Create, (seed, 5), &[Fault::Full, Fault::Io, Fault::TooManyOpen]);
        let made = (0..200).map(|n| vfs.create(&n.to_string()).is_ok());
        made.collect::<Vec<_>>()
    };
    let made = run(11);
    assert_eq!(made, run(11));
    assert_ne!(made, run(12));
    let failed = made.iter().filter(|is_made| !**is_made).count();
    assert!((10..100).contains(&failed), "{failed}");
}
