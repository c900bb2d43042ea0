//! NumPy's scalar promotion, where it decides the precision of a reward.
//!
//! Meta-World's rewards mix Python floats with the action, an array of float32. Under NumPy 2 a Python float is *weak*: together
//! with a float32 the result is a float32. So a reward in which the gripper's effort takes part is computed in single precision
//! from there on, and one in which the effort was replaced by the constant 0 or 1 in double precision. That shows in the seventh
//! digit, and parity needs it.

use std::ops::{Add, Div, Mul, Sub};

/// A Python float, a NumPy float64, or a NumPy float32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Real {
    Python(f64),
    Double(f64),
    Single(f32),
}

impl Real {
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Python(value) | Self::Double(value) => value,
            Self::Single(value) => f64::from(value),
        }
    }

    fn combine(self, other: Self, double: fn(f64, f64) -> f64, single: fn(f32, f32) -> f32) -> Self {
        match (self, other) {
            (Self::Python(a), Self::Python(b)) => Self::Python(double(a, b)),
            (Self::Python(a), Self::Single(b)) => Self::Single(single(a as f32, b)),
            (Self::Single(a), Self::Python(b)) => Self::Single(single(a, b as f32)),
            (Self::Single(a), Self::Single(b)) => Self::Single(single(a, b)),
            (a, b) => Self::Double(double(a.value(), b.value())),
        }
    }
}

impl From<f64> for Real {
    fn from(value: f64) -> Self {
        Self::Python(value)
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident),*) => {$(
        impl<R: Into<Real>> $trait<R> for Real {
            type Output = Real;

            fn $method(self, other: R) -> Real {
                self.combine(other.into(), f64::$method, f32::$method)
            }
        }
    )*};
}
operator!(Add add, Sub sub, Mul mul, Div div);

/// `min(max(0, effort), most)` as Python does it: the constants win only where they differ, and are Python's. NumPy compares in single
/// precision too: an effort of 0.1 is not above 0.1, although as a float32 it is the larger number.
pub(super) fn clip(effort: f32, most: f64) -> Real {
    if effort > most as f32 {
        Real::Python(most)
    } else if effort > 0.0 {
        Real::Single(effort)
    } else {
        Real::Python(0.0)
    }
}

/// `min(max(0, effort), 1)`.
pub(super) fn unit_clip(effort: f32) -> Real {
    clip(effort, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_makes_the_result_single() {
        let third = Real::Python(1.0) / 3.0;
        assert_eq!(third, Real::Python(1.0 / 3.0));
        assert_eq!(third * Real::Single(1.0), Real::Single(1.0_f32 / 3.0));
        assert_eq!(Real::Single(0.25) + 0.5, Real::Single(0.75));
    }

    #[test]
    fn a_double_makes_the_result_double() {
        assert_eq!(Real::Double(1.0) / 3.0, Real::Double(1.0 / 3.0));
        assert_eq!(Real::Single(1.0) / Real::Double(3.0), Real::Double(1.0 / 3.0));
    }

    #[test]
    fn an_effort_that_equals_its_limit_in_single_precision_stays_single() {
        for most in [0.1, 0.7, 0.8, 1.0] {
            assert_eq!(clip(most as f32, most), Real::Single(most as f32), "{most}");
            assert_eq!(clip((most as f32).next_up(), most), Real::Python(most), "{most}");
        }
    }

    #[test]
    fn a_clipped_effort_is_no_longer_single() {
        assert_eq!(unit_clip(0.5), Real::Single(0.5));
        assert_eq!(unit_clip(1.0), Real::Single(1.0));
        assert_eq!(unit_clip(1.5), Real::Python(1.0));
        assert_eq!(unit_clip(0.0), Real::Python(0.0));
        assert_eq!(unit_clip(-2.0), Real::Python(0.0));
    }
}
