//! The shapes from which Meta-World's rewards are built. The formulas are those of dm_control's reward functions, which Meta-World
//! adopted.

use super::numpy::Real;
use crate::geometry::distance;

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

/// For carrying an object somewhere: grasped *and* in place, and much more for its place once it is held.
pub(super) fn carrying(grasped: Real, in_place: impl Into<Real>, held: bool) -> Real {
    let in_place = in_place.into();
    let reward = hamacher(grasped, in_place);
    if held { reward + (in_place * 5.0 + 1.0) } else { reward }
}

/// For pushing an object somewhere: a little for the gripper about it, most for it being on its way as well.
pub(super) fn sweeping(grasped: f64, in_place: f64) -> f64 {
    2.0 * grasped + 6.0 * hamacher(grasped, in_place).value()
}

/// For working with a tool: grasped, and in place, both only as far as it is held straight.
pub(super) fn working(grasped: Real, in_place: f64, straight: f64) -> Real {
    (grasped * 2.0 + 6.0 * in_place) * straight
}

/// How straight something is held: 1 at the ideal orientation, 0 at `most` from it, as quaternions are apart.
pub(super) fn straight(quaternion: [f64; 4], ideal: [f64; 4], most: f64) -> f64 {
    (1.0 - distance(quaternion, ideal) / most).max(0.0)
}

/// A floor in the shape of a funnel: it lets the hand come down only near its mouth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Funnel {
    /// Within this distance of the middle, sideways, there is no floor, metres.
    pub(super) mouth: f64,
    /// How steeply the floor falls off to the mouth.
    pub(super) steepness: f64,
    /// How high the floor is a metre from the mouth, metres.
    pub(super) height: f64,
}

impl Funnel {
    /// The floor's height at this distance from the middle.
    pub(super) fn floor(&self, away: f64) -> f64 {
        if away > self.mouth { self.steepness * (away - self.mouth).ln() + self.height } else { 0.0 }
    }
}

/// Whether something is above a floor, or how far it has come up to it.
pub(super) fn above(floor: f64, height: f64, margin: f64) -> f64 {
    if height >= floor { 1.0 } else { tolerance(floor - height, [0.0, 0.01], margin, Falloff::LongTail) }
}

/// Between two opposite corners of a box, how far a point is on the way from the one to the other, the axes multiplied; 1 outside.
pub(super) fn through_box(point: [f64; 3], from: [f64; 3], to: [f64; 3]) -> Real {
    let mut share = 1.0;
    for axis in 0..3 {
        let (low, high) = (from[axis].min(to[axis]), from[axis].max(to[axis]));
        if !(low..=high).contains(&point[axis]) {
            return Real::Python(1.0);
        }
        share *= (point[axis] - from[axis]) / (to[axis] - from[axis]);
    }
    Real::Double(share)
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
    fn a_funnel_has_no_floor_at_its_mouth_and_rises_outwards() {
        let funnel = Funnel { mouth: 0.03, steepness: 0.02, height: 0.2 };
        assert_eq!((funnel.floor(0.0), funnel.floor(0.03)), (0.0, 0.0));
        assert!(funnel.floor(0.05) < funnel.floor(0.1));
        assert!((funnel.floor(1.03) - 0.2).abs() < 1e-12);
        assert_eq!((above(0.1, 0.1, 0.05), above(0.0, 0.3, 0.05)), (1.0, 1.0));
        assert!((above(0.16, 0.1, 0.05) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_box_is_passed_from_corner_to_corner_and_is_no_obstacle_outside() {
        let (from, to) = ([0.1, -0.2, 0.0], [-0.1, -0.4, 0.2]);
        assert!((through_box([0.0, -0.3, 0.1], from, to).value() - 0.125).abs() < 1e-12);
        assert_eq!(through_box(from, from, to), Real::Double(0.0));
        assert_eq!(through_box(to, from, to), Real::Double(1.0));
        assert_eq!(through_box([0.0, -0.3, 0.3], from, to), Real::Python(1.0));
    }

    #[test]
    fn straight_is_one_at_the_ideal_and_never_negative() {
        let ideal = [1.0, 0.0, 0.0, 0.0];
        assert_eq!(straight(ideal, ideal, 0.4), 1.0);
        assert!((straight([0.8, 0.0, 0.0, 0.0], ideal, 0.4) - 0.5).abs() < 1e-12);
        assert_eq!(straight([0.0, 1.0, 0.0, 0.0], ideal, 0.4), 0.0);
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
