//! Press or push something in with the closed hand: buttons, handles, drawers, doors and their bolts.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point, Seen,
};

/// NumPy's `isclose` with an absolute tolerance of 2 cm and its own relative one.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.02 + 1e-5 * b.abs()
}

/// The button behind the wall is not in front of the fingers yet: x, y, z in turn.
const BUTTON_BEHIND_WALL: [fn(&Seen) -> bool; 3] = [
    |seen| (seen.hand.x - seen.part.x).abs() > 0.02,
    |seen| seen.part.y - seen.hand.y > 0.09,
    |seen| seen.off() > 0.02,
];

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "button-press-v3",
        gain: 25.0,
        part: |button| button + [0.0, 0.0, -0.07],
        legs: &[When(
            |seen| !(close(seen.hand.x, seen.part.x) && close(seen.hand.z, seen.part.z)),
            |seen| Point { y: seen.hand.y - 0.1, ..seen.part },
        )],
        then: |seen| seen.part + [0.0, 0.02, 0.0],
        grip: Grip::Always(0.0),
    },
    Expert {
        task: "button-press-topdown-v3",
        gain: 25.0,
        part: |button| button,
        legs: &[Hover { beside: 0.04, lift: 0.1 }],
        then: |seen| seen.part,
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "button-press-topdown-wall-v3",
        gain: 25.0,
        part: |button| button + [0.0, -0.06, 0.0],
        legs: &[Hover { beside: 0.04, lift: 0.1 }],
        then: |seen| seen.part,
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "button-press-wall-v3",
        gain: 15.0,
        part: |button| button + [0.0, 0.0, 0.04],
        legs: &[
            When(BUTTON_BEHIND_WALL[0], |seen| Point::at(seen.part.x, seen.hand.y, 0.3)),
            When(BUTTON_BEHIND_WALL[1], |seen| Point { z: 0.3, ..seen.part }),
            When(BUTTON_BEHIND_WALL[2], |seen| seen.part + [0.0, -0.05, 0.0]),
        ],
        then: |seen| seen.part + [0.0, -0.02, 0.0],
        // Opening in front of the button is what presses it.
        grip: Grip::By(|seen| if BUTTON_BEHIND_WALL.iter().any(|away| away(seen)) { 1.0 } else { -1.0 }),
    },
    Expert {
        task: "coffee-button-v3",
        gain: 10.0,
        part: |button| button + [0.0, 0.0, -0.07],
        legs: &[When(|seen| seen.hand.in_front(seen.part) > 0.02, |seen| Point { y: seen.hand.y, ..seen.part })],
        then: |seen| seen.part + [0.0, 0.2, 0.0],
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "handle-press-v3",
        gain: 25.0,
        part: |handle| handle + [0.0, -0.02, 0.0],
        legs: &[Hover { beside: 0.02, lift: 0.2 }],
        then: |seen| seen.part + [0.0, 0.0, -0.5],
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "handle-press-side-v3",
        gain: 25.0,
        part: |handle| handle,
        legs: &[Hover { beside: 0.02, lift: 0.2 }],
        then: |seen| seen.part + [0.0, 0.0, -0.5],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "drawer-close-v3",
        gain: 25.0,
        part: |handle| handle + [0.0, 0.0, -0.02],
        legs: &[
            // Behind the handle: up, and back over it.
            When(
                |seen| seen.hand.y > seen.part.y && seen.hand.z < seen.part.z + 0.23,
                |seen| Point { z: seen.part.z + 0.5, ..seen.hand },
            ),
            When(|seen| seen.hand.y > seen.part.y, |seen| seen.part + [0.0, -0.075, 0.23]),
            When(|seen| seen.off() > 0.04, |seen| seen.part + [0.0, -0.075, 0.0]),
        ],
        then: |seen| seen.part,
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "door-close-v3",
        gain: 25.0,
        part: |handle| handle + [0.05, 0.12, 0.1],
        legs: &[
            // On the inner side of the handle: up, and over it.
            When(
                |seen| seen.hand.x > seen.part.x && seen.hand.z < seen.part.z + 0.2,
                |seen| Point { z: seen.part.z + 0.25, ..seen.hand },
            ),
            When(|seen| seen.hand.x > seen.part.x, |seen| Point::at(seen.part.x - 0.02, seen.part.y, seen.hand.z)),
            When(|seen| seen.off() > 0.04, |seen| seen.part + [-0.02, 0.0, 0.0]),
        ],
        then: |seen| seen.goal,
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "door-lock-v3",
        gain: 25.0,
        part: |bolt| bolt + [-0.02, -0.02, 0.0],
        legs: &[
            When(|seen| seen.beside() > 0.02 && seen.hand.z < 0.25, |seen| seen.hand + [0.0, -0.1, 0.1]),
            Hover { beside: 0.02, lift: 0.3 },
            Lower { off: 0.02, lift: 0.0 },
        ],
        then: |seen| seen.part + [-0.1, 0.0, -0.1],
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "door-unlock-v3",
        gain: 25.0,
        part: |bolt| bolt + [-0.04, -0.02, -0.03],
        legs: &[
            When(|seen| seen.beside() > 0.02 && seen.hand.z > 0.15, |seen| seen.hand + [0.0, -0.1, -0.1]),
            Hover { beside: 0.02, lift: 0.0 },
        ],
        then: |seen| seen.part + [0.1, 0.0, 0.01],
        grip: Grip::Always(1.0),
    },
];
