//! Reads the rollouts of the Python Meta-World that `record/record.py` wrote.
//!
//! Inside zlib, little-endian: `KSIMVEC1`; u32 rollouts, steps, length of the random vector; per rollout the random vector
//! (f64), the observation after the reset (39 f64), and per step the action (4 f32), the observation (39 f64), the reward (f64)
//! and the success (f64, 0 or 1); then u32 pictures, and per picture u32 rollout, u32 steps taken, and for both cameras the
//! means (u8) of 21×21 blocks of 4×4 pixels, 3 colours.

#![allow(dead_code, reason = "each test uses a part")]

use std::{io::Read as _, path::Path};

/// Length of an observation.
pub const OBSERVATION: usize = 39;
/// Blocks along a side of a picture.
pub const BLOCKS: usize = 21;

pub struct Reference {
    pub rollouts: Vec<Rollout>,
    pub pictures: Vec<Picture>,
}

pub struct Rollout {
    pub random: Vec<f64>,
    pub start: Vec<f64>,
    pub steps: Vec<Step>,
}

pub struct Step {
    pub action: [f32; 4],
    pub observation: Vec<f64>,
    pub reward: f64,
    pub success: bool,
}

pub struct Picture {
    pub rollout: usize,
    pub steps: usize,
    /// One a camera.
    pub blocks: [Vec<u8>; 2],
}

impl Reference {
    pub fn read(task: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{task}.zz"));
        let packed = std::fs::read(&path).unwrap();
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        let mut reader = Reader(&bytes);
        assert_eq!(reader.take(8), b"KSIMVEC1");
        let [rollouts, steps, random] = [reader.count(), reader.count(), reader.count()];
        let rollouts = (0..rollouts)
            .map(|_| Rollout {
                random: reader.doubles(random),
                start: reader.doubles(OBSERVATION),
                steps: (0..steps)
                    .map(|_| Step {
                        action: std::array::from_fn(|_| f32::from_le_bytes(reader.array())),
                        observation: reader.doubles(OBSERVATION),
                        reward: reader.double(),
                        success: reader.double() == 1.0,
                    })
                    .collect(),
            })
            .collect();
        let pictures = (0..reader.count())
            .map(|_| Picture {
                rollout: reader.count(),
                steps: reader.count(),
                blocks: std::array::from_fn(|_| reader.take(BLOCKS * BLOCKS * 3).to_vec()),
            })
            .collect();
        assert!(reader.0.is_empty(), "{} bytes left over", reader.0.len());
        Self { rollouts, pictures }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn count(&mut self) -> usize {
        u32::from_le_bytes(self.array()) as usize
    }

    fn double(&mut self) -> f64 {
        f64::from_le_bytes(self.array())
    }

    fn doubles(&mut self, length: usize) -> Vec<f64> {
        (0..length).map(|_| self.double()).collect()
    }
}
