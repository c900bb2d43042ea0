//! What one miner claims: the non-empty sets inside A and inside none of the B's, in the form in which it is counted.

/// The non-empty sets inside `within` that contain something of every one of the `edges`.
///
/// A set inside A is outside B when it has something of A \ B. These differences are the edges, and only the least of
/// them matter: none contains another (an antichain), ascending. The claim is void when an edge is empty, for then
/// somebody later is better on all of A.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub within: u64,
    pub edges: Vec<u64>,
}

impl Claim {
    /// `None` when nothing is claimed.
    pub fn new(within: u64, outside: impl Iterator<Item = u64>) -> Option<Self> {
        // Most claims are void, and most of those by one of the first.
        let edges = outside.map(|beaten| Some(within & !beaten).filter(|edge| *edge != 0));
        if within == 0 { None } else { Self::of_edges(within, edges.collect::<Option<_>>()?) }
    }

    fn of_edges(within: u64, mut edges: Vec<u64>) -> Option<Self> {
        if within == 0 || edges.contains(&0) {
            return None;
        }
        reduce(&mut edges);
        Some(Self { within, edges })
    }

    /// What both claim.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let within = self.within & other.within;
        Self::of_edges(within, self.edges.iter().chain(&other.edges).map(|edge| edge & within).collect())
    }

    /// Operations for [`Self::meet`] with another claim, at most.
    pub fn meeting(&self, other: &Self) -> u64 {
        let edges = (self.edges.len() + other.edges.len()) as u64;
        edges * edges / 8 + edges + 1
    }
}

/// Leaves the least edges, each once, in ascending order.
fn reduce(edges: &mut Vec<u64>) {
    edges.sort_unstable_by_key(|edge| (edge.count_ones(), *edge));
    edges.dedup();
    let mut least = 0;
    for index in 0..edges.len() {
        let edge = edges[index];
        // A plain loop over all of them is faster than one that stops, as it can take several at once.
        if !edges[..least].iter().fold(false, |found, smaller| found | (smaller & !edge == 0)) {
            edges[least] = edge;
            least += 1;
        }
    }
    edges.truncate(least);
    edges.sort_unstable();
}
