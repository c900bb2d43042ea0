//! Slide something over the table: plates, cylinders, cubes, mugs, a ball.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point, Seen,
};

/// From which side the ball is kicked, and at what height the hand waits there.
fn behind_the_ball(seen: &Seen) -> Point {
    let right_of_goal = seen.part.x - seen.goal.x;
    let side = match right_of_goal {
        right if right < -0.05 => [-0.03, 0.0, 0.0],
        right if right > 0.05 => [0.03, 0.0, 0.0],
        _ => [0.0, -0.03, 0.0],
    };
    let z = if seen.beside() < 0.02 { 0.1 } else { 0.03 };
    Point { z, ..seen.part + side }
}

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "plate-slide-v3",
        gain: 10.0,
        part: |plate| plate + [0.0, -0.055, 0.03],
        legs: &[Hover { beside: 0.03, lift: 0.1 }, Lower { off: 0.04, lift: 0.0 }],
        then: |seen| Point::at(seen.goal.x, 0.9, seen.part.z),
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "plate-slide-side-v3",
        gain: 25.0,
        part: |plate| plate + [0.07, 0.0, -0.005],
        legs: &[
            Hover { beside: 0.04, lift: 0.1 },
            Lower { off: 0.04, lift: 0.0 },
            When(|seen| seen.hand.x > -0.2, |seen| Point::at(seen.hand.x - 0.1, 0.6, seen.hand.z)),
        ],
        then: |seen| seen.part + [-0.1, 0.0, 0.0],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "plate-slide-back-v3",
        gain: 10.0,
        part: |plate| plate + [0.0, -0.065, 0.025],
        legs: &[
            Hover { beside: 0.01, lift: 0.1 },
            Lower { off: 0.04, lift: 0.0 },
            When(|seen| seen.hand.y > 0.7, |seen| seen.hand + [0.0, -0.1, 0.0]),
            When(|seen| seen.hand.y > 0.6, |seen| Point::at(0.15, 0.55, seen.hand.z)),
        ],
        then: |seen| Point::at(seen.hand.x - 0.1, 0.55, seen.hand.z),
        grip: Grip::Always(-1.0),
    },
    Expert {
        task: "plate-slide-back-side-v3",
        gain: 10.0,
        part: |plate| plate + [0.023, 0.0, 0.025],
        legs: &[Hover { beside: 0.01, lift: 0.07 }, Lower { off: 0.04, lift: 0.0 }],
        then: |seen| Point::at(seen.hand.x + 0.1, 0.6, seen.hand.z),
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "push-v3",
        gain: 10.0,
        part: |cylinder| cylinder + [-0.005, 0.0, 0.0],
        legs: &[Hover { beside: 0.02, lift: 0.2 }, Lower { off: 0.04, lift: 0.03 }],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.02, off: 0.1, far: 0.0, near: 0.6 },
    },
    Expert {
        task: "push-wall-v3",
        gain: 10.0,
        part: |cylinder| cylinder + [-0.005, 0.0, 0.0],
        legs: &[
            Hover { beside: 0.02, lift: 0.2 },
            Lower { off: 0.04, lift: 0.03 },
            // In front of the wall: to the left, past it.
            When(
                |seen| (-0.1..=0.3).contains(&seen.part.x) && (0.65..=0.75).contains(&seen.part.y),
                |seen| seen.hand + [-1.0, 0.0, 0.0],
            ),
            When(
                |seen| {
                    let x = seen.part.x;
                    let at_an_end = (-0.15 < x && x < 0.05) || (0.15 < x && x < 0.35);
                    at_an_end && (0.695..=0.755).contains(&seen.part.y)
                },
                |seen| seen.hand + [0.0, 1.0, 0.0],
            ),
        ],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.02, off: 0.1, far: 0.0, near: 0.6 },
    },
    Expert {
        task: "push-back-v3",
        gain: 10.0,
        part: |cylinder| cylinder,
        legs: &[Hover { beside: 0.04, lift: 0.3 }, Lower { off: 0.055, lift: 0.0 }],
        // The hand's height on top of the goal's: it rises a little at every step.
        then: |seen| seen.goal + [0.0, 0.0, seen.hand.z],
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.05, far: 0.0, near: 0.9 },
    },
    Expert {
        task: "sweep-v3",
        gain: 25.0,
        part: |cube| cube + [0.0, 0.0, 0.015],
        legs: &[
            When(|seen| seen.hand.x < 0.2 && seen.beside() > 0.04, |seen| seen.part + [0.0, 0.0, 0.3]),
            When(|seen| seen.hand.x < 0.2 && seen.off() > 0.04, |seen| seen.part),
        ],
        then: |seen| seen.goal + [0.0, 0.0, 0.1],
        // Lets go beyond the table's edge.
        grip: Grip::By(|seen| {
            let held = seen.hand.beside(seen.object) <= 0.04 && seen.hand.off(seen.object) <= 0.15;
            if held && seen.object.x < 0.4 { 0.7 } else { -1.0 }
        }),
    },
    Expert {
        task: "sweep-into-v3",
        gain: 25.0,
        part: |cube| cube + [-0.005, 0.0, 0.01],
        legs: &[Hover { beside: 0.04, lift: 0.3 }, Lower { off: 0.04, lift: 0.0 }],
        then: |seen| seen.goal,
        grip: Grip::Near { of: |seen| seen.object, beside: 0.04, off: 0.15, far: -1.0, near: 0.7 },
    },
    Expert {
        task: "coffee-push-v3",
        gain: 10.0,
        part: |mug| mug + [0.01, 0.0, 0.05],
        legs: &[Hover { beside: 0.06, lift: 0.2 }, Lower { off: 0.02, lift: 0.0 }],
        then: |seen| Point { z: 0.1, ..seen.goal },
        grip: Grip::Near { of: |seen| seen.part, beside: 0.06, off: 0.1, far: -1.0, near: 0.5 },
    },
    Expert {
        task: "coffee-pull-v3",
        gain: 10.0,
        part: |mug| mug + [-0.005, 0.0, 0.05],
        legs: &[Hover { beside: 0.06, lift: 0.15 }, Lower { off: 0.02, lift: 0.0 }],
        then: |seen| seen.goal,
        // Measured to the right of where the hand is brought to.
        grip: Grip::Near { of: |seen| seen.object + [0.01, 0.0, 0.05], beside: 0.06, off: 0.1, far: -1.0, near: 0.7 },
    },
    Expert {
        task: "soccer-v3",
        gain: 25.0,
        part: |ball| ball + [0.0, 0.0, 0.03],
        legs: &[When(|seen| seen.hand.distance(behind_the_ball(seen)) > 0.01, behind_the_ball)],
        then: |seen| seen.part,
        grip: Grip::Always(1.0),
    },
];
