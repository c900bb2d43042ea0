//! Turn something about its axis: dials, taps, levers.

use super::engine::{
    Expert, Grip,
    Leg::{Hover, Lower, When},
    Point,
};

pub(super) const EXPERTS: &[Expert] = &[
    Expert {
        task: "dial-turn-v3",
        gain: 10.0,
        part: |dial| dial + [0.05, 0.02, 0.09],
        legs: &[
            When(|seen| seen.beside() > 0.02, |seen| Point { z: 0.2, ..seen.part }),
            Lower { off: 0.02, lift: 0.0 },
        ],
        then: |seen| seen.part + [-0.05, 0.005, 0.0],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "faucet-open-v3",
        gain: 25.0,
        part: |tap| tap + [-0.04, 0.0, 0.03],
        legs: &[Hover { beside: 0.04, lift: 0.1 }, Lower { off: 0.04, lift: 0.0 }],
        then: |seen| seen.part + [0.1, 0.05, 0.0],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "faucet-close-v3",
        gain: 25.0,
        part: |tap| tap + [0.04, 0.0, 0.03],
        legs: &[Hover { beside: 0.04, lift: 0.1 }, Lower { off: 0.04, lift: 0.0 }],
        then: |seen| seen.part + [-0.1, 0.05, 0.0],
        grip: Grip::Always(1.0),
    },
    Expert {
        task: "lever-pull-v3",
        gain: 25.0,
        part: |lever| lever + [0.0, -0.055, 0.0],
        // From below.
        legs: &[Hover { beside: 0.02, lift: -0.1 }, Lower { off: 0.02, lift: 0.0 }],
        then: |seen| seen.part + [0.0, 0.08, 0.02],
        grip: Grip::Always(1.0),
    },
];
