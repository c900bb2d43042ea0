//! From points to weights, and from weights to what the chain takes.

/// Softmax of the points at a temperature that is finite and greater than 0. Equal points give equal weights to the
/// bit, so a field in which nobody has points is paid evenly.
///
/// Here points become floating point, and nowhere else: the distance to the largest is taken exactly and then rounded
/// to the nearest double. No exponent is positive, so nothing overflows at any magnitude; what is hopelessly behind
/// gets exactly 0. The sum runs from the smallest term to the largest and is at least 1.
pub(crate) fn softmax(points: &[u128], temperature: f64) -> Vec<f64> {
    let largest = points.iter().max().copied().unwrap_or(0);
    let terms: Vec<f64> = points.iter().map(|points| libm::exp(-((largest - points) as f64 / temperature))).collect();
    let mut sorted = terms.clone();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    terms.into_iter().map(|term| term / total).collect()
}

/// Weights as 16-bit integers, scaled so that the largest is 65535 and rounded half up. Equal weights stay equal; what
/// rounds to zero is zero.
pub fn scale(weights: &[f64]) -> Vec<u16> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![0; weights.len()];
    }
    // For a number that is not negative, `round` rounds half up. The cast saturates and cannot meet a NaN.
    weights.iter().map(|weight| (weight / largest * f64::from(u16::MAX)).round() as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_is_stable_at_any_magnitude() {
        assert_eq!(softmax(&[u128::MAX, u128::MAX], 1.0), [0.5, 0.5]);
        assert_eq!(softmax(&[u128::MAX, 0], 1.0), [1.0, 0.0]);
        assert_eq!(softmax(&[1, 0], f64::MIN_POSITIVE), [1.0, 0.0]);
        assert_eq!(softmax(&[u128::MAX, 0], f64::MAX), [0.5, 0.5]);
        assert_eq!(softmax(&[0, 0, 0, 0], 1.0), [0.25; 4]);
        assert_eq!(softmax(&[7], 1.0), [1.0]);
    }

    /// Recorded once: what was stored years ago must come out again, on whatever machine and build.
    #[test]
    fn softmax_gives_the_recorded_bits() {
        let weights = softmax(&[20, 12, 19], 1.0);
        let bits: Vec<u64> = weights.iter().map(|weight| weight.to_bits()).collect();
        assert_eq!(bits, [4_604_758_395_353_206_324, 4_553_158_446_211_056_452, 4_598_515_249_992_615_146]);
    }

    #[test]
    fn chain_weights_are_scaled_to_the_largest_and_round_half_up() {
        assert_eq!(scale(&[0.5, 0.25, 0.25]), [65535, 32768, 32768]);
        assert_eq!(scale(&[0.9999999, 1e-7]), [65535, 0]);
        assert_eq!(scale(&[1.0]), [65535]);
        assert_eq!(scale(&[0.0, 0.0]), [0, 0]);
    }
}
