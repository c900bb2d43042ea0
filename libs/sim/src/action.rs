//! What a policy does in one step.

use crate::SimError;

/// A checked action: finite by construction, clipped to its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Action {
    ee_twist: [f64; 6],
    gripper: f64,
}

impl Action {
    /// `ee_twist` is clipped to [-1, 1], `gripper` to [0, 1] (0 open, 1 closed). A component that is not a finite number is refused.
    pub fn new(ee_twist: [f64; 6], gripper: f64) -> Result<Self, SimError> {
        if let Some(index) = ee_twist.iter().position(|value| !value.is_finite()) {
            return Err(SimError::InvalidAction { channel: "ee_twist", index, range: "-1 to 1" });
        }
        if !gripper.is_finite() {
            return Err(SimError::InvalidAction { channel: "gripper", index: 0, range: "0 to 1" });
        }
        Ok(Self { ee_twist: ee_twist.map(|value| value.clamp(-1.0, 1.0)), gripper: gripper.clamp(0.0, 1.0) })
    }

    /// Six components in [-1, 1]: three of translation, three of rotation.
    pub fn ee_twist(&self) -> [f64; 6] {
        self.ee_twist
    }

    /// 0 open … 1 closed.
    pub fn gripper(&self) -> f64 {
        self.gripper
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_finite_is_refused_by_name() {
        let refused = Action::new([0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0], 0.0).expect_err("not a number").to_string();
        assert!(refused.contains("`ee_twist`[2]"), "{refused}");
        assert!(Action::new([0.0; 6], f64::INFINITY).is_err());
    }

    proptest! {
        #[test]
        fn an_action_is_in_its_range(twist: [f64; 6], gripper: f64) {
            if let Ok(action) = Action::new(twist, gripper) {
                prop_assert!(action.ee_twist().iter().all(|value| (-1.0..=1.0).contains(value)));
                prop_assert!((0.0..=1.0).contains(&action.gripper()));
            } else {
                prop_assert!(twist.iter().chain([&gripper]).any(|value| !value.is_finite()));
            }
        }
    }
}
