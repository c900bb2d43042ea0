//! Comparing every miner with every other one in every environment, fast.
//!
//! Whether a rate is above a bound depends on the order of the rates alone. So in each environment the distinct results
//! are sorted once and numbered, each bound becomes the number of the first rate above it, and comparing two miners is a
//! comparison of small integers, several at a time. What the bound is, and that it is decided exactly, stays with the
//! rule: it is asked once for each distinct result, by bisection.

use ndarray::Array2;

use crate::Tallies;

/// One miner in one environment: successes, and episodes that count.
pub(crate) type Tallied = (u32, u32);

/// The numbers of the rates, ascending, one row a miner; columns are in the order of [`Tallies::columns`].
pub(crate) struct Ranks {
    ranks: Array2<u16>,
    /// The distinct results of each column, ascending by rate; of equal rates one.
    distinct: Vec<Vec<Tallied>>,
    /// Which of the distinct pairs each miner has in each column, and the pairs. Equal rates can have other bounds.
    pairs: Vec<Vec<Tallied>>,
    pair_of: Array2<u16>,
}

impl Ranks {
    pub(crate) fn of(tallies: &Tallies) -> Self {
        let shape = (tallies.miners().len(), tallies.environments().len());
        let (mut ranks, mut pair_of) = (Array2::zeros(shape), Array2::zeros(shape));
        let (mut distinct, mut pairs) = (Vec::new(), Vec::new());
        for (column, &environment) in tallies.columns().iter().enumerate() {
            let results: Vec<Tallied> = (0..shape.0).map(|miner| tallies.results_of(miner)[environment]).collect();
            let mut of_column = results.clone();
            // A rate without episodes is 0, as for a miner that always fails.
            of_column.sort_unstable_by(|a, b| rate_order(*a, *b).then(a.cmp(b)));
            of_column.dedup();
            let mut rates: Vec<Tallied> = Vec::new();
            let mut rank_of_pair = Vec::new();
            for pair in &of_column {
                if rates.last().is_none_or(|last| rate_order(*last, *pair).is_ne()) {
                    rates.push(*pair);
                }
                rank_of_pair.push(number(rates.len() - 1));
            }
            for (miner, result) in results.into_iter().enumerate() {
                let found = of_column.binary_search_by(|pair| rate_order(*pair, result).then(pair.cmp(&result)));
                // Every result is among the distinct ones.
                let pair = found.unwrap_or_else(|place| place);
                pair_of[(miner, column)] = number(pair);
                ranks[(miner, column)] = rank_of_pair[pair];
            }
            distinct.push(rates);
            pairs.push(of_column);
        }
        Self { ranks, distinct, pairs, pair_of }
    }

    /// For every miner and column the number of the first rate that is above its bound: `above(result, bounding)` says
    /// whether a result is above the bound that another one sets, and is monotonous in the result's rate.
    pub(crate) fn bounds(&self, above: impl Fn(usize, Tallied, Tallied) -> bool) -> Array2<u16> {
        let of_pairs: Vec<Vec<u16>> = (0..self.pairs.len())
            .map(|column| {
                let first =
                    |pair: &Tallied| self.distinct[column].partition_point(|result| !above(column, *result, *pair));
                self.pairs[column].iter().map(|pair| number(first(pair))).collect()
            })
            .collect();
        Array2::from_shape_fn(self.pair_of.dim(), |(miner, column)| {
            of_pairs[column][usize::from(self.pair_of[(miner, column)])]
        })
    }

    /// The sum of a miner's ranks.
    pub(crate) fn sum(&self, miner: usize) -> u32 {
        self.ranks.row(miner).iter().map(|rank| u32::from(*rank)).sum()
    }

    /// Whether [`Self::reach`] is all columns; stops early.
    pub(crate) fn reach_all(&self, miner: usize, bounds: &Array2<u16>, row: usize) -> bool {
        let (ranks, bounds) = (self.ranks.row(miner), bounds.row(row));
        let (Some(ranks), Some(bounds)) = (ranks.as_slice(), bounds.as_slice()) else { return false };
        // Some at a time, so that several are compared at once.
        let mut parts = ranks.chunks(8).zip(bounds.chunks(8));
        parts.all(|(ranks, bounds)| ranks.iter().zip(bounds).fold(true, |all, (rank, bound)| all & (rank >= bound)))
    }

    /// The columns in which a miner's rate reaches the bounds of a row of [`Self::bounds`].
    pub(crate) fn reach(&self, miner: usize, bounds: &Array2<u16>, row: usize) -> u64 {
        let (ranks, bounds) = (self.ranks.row(miner), bounds.row(row));
        // Rows of a standard array are contiguous.
        let (Some(ranks), Some(bounds)) = (ranks.as_slice(), bounds.as_slice()) else { return 0 };
        let mut reached = [0_u8; 64];
        for ((reached, rank), bound) in reached.iter_mut().zip(ranks).zip(bounds) {
            *reached = u8::from(rank >= bound);
        }
        // Eight bytes of 0 or 1 become eight bits: byte i is moved to bit 56 + i, and no two sums meet.
        let (bytes, _) = reached.as_chunks::<8>();
        (0..).zip(bytes).fold(0, |mask, (byte, flags)| {
            mask | (u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * byte)
        })
    }
}

/// By rate, exactly: j/m against k/n. What does not count is 0.
fn rate_order(a: Tallied, b: Tallied) -> std::cmp::Ordering {
    let at_least_one = |(successes, counted): Tallied| (u64::from(successes), u64::from(counted.max(1)));
    let ((j, m), (k, n)) = (at_least_one(a), at_least_one(b));
    (j * n).cmp(&(k * m))
}

/// There are at most as many numbers as miners.
fn number(index: usize) -> u16 {
    index.try_into().unwrap_or(u16::MAX)
}
