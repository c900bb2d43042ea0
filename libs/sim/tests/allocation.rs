//! A step allocates nothing: not in the simulation, not in the reward, not in the observation without pictures.

#![allow(clippy::unwrap_used)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use kinitro_sim::{Action, EpisodeOptions, Randomisation, Simulator};

/// Counts what this thread allocates. MuJoCo has an allocator of its own, which it does not call while it steps.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_and_its_observation_allocate_nothing() {
    let simulator = Simulator::new(None).unwrap();
    for info in simulator.environments() {
        let options = EpisodeOptions { randomisation: Randomisation::STANDARD, ..EpisodeOptions::default() };
        let mut episode = simulator.start(&info.env_id, 1, options).unwrap();
        let action = Action::new([0.3, 0.8, -0.9, 0.0, 0.0, 0.0], 0.7).unwrap();
        let before = ALLOCATIONS.with(Cell::get);
        assert!(before > 0, "the allocator counts");
        for _ in 0..40 {
            if episode.finished() {
                break;
            }
            episode.step(&action).unwrap();
            std::hint::black_box(episode.observe().unwrap());
        }
        assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "{}", info.env_id);
    }
}
