//! Which node gets the next chunk. Without I/O.

use super::health::Standing;

/// What balancing sees of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Zero drains the node: nothing new goes to it.
    pub(super) weight: u32,
    pub(super) is_standby: bool,
    /// Lower ones come first; higher ones are for when all lower ones are down (RFC 2782).
    pub(super) tier: u16,
    pub(super) standing: Standing,
    pub(super) in_flight: usize,
    /// How many chunks may be in flight at once.
    pub(super) room: usize,
}

/// What to do with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It goes to this node.
    Node(usize),
    /// The nodes that could take it are busy, or all are down; something has to change first.
    Wait,
}

/// Which nodes carry the load, and whether all of the load is carried.
#[derive(Debug)]
struct Active {
    nodes: Vec<usize>,
    tier: u16,
    is_short: bool,
}

/// The nodes that are up in the first tier that has any: its regular ones, and of its standbys, in
/// their order, as many as make up for the weight of the regular ones that are down.
fn active(candidates: &[Candidate]) -> Option<Active> {
    let is_up = |node: &Candidate| node.weight > 0 && node.standing == Standing::Up;
    let tier = candidates.iter().filter(|node| is_up(node)).map(|node| node.tier).min()?;
    let of_tier = || candidates.iter().enumerate().filter(move |(_, node)| node.tier == tier);
    let (mut nodes, mut lost) = (Vec::new(), 0u64);
    for (at, node) in of_tier().filter(|(_, node)| !node.is_standby) {
        if is_up(node) {
            nodes.push(at);
        } else {
            lost += u64::from(node.weight);
        }
    }
    // Without any regular node the standbys are all there is.
    let has_regular = of_tier().any(|(_, node)| !node.is_standby);
    for (at, node) in of_tier().filter(|(_, node)| node.is_standby && is_up(node)) {
        if lost > 0 || !has_regular {
            nodes.push(at);
            lost = lost.saturating_sub(u64::from(node.weight));
        }
    }
    Some(Active { nodes, tier, is_short: lost > 0 })
}

/// Smooth weighted round robin: each turn every node gains its weight, the richest one pays the
/// sum. So the shares are exact over any cycle, and no node gets its share in one burst.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    credit: Vec<i64>,
}

impl Wheel {
    /// Forgets the credits; for when the nodes have changed.
    pub(super) fn reset(&mut self) {
        self.credit.clear();
    }

    fn turn(&mut self, nodes: &[usize], candidates: &[Candidate]) -> Option<usize> {
        self.credit.resize(candidates.len(), 0);
        let (mut total, mut best) = (0, None);
        for at in nodes {
            let (Some(node), Some(credit)) = (candidates.get(*at), self.credit.get_mut(*at)) else {
                continue;
            };
            *credit += i64::from(node.weight);
            total += i64::from(node.weight);
            if best.is_none_or(|(_, most)| *credit > most) {
                best = Some((*at, *credit));
            }
        }
        let (at, _) = best?;
        if let Some(credit) = self.credit.get_mut(at) {
            *credit -= total;
        }
        Some(at)
    }

    /// Chooses a node. `sticky` gives the rank of a node for this chunk; without it the weights
    /// decide.
    pub(super) fn choose(
        &mut self,
        candidates: &[Candidate],
        sticky: Option<&dyn Fn(usize) -> u64>,
    ) -> Choice {
        let free = |at: &usize| candidates.get(*at).is_some_and(|node| node.in_flight < node.room);
        let Some(active) = active(candidates) else {
            return self.last_resort(candidates);
        };
        if let Some(probe) = probe(candidates, &active) {
            return Choice::Node(probe);
        }
        let chosen = match sticky {
            Some(rank) => by_rank(&active.nodes, candidates, rank).filter(free),
            None => {
                let nodes: Vec<usize> = active.nodes.iter().copied().filter(free).collect();
                self.turn(&nodes, candidates)
            }
        };
        chosen.map_or(Choice::Wait, Choice::Node)
    }

