//! Reads the rollouts of the Python Meta-World that `record/record.py` and `record/record_branches.py` wrote.
//!
//! Inside zlib, little-endian: `KSIMVEC3`; u32 rollouts, u32 length of the random vector; per rollout u32 steps, the random
//! vector (f64), the observation after the reset (39 f64), then, each for all steps, the actions (4 f32), the scripted expert's
//! answers to the observations before the actions (4 f64, neither clipped nor rounded), the observations after the actions (39
//! f64), the rewards (f64) and the successes (u8).
//!
//! What is recorded for all steps lies column by column, byte by byte of the numbers, which zlib likes. An f64 is stored as the
//! distance of its bits from those of its prediction, the sign in the lowest bit: the same number a step earlier (for the first
//! step the start, or 0), and for the second frame of an observation (18 to 35) the first frame a step earlier.

#![allow(dead_code, reason = "each test uses a part")]

use std::{io::Read as _, path::Path};

/// Length of an observation.
pub const OBSERVATION: usize = 39;
/// Length of one of its two frames.
const FRAME: usize = 18;

pub struct Reference {
    pub rollouts: Vec<Rollout>,
}

pub struct Rollout {
    pub random: Vec<f64>,
    pub start: Vec<f64>,
    pub steps: Vec<Step>,
}

pub struct Step {
    pub action: [f32; 4],
    /// What the task's scripted expert says to the observation before this step (`start`, or that of the step before): before
    /// clipping, before rounding to f32, before the noise that made the action.
    pub expert: [f64; 4],
    pub observation: Vec<f64>,
    pub reward: f64,
    pub success: bool,
}

impl Reference {
    /// The rollouts that follow the task's expert.
    pub fn read(task: &str) -> Self {
        Self::read_file(&format!("{task}.zz"))
    }

    /// The rollouts that take the branches of the task's reward, as far as they were reached: `branches/coverage.txt` has the rest.
    pub fn read_branches(task: &str) -> Self {
        Self::read_file(&format!("branches/{task}.zz"))
    }

    fn read_file(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
        let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        let mut reader = Reader(&bytes);
        assert_eq!(reader.take(8), b"KSIMVEC3");
        let [rollouts, random] = [reader.count(), reader.count()];
        let rollouts = (0..rollouts).map(|_| Rollout::read(&mut reader, random)).collect();
        assert!(reader.0.is_empty(), "{} bytes left over", reader.0.len());
        Self { rollouts }
    }
}

impl Rollout {
    fn read(reader: &mut Reader<'_>, random: usize) -> Self {
        let steps = reader.count();
        let random = reader.doubles(random);
        let start = reader.doubles(OBSERVATION);
        let actions = reader.rows::<4>(4, steps);
        let experts = reader.predicted(4, steps, &[0.0; 4]);
        let observations = reader.predicted(OBSERVATION, steps, &start);
        let rewards = reader.predicted(1, steps, &[0.0]);
        let successes = reader.take(steps);
        let steps = (0..steps)
            .map(|i| Step {
                action: std::array::from_fn(|column| f32::from_le_bytes(actions[i][column])),
                expert: experts[i].as_slice().try_into().unwrap(),
                observation: observations[i].clone(),
                reward: rewards[i][0],
                success: [false, true][usize::from(successes[i])],
            })
            .collect();
        Self { random, start, steps }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn count(&mut self) -> usize {
        u32::from_le_bytes(self.take(4).try_into().unwrap()) as usize
    }

    fn doubles(&mut self, length: usize) -> Vec<f64> {
        (0..length).map(|_| f64::from_le_bytes(self.take(8).try_into().unwrap())).collect()
    }

    /// Numbers of so many bytes that lie column by column, byte by byte.
    fn rows<const BYTES: usize>(&mut self, columns: usize, rows: usize) -> Vec<Vec<[u8; BYTES]>> {
        let mut numbers = vec![vec![[0; BYTES]; columns]; rows];
        for column in 0..columns {
            for byte in 0..BYTES {
                self.take(rows).iter().zip(&mut numbers).for_each(|(value, row)| row[column][byte] = *value);
            }
        }
        numbers
    }

    fn predicted(&mut self, columns: usize, rows: usize, first: &[f64]) -> Vec<Vec<f64>> {
        let mut earlier = first.to_vec();
        let mut numbers = Vec::with_capacity(rows);
        for row in self.rows::<8>(columns, rows) {
            let number = |(column, bytes): (usize, [u8; 8])| {
                let zigzag = u64::from_le_bytes(bytes);
                let distance = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
                let second_frame = columns == OBSERVATION && (FRAME..2 * FRAME).contains(&column);
                let prediction: f64 = earlier[if second_frame { column - FRAME } else { column }];
                f64::from_bits(prediction.to_bits().wrapping_add(distance))
            };
            let row: Vec<f64> = row.into_iter().enumerate().map(number).collect();
            earlier.clone_from(&row);
            numbers.push(row);
        }
        numbers
    }
}
