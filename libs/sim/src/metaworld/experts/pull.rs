//! Hook the fingers behind or under something and pull: handles, drawers, doors, windows.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point,
};

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "handle-pull-v3",
        gain: 25.0,
        part: |handle| handle + [0.0, -0.04, 0.0],
        legs: &[
            Hover { beside: 0.02, lift: 0.0 },
            // The original means the handle's height and gives it for all three coordinates: the hand is sent sideways too.
            When(|seen| seen.off() > 0.02, |seen| Point::at(seen.part.z, seen.part.z, seen.part.z)),
        ],
        then: |seen| seen.part + [0.0, 0.0, 0.1],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "handle-pull-side-v3",
        gain: 25.0,
        part: |handle| handle,
        legs: &[Hover { beside: 0.04, lift: 0.1 }, Lower { off: 0.03, lift: 0.0 }],
        then: |seen| seen.part + [0.0, 0.0, 1.0],
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.04, far: 0.0, near: 0.6 },
    },
    Expert {
        task: "drawer-open-v3",
        gain: 4.0,
        part: |handle| handle + [0.0, 0.0, -0.02],
        legs: &[Hover { beside: 0.06, lift: 0.3 }, Lower { off: 0.04, lift: 0.0 }],
        // With a gain of 50, the only one that changes on the way: the point is 12.5 times as far.
        then: |seen| {
            let behind = seen.part + [0.0, -0.06, 0.0];
            let further = |from: f64, to: f64| from + 12.5 * (to - from);
            Point::at(further(seen.hand.x, behind.x), further(seen.hand.y, behind.y), further(seen.hand.z, behind.z))
        },
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "door-open-v3",
        gain: 25.0,
        part: |handle| handle + [-0.05, 0.0, 0.0],
        legs: &[
            When(|seen| seen.beside() > 0.12, |seen| seen.part + [0.06, 0.02, 0.2]),
            When(|seen| seen.off() > 0.04, |seen| seen.part + [0.06, 0.02, 0.0]),
        ],
        then: |seen| seen.part,
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "window-open-v3",
        gain: 25.0,
        part: |handle| handle + [-0.03, -0.03, -0.08],
        legs: &[Hover { beside: 0.04, lift: 0.3 }, Lower { off: 0.02, lift: 0.0 }],
        then: |seen| seen.part + [0.1, 0.0, 0.0],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "window-close-v3",
        gain: 25.0,
        part: |handle| handle + [0.03, -0.03, -0.08],
        legs: &[Hover { beside: 0.04, lift: 0.25 }, Lower { off: 0.02, lift: 0.0 }],
        then: |seen| seen.part + [-0.1, 0.0, 0.0],
        grip: Grip::Always(1.0),
    },
];
