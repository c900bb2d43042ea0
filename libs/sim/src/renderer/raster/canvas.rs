//! A picture in the making: colours and depths, and the filling of triangles.
//!
//! Which pixels a triangle covers follows OpenGL's rules: pixel centres inside it, corners snapped to 1/256 pixel, and of two
//! triangles with a common edge exactly one gets a pixel on it. Depth is kept together with the number of the prop that was drawn,
//! so that opaque props give the same picture in whatever order they come.

use super::{
    texture::Texture,
    vector::{V3, add, scale},
};

/// Steps of the grid that corners snap to, in a pixel.
const SUBPIXELS: f32 = 256.0;

/// A place on the screen: steps from the left and from the top. A million pixels away at most, so that areas fit their numbers.
pub(super) type Place = [i32; 2];

/// The farthest a place can be.
const FARTHEST: i32 = 1 << 28;

/// Snaps a place, given in pixels.
pub(super) fn snapped(at: [f32; 2]) -> Place {
    at.map(|value| {
        let value = value * SUBPIXELS + 0.5;
        let towards_zero = value as i32;
        towards_zero.saturating_sub(i32::from(towards_zero as f32 > value)).clamp(-FARTHEST, FARTHEST)
    })
}

/// What is known at a corner of a triangle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Corner {
    /// One over the distance along the camera's axis.
    pub(super) nearness: f32,
    pub(super) colour: V3,
    /// Where the texture is sampled.
    pub(super) texel: V3,
}

/// The pixels that a triangle may cover: columns and rows, from and to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    columns: [usize; 2],
    rows: [usize; 2],
}

/// How a triangle is filled.
#[derive(Clone, Copy)]
pub(super) struct Paint<'a> {
    /// The prop's number.
    pub(super) prop: u32,
    pub(super) texture: Option<&'a Texture>,
    /// Below one, what is behind shines through, and is not hidden from what comes later.
    pub(super) alpha: Option<f32>,
}

#[derive(Clone)]
pub(super) struct Canvas {
    side: usize,
    colours: Vec<[u8; 3]>,
    /// The bits of the nearness, which sort as the nearness does, above the prop's number. Zero where there is nothing.
    depths: Vec<u64>,
}

impl Canvas {
    pub(super) fn new(side: usize) -> Self {
        Self { side, colours: vec![[0; 3]; side * side], depths: vec![0; side * side] }
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.side = other.side;
        self.colours.clone_from(&other.colours);
        self.depths.clone_from(&other.depths);
    }

    /// The means of squares of pixels.
    pub(super) fn rgb(&self, square: usize) -> Vec<u8> {
        let (side, share) = (self.side / square, (square * square) as u32);
        let mut rgb = Vec::with_capacity(side * side * 3);
        for place in 0..side * side {
            let corner = place / side * square * self.side + place % side * square;
            let mut sum = [0; 3];
            for row in 0..square {
                for colour in &self.colours[corner + row * self.side..][..square] {
                    sum = std::array::from_fn(|i| sum[i] + u32::from(colour[i]));
                }
            }
            rgb.extend(sum.map(|sum| ((sum + share / 2) / share) as u8));
        }
        rgb
    }

    /// Paints every pixel where nothing is.
    pub(super) fn fill_rest(&mut self, colour: impl Fn(f32, f32) -> V3) {
        for (index, pixel) in self.colours.iter_mut().enumerate().filter(|(index, _)| self.depths[*index] == 0) {
            *pixel = bytes(colour((index % self.side) as f32 + 0.5, (index / self.side) as f32 + 0.5));
        }
    }

    /// The pixels whose centres may be inside a triangle; most small triangles have none.
    pub(super) fn reach(&self, [a, b, c]: [Place; 3]) -> Option<Reach> {
        let span = |axis: usize| {
            let (low, high) = (a[axis].min(b[axis]).min(c[axis]), a[axis].max(b[axis]).max(c[axis]));
            let first = (low.saturating_add(127) >> 8).max(0);
            let last = (high.saturating_sub(128) >> 8).min(self.side as i32 - 1);
            (first <= last).then_some([first as usize, last as usize])
        };
        Some(Reach { columns: span(0)?, rows: span(1)? })
    }

