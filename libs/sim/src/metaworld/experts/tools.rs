//! Grasp something and do something with it: wrenches, hammers, pegs, sticks.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point, Seen,
};

/// Where the hand holds the hammer for the stroke. The nail never moves.
const STROKE: Point = Point::at(0.24 - 0.19, 0.71, 0.11 + 0.05);

/// The hand's place when the wrench is over the peg.
fn over_the_peg(seen: &Seen) -> Point {
    seen.goal + [0.12, 0.0, 0.14]
}

/// A point in line with the hole, beyond what can be reached: overshooting does no harm. Only the depth of the hole's box varies.
fn hole(seen: &Seen) -> Point {
    Point::at(-0.35, seen.goal.y, 0.16)
}

/// The thermos, seen from the same place as the part of the stick that is held. Only stick-pull looks at it so.
fn lid(seen: &Seen) -> Point {
    seen.second + [-0.015, 0.0, 0.03]
}

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "assembly-v3",
        gain: 10.0,
        part: |wrench| wrench + [-0.02, 0.0, 0.0],
        legs: &[
            Hover { beside: 0.02, lift: 0.1 },
            When(|seen| seen.hand.beside(over_the_peg(seen)) <= 0.02, |seen| over_the_peg(seen) + [0.0, 0.0, -0.2]),
            Lower { off: 0.05, lift: 0.03 },
            When(
                |seen| seen.hand.off(over_the_peg(seen)) > 0.04,
                |seen| Point { z: over_the_peg(seen).z, ..seen.hand },
            ),
        ],
        then: over_the_peg,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.12, far: 0.0, near: 0.6 },
    },
    Expert {
        task: "disassemble-v3",
        gain: 10.0,
        part: |wrench| wrench + [-0.02, 0.0, 0.01],
        legs: &[Hover { beside: 0.02, lift: 0.1 }, Lower { off: 0.03, lift: 0.0 }],
        then: |seen| seen.hand + [0.0, 0.0, 0.1],
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.07, far: 0.0, near: 0.8 },
    },
    Expert {
        task: "hammer-v3",
        gain: 10.0,
        part: |hammer| hammer + [-0.04, 0.0, -0.01],
        legs: &[
            Hover { beside: 0.04, lift: 0.1 },
            When(|seen| seen.off() > 0.05 && seen.part.z < 0.03, |seen| seen.part + [0.0, 0.0, 0.03]),
            When(|seen| seen.hand.in_front(STROKE) > 0.02, |seen| Point { y: seen.hand.y, ..STROKE }),
        ],
        then: |_| STROKE,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.04, off: 0.1, far: 0.0, near: 0.8 },
    },
    Expert {
        task: "peg-insert-side-v3",
        gain: 25.0,
        part: |peg| peg,
        legs: &[
            Hover { beside: 0.04, lift: 0.3 },
            Lower { off: 0.025, lift: 0.0 },
            When(|seen| seen.part.in_profile(hole(seen)) > 0.03, |seen| hole(seen) + [0.4, 0.0, 0.0]),
        ],
        then: hole,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.15, far: -1.0, near: 0.6 },
    },
    Expert {
        task: "peg-unplug-side-v3",
        gain: 25.0,
        part: |peg| peg + [-0.02, 0.0, 0.035],
        legs: &[
            Hover { beside: 0.04, lift: 0.2 },
            When(|seen| (seen.hand.z - 0.15).abs() > 0.02, |seen| Point { z: 0.15, ..seen.part }),
        ],
        then: |seen| seen.hand + [0.01, 0.0, 0.0],
        grip: Grip::Near { of: |seen| seen.part, beside: 0.04, off: 0.15, far: -1.0, near: 0.1 },
    },
    Expert {
        task: "stick-push-v3",
        gain: 10.0,
        part: |stick| stick + [0.015, 0.0, 0.03],
        legs: &[
            // Once the stick is at the thermos.
            When(|seen| (seen.part.x - seen.second.x).abs() <= 0.04, |seen| seen.goal + [0.0, 0.0, 0.132]),
            Hover { beside: 0.02, lift: 0.1 },
            Lower { off: 0.02, lift: 0.0 },
            When(|seen| (seen.part.y - seen.second.y).abs() > 0.02, |seen| Point { y: seen.second.y, ..seen.part }),
            When(|seen| seen.part.off(seen.second) > 0.02, |seen| Point { x: seen.part.x, ..seen.second }),
        ],
        then: |seen| seen.second,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.1, far: -1.0, near: 0.7 },
    },
    Expert {
        task: "stick-pull-v3",
        gain: 25.0,
        part: |stick| stick + [-0.015, 0.0, 0.03],
        legs: &[
            When(|seen| (seen.part.x - lid(seen).x).abs() <= 0.04, |seen| seen.goal + [-0.05, 0.0, 0.0]),
            Hover { beside: 0.02, lift: 0.1 },
            Lower { off: 0.02, lift: 0.0 },
            When(|seen| (seen.part.y - lid(seen).y).abs() > 0.02, |seen| Point { y: lid(seen).y, ..seen.part }),
            When(|seen| seen.part.off(lid(seen)) > 0.02, |seen| Point { x: seen.part.x, ..lid(seen) }),
        ],
        then: lid,
        grip: Grip::Near { of: |seen| seen.part, beside: 0.02, off: 0.1, far: -1.0, near: 0.7 },
    },
];
