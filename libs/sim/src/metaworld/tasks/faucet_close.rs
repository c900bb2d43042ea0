//! Faucet close: turn a faucet's handle clockwise.

use crate::metaworld::faucet::{Faucet, HANDLE_LENGTH, Turn};

pub(in crate::metaworld) type FaucetClose = Faucet<Close>;

pub(in crate::metaworld) struct Close;

impl Turn for Close {
    const NAME: &'static str = "faucet-close-v3";
    const RANDOM: &'static [[f64; 2]] = &[[-0.1, 0.1], [0.8, 0.85], [0.0, 0.0]];
    const HANDLE: &'static str = "handleStartClose";
    const GOAL: &'static str = "goal_close";
    const GOAL_X: f64 = -HANDLE_LENGTH;
    const PUSHED: [f64; 3] = [0.0; 3];
    const REFRESHES: bool = true;
}
