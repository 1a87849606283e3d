//! Power cuts: what was promised is there, whatever the disk kept of the rest.

use proptest::prelude::*;

use super::*;

/// What was promised stands in what was found, which stands in what was appended; in order, and
/// without holes up to the last promise.
fn assert_kept(found: &[String], appended: &[String], promised: usize, context: &str) {
    assert!(found.len() >= promised, "{context}: {} of {promised}", found.len());
    assert_eq!(found[..promised], appended[..promised], "{context}");
    let mut rest = appended[promised..].iter();
    for text in &found[promised..] {
        assert!(rest.any(|appended| appended == text), "{context}: {text} is out of order");
    }
}

fn texts(sizes: &[usize]) -> Vec<String> {
    sizes.iter().enumerate().map(|(n, size)| format!("{n}:{}", "x".repeat(*size))).collect()
}

// S-004, S-009, S-010, S-011: the power goes in every call of a workload, and what was not synced
// is lost, kept or torn in many ways.
#[tokio::test]
async fn a_power_cut_in_any_call_loses_nothing_promised() {
    let appended = texts(&[10, 900, 0, 2000, 30, 5, 1200, 1]);
    for nth in 1.. {
        let mut was_cut = true;
        for seed in [0, 1, 2, 3] {
            let vfs = MemoryVfs::new();
            vfs.cut_at(nth, seed * 7919);
            let (journal, _) = open(&vfs, JournalConfig { segment_bytes: 2000, ..small() });
            let mut promised = 0;
            for (n, text) in appended.iter().enumerate() {
                journal.append(batch(text)).await.unwrap();
                // The cut has not happened yet, so the promise came before it.
                if vfs.calls(Call::Any) < nth {
                    promised = n + 1;
                }
            }
            drop(journal);
            let Some(after) = vfs.cut_image() else {
                was_cut = false;
                continue;
            };
            let context = format!("call {nth}, seed {seed}");
            // S-008: again and again, also in the middle of recovery.
            for again in 0..3 {
                after.cut_at(2 + again, seed);
                let (journal, _) = open(&after, small());
                assert_kept(&messages(&journal).await, &appended, promised, &context);
                assert_books_balance(&journal).await;
                drop(journal);
                if let Some(cut_again) = after.cut_image() {
                    let (journal, _) = open(&cut_again, small());
                    assert_kept(&messages(&journal).await, &appended, promised, &context);
                    journal.append(batch("on")).await.unwrap();
                    assert_books_balance(&journal).await;
                }
            }
        }
        if !was_cut {
            assert!(nth > 20, "{nth}");
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::effort::cases(64), failure_persistence: None, ..ProptestConfig::default() })]

    // S-009, S-010
    #[test]
    fn promises_survive_power_cuts_under_any_load(
        rounds in proptest::collection::vec(
            (proptest::collection::vec(0_usize..3000, 1..12), 1_usize..30, any::<u64>()),
            1..4,
        ),
        segment_bytes in 500_u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let config = JournalConfig { segment_bytes, ..small() };
            let mut vfs = MemoryVfs::new();
            let mut before: Vec<String> = Vec::new();
            for (sizes, cut_at, seed) in rounds {
                vfs.cut_at(cut_at, seed);
                let (journal, _) = open(&vfs, config.clone());
                let appended = texts(&sizes);
                // All at once, so that groups have many frames.
                let commits: Vec<_> =
                    appended.iter().map(|text| journal.append(batch(text))).collect();
                let mut promised = 0;
                for (n, commit) in commits.into_iter().enumerate() {
                    commit.await.unwrap();
                    if vfs.calls(Call::Any) < cut_at {
                        promised = n + 1;
                    }
                }
                drop(journal);
                vfs = vfs.cut_image().unwrap_or_else(|| vfs.power_cut(seed));
                let (journal, _) = open(&vfs, config.clone());
                let found = messages(&journal).await;
                assert_books_balance(&journal).await;
                assert_eq!(found[..before.len()], before);
                assert_kept(&found[before.len()..], &appended, promised, "a round");
                before = found;
                drop(journal);
                vfs = vfs.snapshot();
            }
        });
    }
}
