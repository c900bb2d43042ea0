//! Textures as OpenGL samples them: trilinear between mipmaps, repeated or on the faces of a cube.

use super::vector::V3;

/// Finer levels are never sampled: the scene is metres wide and the picture 84 pixels, so a texel of a larger one is far smaller
/// than a pixel.
const LARGEST_LEVEL: usize = 256;

/// A picture to wrap around things. Colours are linear.
pub(super) struct Texture {
    /// One for a plane texture or a cube with the same picture on all sides, else six: +x, -x, +y, -y, +z, -z.
    faces: Vec<Vec<Level>>,
    cube: bool,
}

struct Level {
    width: usize,
    height: usize,
    texels: Vec<V3>,
}

/// A texture as a model holds it.
pub(super) struct Source<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
    pub(super) srgb: bool,
    pub(super) cube: bool,
    pub(super) bytes: &'a [u8],
}

impl Texture {
    pub(super) fn new(source: &Source<'_>) -> Self {
        let decode: Vec<f32> = (0..=255_u8).map(|value| decoded(value, source.srgb)).collect();
        let texels: Vec<V3> = source
            .bytes
            .chunks_exact(source.channels)
            .map(|texel| [0, 1, 2].map(|channel| decode[usize::from(texel[channel.min(source.channels - 1)])]))
            .collect();
        let side = source.width;
        let separate = source.cube && source.height == 6 * side;
        let height = if separate { side } else { source.height };
        let faces = texels.chunks_exact(side * height).map(|face| pyramid(side, height, face.to_vec())).collect();
        Self { faces, cube: source.cube }
    }

    /// The colour at a place, where the place changes by `across` from a pixel to its right neighbour, by `down` to the next row.
    pub(super) fn sample(&self, at: V3, across: V3, down: V3) -> V3 {
        if self.cube {
            let (face, [s, t], [across, down]) = on_cube(at, [across, down]);
            let levels = &self.faces[face.min(self.faces.len() - 1)];
            trilinear(levels, [s, t], [across, down], clamped)
        } else {
            let flat = |v: V3| [v[0], v[1]];
            trilinear(&self.faces[0], flat(at), [flat(across), flat(down)], repeated)
        }
    }
}

fn decoded(value: u8, srgb: bool) -> f32 {
    let value = f32::from(value) / 255.0;
    match (srgb, value <= 0.04045) {
        (false, _) => value,
        (true, true) => value / 12.92,
        (true, false) => ((value + 0.055) / 1.055).powf(2.4),
    }
}

/// The picture and its halves, quarters, …, without what is never sampled.
fn pyramid(width: usize, height: usize, texels: Vec<V3>) -> Vec<Level> {
    let mut levels = vec![Level { width, height, texels }];
    while let Some(Level { width, height, .. }) = levels.last().filter(|last| last.width * last.height > 1) {
        let half = levels.last().map(|last| last.halved((width / 2).max(1), (height / 2).max(1)));
        levels.extend(half);
    }
    let skipped = levels.iter().take_while(|level| level.width.max(level.height) > LARGEST_LEVEL).count();
    levels.drain(..skipped);
    levels
}

impl Level {
    /// Means of two by two texels, rounded to the eighth bit as Mesa rounds them: up, first along rows and then along columns. Over
    /// many levels that makes distant textures brighter.
    fn halved(&self, width: usize, height: usize) -> Self {
        let (columns, rows) = (self.width / width, self.height / height);
        let rounded = |a: V3, b: V3| [0, 1, 2].map(|i| ((a[i] + b[i]) * (255.0 / 2.0) + 0.5).floor() / 255.0);
        let mut texels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let texel = |x: usize, y: usize| self.texels[(row * rows + y) * self.width + column * columns + x];
                let (right, below) = (columns.min(2) - 1, rows.min(2) - 1);
                let [top, bottom] = [0, below].map(|y| rounded(texel(0, y), texel(right, y)));
                texels.push(rounded(top, bottom));
            }
        }
        Self { width, height, texels }
    }

    fn bilinear(&self, [s, t]: [f32; 2], wrap: fn(i32, usize) -> usize) -> V3 {
        let (x, y) = (s * self.width as f32 - 0.5, t * self.height as f32 - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let columns = [0, 1].map(|step| wrap((left as i32).saturating_add(step), self.width));
        let rows = [0, 1].map(|step| wrap((top as i32).saturating_add(step), self.height) * self.width);
        let [a, b] = rows.map(|row| mixed(self.texels[row + columns[0]], self.texels[row + columns[1]], fx));
        mixed(a, b, fy)
    }
}

