//! What a policy sees. Nothing in here tells where objects or goals are.

/// One observation: the hand's own state, and camera images when they were asked for.
///
/// Positions are metres in the world's frame: x to the right of the robot, y away from it, z up, the table's top at z = 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The origin of the hand's frame (MuJoCo body `hand`, the position that Meta-World observes), about 4.5 cm behind the
    /// fingertips.
    pub ee_pos: [f64; 3],
    /// The hand's orientation in the world's frame, xyzw, with w ≥ 0. The fingers point along the hand's +x; pointing down
    /// is (0, √½, 0, √½).
    pub ee_quat: [f64; 4],
    /// The velocity of that origin along the world's axes, m/s.
    pub ee_vel_lin: [f64; 3],
    /// The hand's angular velocity about the world's axes, rad/s.
    pub ee_vel_ang: [f64; 3],
    /// 0 with the fingers at the open end of their travel … 1 at the closed end, by the distance between them.
    pub gripper: f64,
    /// Camera name and image, when the episode was started with images. The images are upright: Meta-World's cameras hang upside down, and
    /// what policies were trained on is their picture flipped vertically.
    pub images: Option<Vec<(&'static str, Image)>>,
}

/// A picture: rows from the top, pixels from the left, red, green, blue.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width` × `height` × 3 bytes.
    pub rgb: Vec<u8>,
}

impl Image {
    /// The same picture with its rows in the opposite order.
    pub(crate) fn flipped(mut self) -> Self {
        let row = self.width as usize * 3;
        let (upper, lower) = self.rgb.split_at_mut(self.height as usize / 2 * row);
        for (above, below) in upper.chunks_exact_mut(row).zip(lower.rchunks_exact_mut(row)) {
            above.swap_with_slice(below);
        }
        self
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{})", self.width, self.height)
    }
}

/// The hand's own state, as the scene measures it; the fields are those of [`Observation`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Proprioception {
    pub(crate) ee_pos: [f64; 3],
    pub(crate) ee_quat: [f64; 4],
    pub(crate) ee_vel_lin: [f64; 3],
    pub(crate) ee_vel_ang: [f64; 3],
    pub(crate) gripper: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_picture_has_its_last_row_first() {
        for height in 1..4_u8 {
            let rows: Vec<[u8; 6]> = (0..height).map(|row| [row; 6]).collect();
            let image = Image { width: 2, height: height.into(), rgb: rows.concat() };
            let backwards: Vec<_> = rows.into_iter().rev().collect();
            assert_eq!(image.flipped().rgb, backwards.concat());
        }
    }
}
