//! A film of episodes: a GIF, or numbered PNG pictures. The cameras stand side by side, every pixel enlarged.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, Result, ensure};
use gif::{Encoder, Frame, Repeat};
use kinitro_sim::Image;

/// Pixels along a side that one pixel becomes.
const ENLARGED: usize = 3;
/// Every so many steps of 12.5 ms a picture is taken, …
const EVERY: u32 = 4;
/// … and shown so long in a GIF, in hundredths of a second: as fast as it happened.
const SHOWN: u16 = 5;
/// How long an episode's last picture is shown.
const LAST_SHOWN: u16 = 100;
/// How coarsely the 256 colours of a picture are chosen, 1 (fine) to 30.
const COARSE: i32 = 10;

/// Where a film goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One GIF.
    Gif(PathBuf),
    /// `folder/name.png` for `folder/name-00001.png` and so on.
    Pictures(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gif") => Ok(Self::Gif(path)),
            Some("png") => Ok(Self::Pictures(path)),
            _ => Err("the name must end in .gif, or in .png for numbered pictures".to_owned()),
        }
    }
}

/// A film in the making.
pub struct Video {
    path: PathBuf,
    film: Film,
    pictures: u32,
}

enum Film {
    /// Has its encoder from the first picture on, which tells the size.
    Gif(Option<Encoder<BufWriter<File>>>),
    Pictures,
}

impl Video {
    /// Creates the folder, and the file of a GIF.
    pub fn create(target: &Target) -> Result<Self> {
        let (path, film) = match target {
            Target::Gif(path) => (path, Film::Gif(None)),
            Target::Pictures(path) => (path, Film::Pictures),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        }
        if matches!(film, Film::Gif(_)) {
            create(path)?;
        }
        Ok(Self { path: path.clone(), film, pictures: 0 })
    }

    /// Whether a picture is due after so many steps.
    pub fn wants(&self, steps: u32) -> bool {
        steps.is_multiple_of(EVERY)
    }

    /// Adds what the cameras saw; `last` for the last picture of an episode.
    pub fn add(&mut self, images: &[(&'static str, Image)], last: bool) -> Result<()> {
        let (width, height, rgb) = side_by_side(images)?;
        let large = (width * ENLARGED, height * ENLARGED);
        self.pictures += 1;
        match &mut self.film {
            Film::Gif(encoder) => {
                // The colours are chosen before every pixel is many.
                let small = Frame::from_rgb_speed(size(width)?, size(height)?, &rgb, COARSE);
                let frame = Frame {
                    width: size(large.0)?,
                    height: size(large.1)?,
                    buffer: enlarged(&small.buffer, width, 1).into(),
                    delay: if last { LAST_SHOWN } else { SHOWN },
                    ..small
                };
                let encoder = match encoder {
                    Some(encoder) => encoder,
                    None => encoder.insert(started(&self.path, frame.width, frame.height)?),
                };
                encoder.write_frame(&frame).with_context(|| format!("cannot write {}", self.path.display()))
            }
            Film::Pictures => {
                let path = numbered(&self.path, self.pictures);
                write_png(&path, large, &enlarged(&rgb, width, 3))
            }
        }
    }

    /// Closes the film, and says where it is.
    pub fn finish(self) -> Result<String> {
        Ok(match self.film {
            Film::Gif(encoder) => {
                if let Some(encoder) = encoder {
                    let mut file =
                        encoder.into_inner().with_context(|| format!("cannot end {}", self.path.display()))?;
                    std::io::Write::flush(&mut file).with_context(|| format!("cannot end {}", self.path.display()))?;
                }
                self.path.display().to_string()
            }
            Film::Pictures => {
                format!("{} to {}", numbered(&self.path, 1).display(), numbered(&self.path, self.pictures).display())
            }
        })
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot create {}", path.display()))?))
}

fn started(path: &Path, width: u16, height: u16) -> Result<Encoder<BufWriter<File>>> {
    let mut encoder = Encoder::new(create(path)?, width, height, &[])?;
    encoder.set_repeat(Repeat::Infinite)?;
    Ok(encoder)
}

fn size(pixels: usize) -> Result<u16> {
    u16::try_from(pixels).context("the picture is too large for a GIF")
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number:05}.png"))
}

fn write_png(path: &Path, (width, height): (usize, usize), rgb: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(create(path)?, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let context = || format!("cannot write {}", path.display());
    let mut writer = encoder.write_header().with_context(context)?;
    writer.write_image_data(rgb).with_context(context)?;
    writer.finish().with_context(context)
}

/// All pictures in one row: width, height, red-green-blue.
fn side_by_side(images: &[(&'static str, Image)]) -> Result<(usize, usize, Vec<u8>)> {
    let height = images.first().map_or(0, |(_, image)| image.height as usize);
    ensure!(
        height > 0 && images.iter().all(|(_, image)| image.height as usize == height),
        "the cameras gave no pictures of one height"
    );
    let width = images.iter().map(|(_, image)| image.width as usize).sum::<usize>();
    let mut rgb = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for (_, image) in images {
            let length = image.width as usize * 3;
            rgb.extend_from_slice(&image.rgb[row * length..][..length]);
        }
    }
    Ok((width, height, rgb))
}

/// Every pixel of `bytes` bytes as a square of [`ENLARGED`] × [`ENLARGED`].
fn enlarged(pixels: &[u8], width: usize, bytes: usize) -> Vec<u8> {
    let mut large = Vec::with_capacity(pixels.len() * ENLARGED * ENLARGED);
    for row in pixels.chunks(width * bytes) {
        let wide: Vec<u8> = row.chunks(bytes).flat_map(|pixel| pixel.repeat(ENLARGED)).collect();
        for _ in 0..ENLARGED {
            large.extend_from_slice(&wide);
        }
    }
    large
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_side_by_side_row_by_row() {
        let image = |first: u8| Image { width: 1, height: 2, rgb: (first..first + 6).collect() };
        let (width, height, rgb) = side_by_side(&[("left", image(0)), ("right", image(10))]).expect("one height");
        assert_eq!((width, height), (2, 2));
        assert_eq!(rgb, [0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15]);
        assert!(side_by_side(&[]).is_err());
    }

    #[test]
    fn a_pixel_becomes_a_square() {
        assert_eq!(
            enlarged(&[1, 2, 3, 4], 2, 1),
            [1, 1, 1, 2, 2, 2].repeat(3).into_iter().chain([3, 3, 3, 4, 4, 4].repeat(3)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_film_is_a_gif_or_numbered_pictures() {
        assert_eq!("a/b.gif".parse(), Ok(Target::Gif("a/b.gif".into())));
        assert_eq!("a/b.png".parse(), Ok(Target::Pictures("a/b.png".into())));
        assert_eq!(numbered(Path::new("a/b.png"), 7), PathBuf::from("a/b-00007.png"));
        for bad in ["", "film", "film.mp4", ".gif"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