fn mixed(a: V3, b: V3, share: f32) -> V3 {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

fn repeated(at: i32, size: usize) -> usize {
    at.rem_euclid(size as i32) as usize
}

fn clamped(at: i32, size: usize) -> usize {
    at.clamp(0, size as i32 - 1) as usize
}

/// Between the levels that Mesa's llvmpipe chooses, so that both qualities are equally sharp: by the largest single step, and half of
/// the time from one level alone ("brilinear").
fn trilinear(levels: &[Level], at: [f32; 2], steps: [[f32; 2]; 2], wrap: fn(i32, usize) -> usize) -> V3 {
    const SHARPNESS: f32 = 3.5 / (2.0 * std::f32::consts::SQRT_2);
    let (width, height) = (levels[0].width as f32, levels[0].height as f32);
    let texels = steps.iter().map(|[s, t]| (s * width).abs().max((t * height).abs())).fold(0.0, f32::max) * SHARPNESS;
    // An exponent and a mantissa.
    let (level, share) = match texels.to_bits() {
        bits if texels >= 1.0 => ((bits >> 23) as usize - 127, f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000)),
        _ => (0, 0.0),
    };
    let share = 2.0 * share - 3.0;
    let level = level.min(levels.len() - 1);
    let nearest = levels[level].bilinear(at, wrap);
    match levels.get(level + 1) {
        Some(next) if share > 0.0 => mixed(nearest, next.bilinear(at, wrap), share),
        _ => nearest,
    }
}

/// Which face a direction hits, where, and how fast that moves. The faces' axes are those of OpenGL's specification.
fn on_cube([x, y, z]: V3, steps: [V3; 2]) -> (usize, [f32; 2], [[f32; 2]; 2]) {
    let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
    type Axes = fn(V3) -> V3;
    let (face, axes): (usize, Axes) = if ax >= ay && ax >= az {
        if x >= 0.0 { (0, |[x, y, z]| [-z, -y, x]) } else { (1, |[x, y, z]| [z, -y, -x]) }
    } else if ay >= az {
        if y >= 0.0 { (2, |[x, y, z]| [x, z, y]) } else { (3, |[x, y, z]| [x, -z, -y]) }
    } else if z >= 0.0 {
        (4, |[x, y, z]| [x, -y, z])
    } else {
        (5, |[x, y, z]| [-x, -y, -z])
    };
    let [s, t, major] = axes([x, y, z]);
    if major <= 0.0 {
        return (face, [0.5; 2], [[0.0; 2]; 2]);
    }
    let half = 0.5 / major;
    let steps = steps.map(|step| {
        let [ds, dt, dmajor] = axes(step);
        [(ds - s / major * dmajor) * half, (dt - t / major * dmajor) * half]
    });
    (face, [s * half + 0.5, t * half + 0.5], steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: V3 = [0.0; 3];

    fn plane(width: usize, bytes: &[u8]) -> Texture {
        Texture::new(&Source { width, height: bytes.len() / 3 / width, channels: 3, srgb: false, cube: false, bytes })
    }

    #[test]
    fn a_texel_has_its_own_colour_at_its_centre_and_repeats() {
        let texture = plane(2, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
        for (at, colour) in
            [([0.25, 0.25], [1.0, 0.0, 0.0]), ([0.75, 0.25], [0.0, 1.0, 0.0]), ([1.25, -0.25], [0.0, 0.0, 1.0])]
        {
            assert_eq!(texture.sample([at[0], at[1], 0.0], STILL, STILL), colour, "{at:?}");
        }
        assert_eq!(texture.sample([0.5, 0.25, 0.0], STILL, STILL), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn from_afar_everything_is_the_mean_rounded_up() {
        let texture = plane(2, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
        let mean = texture.sample([0.1, 0.9, 0.0], [9.0, 0.0, 0.0], STILL);
        assert_eq!(mean.map(|value| (value * 255.0).round()), [128.0; 3]);
    }

    #[test]
    fn a_cube_shows_each_face_in_its_direction() {
        let bytes: Vec<u8> = (0..6).flat_map(|face| [face * 40; 3]).collect();
        let texture =
            Texture::new(&Source { width: 1, height: 6, channels: 3, srgb: false, cube: true, bytes: &bytes });
        let ways =
            [[1.0, 0.1, 0.2], [-1.0, 0.1, 0.2], [0.1, 1.0, 0.2], [0.1, -1.0, 0.2], [0.1, 0.2, 1.0], [0.1, 0.2, -1.0]];
        for (face, way) in ways.into_iter().enumerate() {
            let seen = texture.sample(way, STILL, STILL)[0] * 255.0;
            assert_eq!(seen.round(), face as f32 * 40.0, "{way:?}");
        }
    }

    #[test]
    fn nothing_that_is_not_a_number_makes_it_panic() {
        let texture = plane(2, &[9; 12]);
        for value in [f32::NAN, f32::INFINITY, f32::MIN, f32::MAX] {
            texture.sample([value; 3], [value; 3], STILL);
        }
    }
}
