use super::*;
use crate::codec::Chunk;

fn dedupe(mode: DedupeMode) -> Arc<Dedupe> {
    let config = ListenerConfig { dedupe: mode, dedupe_max_ids: 5, ..ListenerConfig::default() };
    Arc::new(Dedupe::new(&config))
}

fn peer(last: u8) -> PeerId {
    PeerId::of([10, 0, 0, last].into())
}

/// What becomes of chunks whose events are `text`; `prove` tells whether an id is a hash.
fn see_all(
    dedupe: &Arc<Dedupe>,
    origin: &mut Origin,
    chunks: &[Chunk<'_>],
    (text, is_hash): (&str, bool),
) -> (Vec<Verdict>, Claim) {
    let keys = dedupe.keys(&"t".into(), origin);
    let content = ContentHash::of(text.as_bytes());
    let mut seen: Vec<_> = chunks.iter().map(|chunk| keys.sighting(*chunk, content)).collect();
    dedupe.decide(origin, &mut seen, |at, seen| keys.proven(seen, chunks[at], is_hash))
}

fn see(dedupe: &Arc<Dedupe>, origin: &mut Origin, chunk: Chunk<'_>) -> (Verdict, Claim) {
    let (mut verdicts, claim) = see_all(dedupe, origin, &[chunk], ("text", true));
    (verdicts.pop().unwrap(), claim)
}

fn digest(verdict: &Verdict) -> [u8; 16] {
    match verdict {
        Verdict::New { digest, .. } => *digest,
        other => panic!("{other:?}"),
    }
}

const MAYBE: &[u8] = b"p8n9gmxTQQu/8h3C0sKeTA==";

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_dropped_is_forgotten() {
    let dedupe = dedupe(DedupeMode::Evidence);
    let (mut a, mut b) = (dedupe.admit(peer(1)), dedupe.admit(peer(1)));
    let id = Chunk::of(b"id", false);
    let (first, claim) = see(&dedupe, &mut a, id);
    digest(&first);
    let (copy, _claim) = see(&dedupe, &mut b, id);
    drop(claim);
    let Verdict::OnItsWay(seen) = copy else { panic!("{copy:?}") };
    assert!(seen.await.is_err());
    let (again, claim) = see(&dedupe, &mut b, id);
    digest(&again);
    claim.commit();
    assert!(matches!(see(&dedupe, &mut a, id).0, Verdict::Known));
}

/// Several ids of one read that must be looked into leave gaps in the numbers, and every one of
/// them is committed.
#[tokio::test(start_paused = true)]
async fn a_claim_may_have_gaps() {
    let dedupe = dedupe(DedupeMode::Evidence);
    let (mut a, mut b) = (dedupe.admit(peer(1)), dedupe.admit(peer(1)));
    let ids: Vec<_> = (0..3).map(|n| vec![b'a' + n; 3]).collect();
    let chunk = |at: usize| Chunk::of(&ids[at], false);
    let maybe = Chunk::of(MAYBE, false);
    see(&dedupe, &mut a, maybe).1.commit();
    let keys = dedupe.keys(&"t".into(), &a);
    let content = ContentHash::of(b"text");
    let chunks = [chunk(0), maybe, chunk(1)];
    let mut seen = chunks.map(|chunk| keys.sighting(chunk, content));
    let (verdicts, claim) = dedupe.decide(&mut a, &mut seen, |at, seen| {
        // Meanwhile another connection has a chunk.
        see(&dedupe, &mut b, chunk(2)).1.commit();
        keys.proven(seen, chunks[at], false)
    });
    assert!(matches!(verdicts[..], [Verdict::New { .. }, Verdict::Known, Verdict::New { .. }]));
    assert_eq!((&claim.numbers, claim.more.first()), (&(3..4), Some(&(1..2))));
    claim.commit();
    for at in 0..3 {
        assert!(matches!(see(&dedupe, &mut b, chunk(at)).0, Verdict::Known), "{at}");
    }
}

/// D-6: what an earlier process has appended is recognised, by what is left of it.
#[tokio::test(start_paused = true)]
async fn chunks_of_an_earlier_process_are_recognised() {
    let before = dedupe(DedupeMode::Evidence);
    let mut a = before.admit(peer(1));
    let [unique, first, last] = [(&b"unique"[..], false), (b"first", true), (b"last", true)]
        .map(|(id, is)| Chunk::of(id, is));
    let digests = [unique, first, last].map(|chunk| digest(&see(&before, &mut a, chunk).0));
    let now = Timestamp::from_nanos(1_800_000_000_000_000_000);
    let at = |seconds_ago: i64| now.saturating_add_nanos(-seconds_ago * 1_000_000_000);
    let chunks = digests.map(|digest| SeenChunk { digest, received: at(60) });
    let after = dedupe(DedupeMode::Evidence);
    after.restore(&chunks, now);
    let (mut again, mut other) = (after.admit(peer(1)), after.admit(peer(2)));
    assert!(matches!(see(&after, &mut other, unique).0, Verdict::Known));
    // The next chunk on its connection shows that its sender had the acknowledgement.
    digest(&see(&after, &mut again, first).0);
    digest(&see(&after, &mut other, last).0);
    assert!(matches!(see(&after, &mut again, last).0, Verdict::Known));
    // Too old, and more than are wanted.
    let after = dedupe(DedupeMode::Evidence);
    let old = SeenChunk { received: at(15 * 60 - 10), ..chunks[0] };
    after.restore(&[&[chunks[1]; 9][..], &[old]].concat(), now);
    assert_eq!(after.len(), 5);
    let mut again = after.admit(peer(1));
    tokio::time::advance(Duration::from_secs(11)).await;
    digest(&see(&after, &mut again, unique).0);
}

/// Modes differ where the id is a hash, or could be one.
#[tokio::test(start_paused = true)]
async fn strict_suppresses_equal_hashes() {
    for (mode, is_known) in [(DedupeMode::Strict, true), (DedupeMode::Evidence, false)] {
        let dedupe = dedupe(mode);
        let (mut a, mut b) = (dedupe.admit(peer(1)), dedupe.admit(peer(2)));
        for chunk in [Chunk::of(b"id", true), Chunk::of(MAYBE, false)] {
            see(&dedupe, &mut a, chunk).1.commit();
            for origin in [&mut a, &mut b] {
                let (verdict, claim) = see(&dedupe, origin, chunk);
                claim.commit();
                assert_eq!(matches!(verdict, Verdict::Known), is_known, "{mode:?} {chunk:?}");
            }
        }
    }
}

/// An id that looks like a hash and is none is one of its own.
#[tokio::test(start_paused = true)]
async fn unproven_ids_are_looked_into() {
    let dedupe = dedupe(DedupeMode::Evidence);
    let mut a = dedupe.admit(peer(1));
    let maybe = [Chunk::of(MAYBE, false); 2];
    let (verdicts, claim) = see_all(&dedupe, &mut a, &maybe, ("text", false));
    assert!(matches!(verdicts[..], [Verdict::New { .. }, Verdict::OnItsWay(_)]));
    claim.commit();
    let (verdicts, _claim) = see_all(&dedupe, &mut a, &maybe, ("text", true));
    assert!(matches!(verdicts[..], [Verdict::New { .. }, Verdict::New { .. }]));
}
