//! Faucet open: turn a faucet's handle counter-clockwise.

use crate::metaworld::faucet::{Faucet, HANDLE_LENGTH, Turn};

pub(in crate::metaworld) type FaucetOpen = Faucet<Open>;

pub(in crate::metaworld) struct Open;

impl Turn for Open {
    const NAME: &'static str = "faucet-open-v3";
    const RANDOM: &'static [[f64; 2]] = &[[-0.05, 0.05], [0.8, 0.85], [0.0, 0.0]];
    const HANDLE: &'static str = "handleStartOpen";
    const GOAL: &'static str = "goal_open";
    const GOAL_X: f64 = HANDLE_LENGTH;
    const PUSHED: [f64; 3] = [-0.04, 0.0, 0.03];
    const REFRESHES: bool = false;
}