    /// No node is up: one chunk goes to a node whose wait is over.
    fn last_resort(&mut self, candidates: &[Candidate]) -> Choice {
        let can_try = |node: &Candidate| {
            let may = matches!(node.standing, Standing::Probe | Standing::Suspect);
            may && node.weight > 0 && node.in_flight == 0
        };
        let order = |node: &Candidate| (node.tier, node.is_standby);
        let Some(first) = candidates.iter().filter(|node| can_try(node)).map(order).min() else {
            return Choice::Wait;
        };
        let all = candidates.iter().enumerate();
        let nodes: Vec<usize> = all
            .filter(|(_, node)| can_try(node) && order(node) == first)
            .map(|(at, _)| at)
            .collect();
        self.turn(&nodes, candidates).map_or(Choice::Wait, Choice::Node)
    }
}

/// A node that may show that it is well again, and would be used then.
fn probe(candidates: &[Candidate], active: &Active) -> Option<usize> {
    candidates.iter().position(|node| {
        let is_wanted = !node.is_standby || active.is_short;
        let is_ready = node.standing == Standing::Probe && node.in_flight == 0;
        is_ready && node.weight > 0 && node.tier <= active.tier && is_wanted
    })
}

/// Weighted rendezvous: each node draws a number by its rank and the one with the best draw for
/// its weight wins. A node that leaves moves only what was its own.
#[expect(clippy::cast_precision_loss, reason = "53 bits of a hash")]
fn by_rank(
    nodes: &[usize],
    candidates: &[Candidate],
    rank: &dyn Fn(usize) -> u64,
) -> Option<usize> {
    let score = |at: usize| {
        let draw = ((rank(at) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let weight = candidates.get(at).map_or(0, |node| node.weight);
        -f64::from(weight) / draw.ln()
    };
    nodes.iter().copied().max_by(|a, b| score(*a).total_cmp(&score(*b)))
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use tokio::time::Instant;

    use super::*;

    fn node(weight: u32) -> Candidate {
        let standing = Standing::Up;
        Candidate { weight, is_standby: false, tier: 0, standing, in_flight: 0, room: 1 }
    }

    fn standby(weight: u32) -> Candidate {
        Candidate { is_standby: true, ..node(weight) }
    }

    fn down() -> Standing {
        Standing::Down(Instant::now())
    }

    fn counts(candidates: &[Candidate], chunks: u32) -> Vec<u32> {
        let (mut wheel, mut counts) = (Wheel::default(), vec![0; candidates.len()]);
        for _ in 0..chunks {
            if let Choice::Node(at) = wheel.choose(candidates, None) {
                counts[at] += 1;
            }
        }
        counts
    }

    /// F-146: within 2 % over 10,000 chunks; in fact exact.
    #[test]
    fn weights_are_kept() {
        assert_eq!(counts(&[node(60), node(30), node(10)], 10_000), [6_000, 3_000, 1_000]);
        let mut wheel = Wheel::default();
        let nodes = [node(60), node(30), node(10)];
        let ten: Vec<Choice> = (0..10).map(|_| wheel.choose(&nodes, None)).collect();
        let burst = ten.windows(3).filter(|run| run.iter().all(|it| *it == Choice::Node(0)));
        assert_eq!(burst.count(), 0, "no node gets its share in one burst: {ten:?}");
    }

    /// F-146: weight 0 gets nothing, a node that is busy is passed over.
    #[test]
    fn drained_and_busy_nodes_get_nothing() {
        assert_eq!(counts(&[node(0), node(1)], 100), [0, 100]);
        assert_eq!(counts(&[node(0)], 100), [0]);
        let busy = Candidate { in_flight: 1, ..node(60) };
        assert_eq!(counts(&[busy, node(30), node(10)], 100), [0, 75, 25]);
        assert_eq!(Wheel::default().choose(&[busy], None), Choice::Wait);
    }

    /// F-147: standbys take over in their order what is lost and give it back.
    #[test]
    fn standbys_make_up_for_lost_weight() {
        let lost = |mut candidate: Candidate| {
            candidate.standing = down();
            candidate
        };
        let all = [node(60), node(60), standby(60), standby(60)];
        assert_eq!(counts(&all, 120), [60, 60, 0, 0]);
        let [one, two, third, fourth] = all;
        assert_eq!(counts(&[lost(one), two, third, fourth], 120), [0, 60, 60, 0]);
        assert_eq!(counts(&[lost(one), lost(two), third, fourth], 120), [0, 0, 60, 60]);
        assert_eq!(counts(&[lost(one), two, lost(third), fourth], 120), [0, 60, 0, 60]);
        let small = [lost(node(60)), node(60), standby(20), standby(40)];
        assert_eq!(counts(&small, 120), [0, 60, 20, 40]);
    }

    /// F-147: a node that recovers gets one chunk before it gets its share.
    #[test]
    fn recovering_nodes_get_one_chunk() {
        let mut nodes = [Candidate { standing: Standing::Probe, ..node(1) }, node(100)];
        let mut wheel = Wheel::default();
        assert_eq!(wheel.choose(&nodes, None), Choice::Node(0));
        nodes[0].in_flight = 1;
        nodes[0].room = 8;
        assert_eq!(wheel.choose(&nodes, None), Choice::Node(1));
        // A standby that nobody needs is not probed.
        let spare = Candidate { standing: Standing::Probe, ..standby(60) };
        assert_eq!(wheel.choose(&[node(60), spare], None), Choice::Node(0));
        let lost = Candidate { standing: down(), ..node(60) };
        assert_eq!(wheel.choose(&[lost, node(60), spare], None), Choice::Node(2));
    }

    /// Without any node that is up, those whose wait is over are tried, one chunk at a time.
    #[test]
    fn the_last_resort_is_whoever_may_be_tried() {
        let suspect = Candidate { standing: Standing::Suspect, ..node(60) };
        let lost = Candidate { standing: down(), ..node(60) };
        let mut wheel = Wheel::default();
        assert_eq!(wheel.choose(&[lost, suspect], None), Choice::Node(1));
        assert_eq!(wheel.choose(&[lost], None), Choice::Wait);
        let busy = Candidate { in_flight: 1, room: 9, ..suspect };
        assert_eq!(wheel.choose(&[busy], None), Choice::Wait);
        let reserve = Candidate { is_standby: true, ..suspect };
        assert_eq!(wheel.choose(&[reserve, suspect], None), Choice::Node(1));
        assert_eq!(wheel.choose(&[], None), Choice::Wait);
    }

    /// F-150: a higher number of priority is used only when all lower ones are down.
    #[test]
    fn tiers_are_fail_over() {
        let first = node(1);
        let second = Candidate { tier: 10, ..node(50) };
        assert_eq!(counts(&[first, first, second], 10), [5, 5, 0]);
        let lost = Candidate { standing: down(), ..first };
        assert_eq!(counts(&[lost, first, second], 10), [0, 10, 0]);
        assert_eq!(counts(&[lost, lost, second], 10), [0, 0, 10]);
        let probed = Candidate { standing: Standing::Probe, ..first };
        assert_eq!(Wheel::default().choose(&[lost, probed, second], None), Choice::Node(1));
    }

    #[test]
    fn sticky_tags_stay_and_spread_by_weight() {
        let rank = |tag: u32| {
            move |at: usize| {
                let mut hasher = DefaultHasher::new();
                (tag, at).hash(&mut hasher);
                hasher.finish()
            }
        };
        let nodes = [node(60), node(30), node(10)];
        let mut counts = [0u32; 3];
        for tag in 0..10_000 {
            let mut wheel = Wheel::default();
            let Choice::Node(at) = wheel.choose(&nodes, Some(&rank(tag))) else { panic!() };
            assert_eq!(wheel.choose(&nodes, Some(&rank(tag))), Choice::Node(at));
            counts[at] += 1;
            // Only what was on the lost node moves.
            let mut fewer = nodes;
            fewer[2].standing = down();
            let moved = wheel.choose(&fewer, Some(&rank(tag)));
            assert!(at == 2 || moved == Choice::Node(at));
            // A busy node is waited for.
            fewer = nodes;
            fewer[at].in_flight = 1;
            assert_eq!(wheel.choose(&fewer, Some(&rank(tag))), Choice::Wait);
        }
        assert!(counts[0].abs_diff(6_000) < 200 && counts[2].abs_diff(1_000) < 200, "{counts:?}");
    }
}
