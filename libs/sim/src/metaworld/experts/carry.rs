//! Grasp something and carry it to its place.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point, Seen,
};

/// The middle of the target bin.
const BIN: Point = Point::at(0.12, 0.7, 0.02);

/// The point that the ball is carried to: over the hoop, whose depth varies by 5 cm, of which this is the middle.
fn hoop(seen: &Seen) -> Point {
    Point::at(seen.goal.x, 0.875, 0.35)
}

/// The point over the box where the lid is let down.
fn over_the_box(seen: &Seen) -> Point {
    Point { z: 0.15, ..seen.goal }
}

/// Whether the hand is where the arm could touch the wall.
fn over_the_wall(seen: &Seen) -> bool {
    (-0.15..=0.35).contains(&seen.hand.x) && (0.6..=0.8).contains(&seen.hand.y)
}

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "pick-place-v3",
        gain: 10.0,
        part: |cylinder| cylinder + [-0.005, 0.0, 0.0],
        legs: &[
            Hover { beside: 0.02, lift: 0.1 },
            When(|seen| seen.off() > 0.05 && seen.part.z < 0.04, |seen| seen.part + [0.0, 0.0, 0.03]),
            // Until the fingers have closed.
            When(|seen| seen.openness > 0.73, |seen| seen.hand),
        ],
        then: |seen| seen.goal,
        grip: Grip::By(|seen| if seen.hand.distance(seen.object) < 0.07 { 1.0 } else { 0.0 }),
    },
    Expert {
        task: "pick-place-wall-v3",
        gain: 10.0,
        part: |cylinder| cylinder + [-0.005, 0.0, 0.0],
        legs: &[
            Hover { beside: 0.015, lift: 0.1 },
            When(|seen| seen.off() > 0.04 && seen.part.z < 0.03, |seen| seen.part + [0.0, 0.0, 0.03]),
            When(|seen| over_the_wall(seen) && seen.hand.z < 0.25, |seen| seen.hand + [0.0, 0.0, 1.0]),
            When(|seen| over_the_wall(seen) && seen.hand.z < 0.35, |seen| Point { z: seen.hand.z, ..seen.goal }),
            When(|seen| seen.hand.off(seen.goal) > 0.01, |seen| Point { z: seen.goal.z, ..seen.hand }),
        ],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.015, off: 0.1, far: 0.0, near: 0.9 },
    },
    Expert {
        task: "pick-out-of-hole-v3",
        gain: 25.0,
        part: |cylinder| cylinder + [0.0, 0.0, 0.02],
        legs: &[
            Hover { beside: 0.02, lift: 0.15 },
            Lower { off: 0.01, lift: 0.0 },
            When(|seen| seen.hand.off(seen.goal) > 0.04, |seen| Point { z: seen.goal.z, ..seen.hand }),
        ],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.15, far: 0.0, near: 0.1 },
    },
    Expert {
        task: "bin-picking-v3",
        gain: 25.0,
        // As if the cube were nearer the middle of its bin: the fingers drag it there instead of catching on the bin's edge.
        part: |cube| {
            let above = cube + [0.0, 0.0, 0.03];
            Point { y: above.y.clamp(0.675, 0.725), ..above }
        },
        legs: &[
            Hover { beside: 0.02, lift: 0.15 },
            Lower { off: 0.01, lift: 0.0 },
            When(|seen| seen.hand.beside(BIN) > 0.02 && seen.hand.z < 0.15, |seen| seen.hand + [0.0, 0.0, 0.1]),
            When(|seen| seen.hand.beside(BIN) > 0.02, |_| Point { z: 0.18, ..BIN }),
        ],
        then: |_| BIN,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.02, far: -1.0, near: 0.6 },
    },
    Expert {
        task: "shelf-place-v3",
        gain: 25.0,
        part: |block| block + [-0.005, 0.0, 0.015],
        legs: &[
            Hover { beside: 0.04, lift: 0.3 },
            Lower { off: 0.04, lift: 0.0 },
            When(|seen| (seen.hand.x - seen.goal.x).abs() > 0.02, |seen| Point::at(seen.goal.x, seen.hand.y, 0.3)),
            When(|seen| seen.hand.z < 0.3, |seen| seen.hand + [0.0, 0.0, 0.3]),
        ],
        then: |seen| seen.hand + [0.0, 0.05, 0.0],
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.15, far: -1.0, near: 0.7 },
    },
    Expert {
        task: "basketball-v3",
        gain: 25.0,
        part: |ball| ball + [0.0, 0.0, 0.01],
        legs: &[
            Hover { beside: 0.04, lift: 0.3 },
            Lower { off: 0.025, lift: 0.0 },
            When(|seen| seen.part.off(hoop(seen)) > 0.025, |seen| Point { z: hoop(seen).z, ..seen.hand }),
        ],
        then: hoop,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.15, far: -1.0, near: 0.6 },
    },
    Expert {
        task: "box-close-v3",
        gain: 25.0,
        part: |lid| lid + [0.0, 0.0, 0.02],
        legs: &[
            When(|seen| seen.beside() > 0.01, |seen| Point { z: 0.2, ..seen.part }),
            Lower { off: 0.05, lift: 0.0 },
            When(
                |seen| seen.hand.off(over_the_box(seen)) > 0.04,
                |seen| Point { z: over_the_box(seen).z, ..seen.hand },
            ),
        ],
        then: over_the_box,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.01, off: 0.13, far: 0.5, near: 1.0 },
    },
    Expert {
        task: "hand-insert-v3",
        gain: 10.0,
        part: |block| block,
        legs: &[
            Hover { beside: 0.02, lift: 0.1 },
            Lower { off: 0.05, lift: 0.03 },
            When(|seen| seen.hand.beside(seen.goal) > 0.04, |seen| Point { z: seen.hand.z, ..seen.goal }),
        ],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.02, off: 0.1, far: 0.0, near: 0.65 },
    },
];
