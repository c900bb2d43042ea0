//! Exact binomial tails.
//!
//! Only additions, multiplications and divisions in a stated order, so the bits are the same everywhere. Probabilities
//! are kept relative to that of the mode, found from one to the next by the ratio (n − i)·p / ((i + 1)·(1 − p)), and
//! divided by their sum at the end: nothing overflows, and what underflows would not have counted. With 10,000 trials
//! the relative error stays below 10⁻¹¹.

/// The probability of every number of successes from 0 to `trials`, up to one common factor, and that factor's inverse.
fn relative(trials: u32, rate: f64) -> (Vec<f64>, f64) {
    let n = trials as usize;
    let (p, q) = (rate, 1.0 - rate);
    // The cast takes the whole part; it saturates at 0 for anything below.
    let mode = ((f64::from(trials) + 1.0) * p) as usize;
    let mode = mode.min(n);
    let mut weights = vec![0.0; n + 1];
    weights[mode] = 1.0;
    let step = |from: f64, numerator: usize, p: f64, denominator: usize, q: f64| {
        from * (numerator as f64 * p) / (denominator as f64 * q)
    };
    for i in mode..n {
        weights[i + 1] = step(weights[i], n - i, p, i + 1, q);
        if weights[i + 1] == 0.0 {
            break;
        }
    }
    for i in (0..mode).rev() {
        weights[i] = step(weights[i + 1], i + 1, q, n - i, p);
        if weights[i] == 0.0 {
            break;
        }
    }
    let total = weights.iter().sum();
    (weights, total)
}

/// P(X ≥ `successes`) for X binomial with `trials` trials of probability `rate`, which is in [0, 1).
#[cfg(test)]
pub(crate) fn upper_tail(trials: u32, rate: f64, successes: u32) -> f64 {
    let (weights, total) = relative(trials, rate);
    weights.iter().skip(successes as usize).rev().sum::<f64>() / total
}

/// P(X ≤ `successes`) for X binomial with `trials` trials of probability `rate`, which is in [0, 1).
pub(crate) fn lower_tail(trials: u32, rate: f64, successes: u32) -> f64 {
    let (weights, total) = relative(trials, rate);
    weights.iter().take(successes as usize + 1).sum::<f64>() / total
}

/// The smallest number of successes that has P(X ≥ it) < `level`; `None` when not even all trials have.
pub(crate) fn critical(trials: u32, rate: f64, level: f64) -> Option<u32> {
    let (weights, total) = relative(trials, rate);
    let mut tail = 0.0;
    let mut critical = None;
    for (successes, weight) in (0..=trials).rev().zip(weights.iter().rev()) {
        tail += weight;
        if tail >= level * total {
            break;
        }
        critical = Some(successes);
    }
    critical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_sums_by_hand() {
        // 1 − 0.98^50 − 50·0.02·0.98^49 − 1225·0.02²·0.98^48.
        let by_hand = 1.0 - 0.98_f64.powi(50) - 0.98_f64.powi(49) - 0.49 * 0.98_f64.powi(48);
        assert!((upper_tail(50, 0.02, 3) - by_hand).abs() < 1e-14);
        assert!((lower_tail(50, 0.02, 2) - (1.0 - by_hand)).abs() < 1e-14);
        assert_eq!((upper_tail(50, 0.0, 0), upper_tail(50, 0.0, 1)), (1.0, 0.0));
        assert_eq!((upper_tail(0, 0.3, 0), lower_tail(0, 0.3, 0)), (1.0, 1.0));
        // 2^-10 and 2^-1000.
        assert!((upper_tail(10, 0.5, 10) * 1024.0 - 1.0).abs() < 1e-14);
        assert!((upper_tail(1000, 0.5, 1000) / 2.0_f64.powi(-1000) - 1.0).abs() < 1e-9);
        // By symmetry, however many trials.
        assert!((upper_tail(10_000, 0.5, 5_001) - lower_tail(10_000, 0.5, 4_999)).abs() < 1e-12);
    }

    #[test]
    fn the_critical_number_is_the_first_below_the_level() {
        for (trials, rate) in [(50, 0.0), (50, 0.02), (49, 0.5), (1000, 0.07), (10_000, 0.001), (3, 0.1)] {
            let found = critical(trials, rate, 0.05).expect("there is one");
            assert!(upper_tail(trials, rate, found) < 0.05);
            assert!(upper_tail(trials, rate, found - 1) >= 0.05);
        }
        // 0.5³ is not below 5 %.
        assert_eq!(critical(3, 0.5, 0.05), None);
        assert_eq!(critical(0, 0.0, 0.05), None);
    }
}
