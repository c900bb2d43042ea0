//! Reads the pictures of the Python renderer that `record/record_frames.py` wrote.
//!
//! Inside zlib, little-endian: `KSIMPIX1`; u32 length of OpenGL's description of itself, and the description; u32 length of the
//! random vector, and the vector (f64); u32 actions, and the actions (4 f32 each); u32 states, and per state u32 steps taken, then
//! two cameras of 84×84×3 bytes as MuJoCo draws them by default, then the same without shadows and reflections.

use std::{io::Read as _, path::Path};

/// Bytes of one picture.
const PICTURE: usize = 84 * 84 * 3;

pub struct Frames {
    pub task: String,
    pub opengl: String,
    pub random: Vec<f64>,
    pub actions: Vec<[f32; 4]>,
    pub states: Vec<State>,
}

pub struct State {
    pub steps: usize,
    /// One a camera.
    pub reference: [Vec<u8>; 2],
    pub plain: [Vec<u8>; 2],
}

impl Frames {
    /// The recordings of all tasks that there are any of.
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/frames");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(std::fs::read(path).unwrap().as_slice()).read_to_end(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        assert_eq!(take(&mut rest, 8), b"KSIMPIX1");
        let length = count(&mut rest);
        let opengl = String::from_utf8(take(&mut rest, length).to_vec()).unwrap();
        let random =
            (0..count(&mut rest)).map(|_| f64::from_le_bytes(take(&mut rest, 8).try_into().unwrap())).collect();
        let float = |rest: &mut &[u8]| f32::from_le_bytes(take(rest, 4).try_into().unwrap());
        let actions = (0..count(&mut rest)).map(|_| std::array::from_fn(|_| float(&mut rest))).collect();
        let states = (0..count(&mut rest))
            .map(|_| State {
                steps: count(&mut rest),
                reference: std::array::from_fn(|_| take(&mut rest, PICTURE).to_vec()),
                plain: std::array::from_fn(|_| take(&mut rest, PICTURE).to_vec()),
            })
            .collect();
        assert!(rest.is_empty(), "{} bytes left over", rest.len());
        Self { task: path.file_stem().unwrap().to_str().unwrap().to_owned(), opengl, random, actions, states }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn count(rest: &mut &[u8]) -> usize {
    u32::from_le_bytes(take(rest, 4).try_into().unwrap()) as usize
}
