//! Draws both qualities of a few tasks side by side into a PNG, once the expert has played for a while:
//! `cargo run --release -p kinitro-sim --example pictures -- docs/images.png [task ...]`.

use std::{fs::File, io::BufWriter};

use kinitro_sim::{EpisodeOptions, Image, ImageQuality, Oracle, Simulator};
use mujoco_rs::renderer::png;

type Failure = Box<dyn std::error::Error>;

const TASKS: [&str; 6] =
    ["reach-v3", "push-v3", "drawer-close-v3", "window-open-v3", "peg-insert-side-v3", "basketball-v3"];
const COLUMNS: [&str; 4] = ["corner - fast", "corner - reference", "corner2 - fast", "corner2 - reference"];
/// Pixels of a picture's side, how much larger each is drawn, and of a label's letters.
const SIDE: usize = 84;
const ZOOM: usize = 3;
const LETTERS: usize = 2;
const GAP: usize = 6;
/// Room for a line of letters.
const LINE: usize = 5 * LETTERS + 2 * GAP;
/// Steps that the expert plays.
const STEPS: u32 = 40;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "docs/images.png".to_owned());
    let mut tasks: Vec<String> = arguments.collect();
    if tasks.is_empty() {
        tasks = TASKS.map(str::to_owned).into();
    }
    let simulator = Simulator::new(None)?;
    let (cell, row_height) = (SIDE * ZOOM + GAP, SIDE * ZOOM + LINE);
    let mut sheet = Sheet::new(COLUMNS.len() * cell + GAP, LINE + tasks.len() * row_height);
    for (column, title) in COLUMNS.iter().enumerate() {
        sheet.write(title, GAP + column * cell, GAP);
    }
    for (row, task) in tasks.iter().enumerate() {
        let top = LINE + row * row_height;
        sheet.write(task, GAP, top);
        for (column, image) in pictures(&simulator, task)?.iter().enumerate() {
            sheet.paste(image, GAP + column * cell, top + LINE - GAP);
        }
    }
    sheet.save(&path)
}

/// Both cameras in both qualities, of the same state.
fn pictures(simulator: &Simulator, task: &str) -> Result<Vec<Image>, Failure> {
    let env_id = format!("metaworld/{task}").parse()?;
    let expert = Oracle::for_env(&env_id).ok_or("there is no expert for this task")?;
    let drawn = [ImageQuality::Fast, ImageQuality::Reference].map(|quality| -> Result<Vec<_>, Failure> {
        let options = EpisodeOptions { images: Some(quality), ..EpisodeOptions::default() };
        let mut episode = simulator.start(&env_id, 1, options)?;
        while episode.steps() < STEPS && !episode.finished() {
            let action = expert.act(&episode);
            episode.step(&action)?;
        }
        Ok(episode.observe()?.images.unwrap_or_default())
    });
    let [fast, reference] = drawn;
    Ok(fast?.into_iter().zip(reference?).flat_map(|((_, fast), (_, reference))| [fast, reference]).collect())
}

/// The picture of pictures.
struct Sheet {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![255; width * height * 3] }
    }

    fn fill(&mut self, left: usize, top: usize, side: usize, colour: &[u8]) {
        for y in top..top + side {
            for x in left..left + side {
                let at = (y * self.width + x) * 3;
                self.rgb[at..at + 3].copy_from_slice(colour);
            }
        }
    }

    fn paste(&mut self, image: &Image, left: usize, top: usize) {
        for (index, colour) in image.rgb.chunks_exact(3).enumerate() {
            self.fill(left + index % SIDE * ZOOM, top + index / SIDE * ZOOM, ZOOM, colour);
        }
    }

    fn write(&mut self, text: &str, left: usize, top: usize) {
        for (place, letter) in text.chars().enumerate() {
            for dot in (0..15).filter(|dot| glyph(letter) >> (14 - dot) & 1 == 1) {
                let x = left + (place * 4 + dot % 3) * LETTERS;
                self.fill(x, top + dot / 3 * LETTERS, LETTERS, &[0; 3]);
            }
        }
    }

    fn save(&self, path: &str) -> Result<(), Failure> {
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}

/// Three by five dots: each octal digit is a row, from the top.
fn glyph(letter: char) -> u32 {
    const LOWER: [u32; 26] = [
        0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447,
        0o57755, 0o65555, 0o25552, 0o65644, 0o25573, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255,
        0o55222, 0o71247,
    ];
    const DIGITS: [u32; 10] =
        [0o75557, 0o26227, 0o61247, 0o61216, 0o55711, 0o74616, 0o34757, 0o71122, 0o75757, 0o75716];
    match letter {
        'a'..='z' => LOWER[letter as usize - 'a' as usize],
        '0'..='9' => DIGITS[letter as usize - '0' as usize],
        '-' => 0o00700,
        _ => 0,
    }
}
