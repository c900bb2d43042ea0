//! The shapes from which Meta-World's rewards are built. The formulas are those of dm_control's reward functions, which Meta-World
//! adopted.

use super::numpy::Real;

/// What a tolerance is worth at `margin` from its bounds.
const VALUE_AT_MARGIN: f64 = 0.1;

/// How a tolerance falls off outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Falloff {
    /// 1 / (1 + (s·d)²): still felt far away.
    LongTail,
    /// exp(-(s·d)² / 2): gone soon.
    Gaussian,
}

/// 1 within `[lower, upper]`, falling to 0.1 at `margin` from it and on towards 0. A margin of 0 is a cliff.
pub(super) fn tolerance(x: f64, [lower, upper]: [f64; 2], margin: f64, falloff: Falloff) -> f64 {
    if (lower..=upper).contains(&x) {
        return 1.0;
    }
    if margin == 0.0 {
        return 0.0;
    }
    let outside = if x < lower { lower - x } else { x - upper };
    let d = outside / margin;
    match falloff {
        Falloff::LongTail => {
            let scale = (1.0 / VALUE_AT_MARGIN - 1.0).sqrt();
            1.0 / ((d * scale).powi(2) + 1.0)
        }
        Falloff::Gaussian => {
            let scale = (-2.0 * VALUE_AT_MARGIN.ln()).sqrt();
            (-0.5 * (d * scale).powi(2)).exp()
        }
    }
}

/// The Hamacher product, a soft "and": ab / (a + b - ab), and 0 where both are 0.
pub(super) fn hamacher(a: impl Into<Real>, b: impl Into<Real>) -> Real {
    let (a, b) = (a.into(), b.into());
    let denominator = a + b - a * b;
    if denominator.value() > 0.0 { (a * b) / denominator } else { Real::Python(0.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tolerance_is_one_inside_and_a_tenth_at_its_margin(width in 0.0..1.0, margin in 0.01..1.0) {
            for falloff in [Falloff::LongTail, Falloff::Gaussian] {
                prop_assert_eq!(tolerance(width, [0.0, width], margin, falloff), 1.0);
                prop_assert!((tolerance(width + margin, [0.0, width], margin, falloff) - 0.1).abs() < 1e-9);
                prop_assert!((tolerance(-margin, [0.0, width], margin, falloff) - 0.1).abs() < 1e-9);
                prop_assert!(tolerance(width + 2.0 * margin, [0.0, width], margin, falloff) < 0.1);
            }
        }

        #[test]
        fn a_hamacher_product_is_at_most_either_factor(a in 0.0..=1.0, b in 0.0..=1.0) {
            let product = hamacher(a, b).value();
            prop_assert!((0.0..=f64::min(a, b) + 1e-12).contains(&product));
        }
    }

    #[test]
    fn a_tolerance_without_margin_is_a_cliff() {
        assert_eq!(tolerance(1.1, [0.0, 1.0], 0.0, Falloff::LongTail), 0.0);
    }

    #[test]
    fn nothing_and_nothing_is_nothing() {
        assert_eq!(hamacher(0.0, 0.0), Real::Python(0.0));
    }
}