    /// Fills a triangle if its front is seen. Corners run counter-clockwise on the front.
    pub(super) fn fill(&mut self, reach: Reach, places: [Place; 3], corners: [&Corner; 3], paint: &Paint<'_>) {
        // Clockwise, now that rows count downwards.
        let [a, b, c] = [places[0], places[2], places[1]].map(|place| place.map(i64::from));
        let corners = [corners[0], corners[2], corners[1]];
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if area <= 0 {
            return;
        }
        let ([left, right], [top, bottom]) = (reach.columns, reach.rows);
        let centre = [left, top].map(|pixel| ((pixel as i64) << 8) + 128);
        let mut edges = [[b, c], [c, a], [a, b]].map(|edge| Edge::new(edge, centre));
        let whole = 1.0 / area as f32;
        let slopes = paint.texture.map(|_| Slopes::new(&edges, whole, corners));
        for row in top..=bottom {
            let mut values = edges.map(|edge| edge.value);
            for column in left..=right {
                if values[0] | values[1] | values[2] >= 0 {
                    let shares: V3 =
                        std::array::from_fn(|i| (values[i] - edges[i].bias) as f32 * whole * corners[i].nearness);
                    self.touch(row * self.side + column, shares, corners, slopes.as_ref(), paint);
                }
                for (value, edge) in values.iter_mut().zip(&edges) {
                    *value += edge.across;
                }
            }
            for edge in &mut edges {
                edge.value += edge.down;
            }
        }
    }

    /// Paints a pixel, unless something nearer is there. The shares are those of the corners, times their nearness.
    fn touch(
        &mut self,
        pixel: usize,
        [a, b, c]: V3,
        corners: [&Corner; 3],
        slopes: Option<&Slopes>,
        paint: &Paint<'_>,
    ) {
        let nearness = a + b + c;
        let depth = (u64::from(nearness.max(0.0).to_bits()) << 32) | u64::from(paint.prop);
        if depth < self.depths[pixel] {
            return;
        }
        let far = 1.0 / nearness;
        let mixed = |[x, y, z]: [V3; 3]| -> V3 { std::array::from_fn(|i| (a * x[i] + b * y[i] + c * z[i]) * far) };
        let mut colour = mixed(corners.map(|corner| corner.colour));
        if let Some((texture, slopes)) = paint.texture.zip(slopes) {
            let at = mixed(corners.map(|corner| corner.texel));
            let [across, down] =
                slopes.texel.map(|(texel, nearness)| std::array::from_fn(|i| (texel[i] - at[i] * nearness) * far));
            let texel = texture.sample(at, across, down);
            colour = std::array::from_fn(|i| colour[i] * texel[i]);
        }
        match paint.alpha {
            None => {
                self.depths[pixel] = depth;
                self.colours[pixel] = bytes(colour);
            }
            Some(alpha) => {
                let behind = self.colours[pixel].map(|byte| f32::from(byte) / 255.0);
                self.colours[pixel] = bytes(add(scale(colour, alpha), scale(behind, 1.0 - alpha)));
            }
        }
    }
}

/// How texture coordinates, times the nearness, and the nearness itself change from pixel to pixel: across and down.
struct Slopes {
    texel: [(V3, f32); 2],
}

impl Slopes {
    fn new(edges: &[Edge; 3], whole: f32, corners: [&Corner; 3]) -> Self {
        let slope = |step: fn(&Edge) -> i64| {
            let shares: V3 = std::array::from_fn(|i| step(&edges[i]) as f32 * whole * corners[i].nearness);
            let texel = std::array::from_fn(|i| (0..3).map(|corner| shares[corner] * corners[corner].texel[i]).sum());
            (texel, shares.iter().sum())
        };
        Self { texel: [slope(|edge| edge.across), slope(|edge| edge.down)] }
    }
}

