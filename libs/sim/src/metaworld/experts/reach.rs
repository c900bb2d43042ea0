//! To a point in the air.

use super::engine::{Expert, Grip, Leg::When};

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "reach-v3",
        gain: 5.0,
        part: |object| object,
        legs: &[],
        then: |seen| seen.goal,
        grip: Grip::Always(0.0),
    },
    Expert {
        task: "reach-wall-v3",
        gain: 5.0,
        part: |object| object,
        legs: &[When(
            |seen| (-0.1..=0.3).contains(&seen.hand.x) && (0.6..=0.8).contains(&seen.hand.y) && seen.hand.z < 0.25,
            |seen| seen.goal + [0.0, 0.0, 1.0],
        )],
        then: |seen| seen.goal,
        grip: Grip::Always(0.0),
    },
];
