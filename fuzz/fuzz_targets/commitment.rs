//! The commitment parser and both sealed forms, guided by coverage. What is checked, and the inputs that it begins with, are those
//! of `libs/commitment/tests/hostile`. Needs a nightly compiler and a C++ compiler, and cargo-fuzz no more than this:
//!
//! ```text
//! fuzz/run.sh -max_total_time=600
//! ```
#![no_main]

#[allow(dead_code, reason = "the test uses more of it")]
#[path = "../../libs/commitment/tests/hostile/checks.rs"]
mod checks;
#[allow(dead_code, reason = "the test uses more of it")]
#[path = "../../libs/commitment/tests/hostile/inputs.rs"]
mod inputs;

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static WORLD: LazyLock<inputs::World> = LazyLock::new(inputs::World::new);

fuzz_target!(|data: &[u8]| {
    checks::check(data, &WORLD);
});

// One in sixteen is an input of the generator's, for no mutation finds a blob that opens.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(16) {
        return fuzzer_mutate(data, size, max_size);
    }
    let input = inputs::input(&mut inputs::Random(seed.into()), &WORLD);
    let length = input.len().min(max_size);
    data[..length].copy_from_slice(&input[..length]);
    length
});