/// Twice the area between an edge and a pixel's centre: not negative inside.
#[derive(Clone, Copy)]
struct Edge {
    value: i64,
    across: i64,
    down: i64,
    /// One less on edges whose pixels belong to the neighbour.
    bias: i64,
}

impl Edge {
    fn new([from, to]: [[i64; 2]; 2], centre: [i64; 2]) -> Self {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        // Top edges run to the right, left edges upwards.
        let bias = if dy < 0 || (dy == 0 && dx > 0) { 0 } else { -1 };
        let value = dx * (centre[1] - from[1]) - dy * (centre[0] - from[0]);
        Self { value: value + bias, across: -dy << 8, down: dx << 8, bias }
    }
}

fn bytes(colour: V3) -> [u8; 3] {
    // A float becomes the nearest byte in its range; what is not a number becomes zero.
    colour.map(|value| (value * 255.0 + 0.5) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIDE: usize = 16;

    fn fill(canvas: &mut Canvas, prop: u32, alpha: Option<f32>, corners: [[f32; 3]; 3]) {
        let places = corners.map(|[x, y, _]| snapped([x, y]));
        let corners = corners.map(|[_, _, nearness]| Corner { nearness, colour: [nearness; 3], texel: [0.0; 3] });
        if let Some(reach) = canvas.reach(places) {
            canvas.fill(reach, places, [&corners[0], &corners[1], &corners[2]], &Paint { prop, texture: None, alpha });
        }
    }

    proptest! {
        /// Half of white over black is 128, and 192 where it is painted twice.
        #[test]
        fn a_fan_around_a_point_paints_every_pixel_once(x in 1.0_f32..15.0, y in 1.0_f32..15.0, turns in 3..12_u16) {
            let mut canvas = Canvas::new(SIDE);
            let rim = |step: u16| {
                let angle = f32::from(step % turns) / f32::from(turns) * std::f32::consts::TAU;
                [x + 60.0 * angle.cos(), y - 60.0 * angle.sin(), 1.0]
            };
            for step in 0..turns {
                fill(&mut canvas, 0, Some(0.5), [[x, y, 1.0], rim(step), rim(step + 1)]);
            }
            prop_assert!(canvas.colours.iter().all(|colour| *colour == [128; 3]), "{:?}", canvas.colours);
        }

        #[test]
        fn opaque_props_give_the_same_picture_in_any_order(
            props in prop::collection::vec(prop::array::uniform3(prop::array::uniform3(-4.0_f32..20.0)), 1..8),
        ) {
            let draw = |order: &mut dyn Iterator<Item = usize>| {
                let mut canvas = Canvas::new(SIDE);
                for prop in order {
                    // Two depths only, so that many are equally near.
                    let flat = props[prop].map(|[x, y, z]| [x, y, if z > 8.0 { 0.5 } else { 0.25 }]);
                    fill(&mut canvas, prop as u32, None, flat);
                }
                canvas.rgb(1)
            };
            prop_assert_eq!(draw(&mut (0..props.len())), draw(&mut (0..props.len()).rev()));
        }

        #[test]
        fn no_triangle_makes_it_panic(corners in prop::array::uniform3(prop::array::uniform3(any::<f32>()))) {
            fill(&mut Canvas::new(SIDE), 0, None, corners);
        }
    }

    #[test]
    fn a_triangle_is_seen_from_its_front_only() {
        let mut canvas = Canvas::new(SIDE);
        fill(&mut canvas, 0, None, [[0.0, 0.0, 1.0], [20.0, 0.0, 1.0], [0.0, 20.0, 1.0]]);
        assert!(canvas.colours.iter().all(|colour| *colour == [0; 3]), "clockwise on the screen");
        fill(&mut canvas, 0, None, [[0.0, 0.0, 1.0], [0.0, 20.0, 1.0], [20.0, 0.0, 1.0]]);
        assert_eq!(canvas.colours[0], [255; 3]);
    }
}
