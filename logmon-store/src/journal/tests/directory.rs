//! A real directory that is taken away.

use super::*;

/// S-021: the directory is renamed, or removed, under an open journal. It stops taking events and
/// says which file it could not make; what was promised is in the directory that was renamed.
#[tokio::test]
async fn a_directory_that_goes_away_stops_the_journal_with_a_reason() {
    for is_renamed in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let (dir, moved) = (root.path().join("data"), root.path().join("moved"));
        let (journal, _) = DiskJournal::open(&dir, small()).unwrap();
        let mut promised = Vec::new();
        for n in 0..5 {
            journal.append(batch(&n.to_string())).await.unwrap();
            promised.push(n.to_string());
        }
        if is_renamed {
            std::fs::rename(&dir, &moved).unwrap();
        } else {
            std::fs::remove_dir_all(&dir).unwrap();
        }
        let refusal = loop {
            // What fits into the segment that is open may still be promised.
            let text = promised.len().to_string();
            match journal.append(batch(&text)).await {
                Ok(_) => promised.push(text),
                Err(error) => break error,
            }
            assert!(promised.len() < 1000);
        };
        match refusal {
            AppendError::Poisoned(why) => assert!(why.contains("segment"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(journal.status().state, JournalState::Poisoned(_)));
        journal.close();
        if is_renamed {
            let (journal, _) = DiskJournal::open(&moved, small()).unwrap();
            assert_eq!(messages(&journal).await, promised);
        }
    }
}
