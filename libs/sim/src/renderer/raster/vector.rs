//! Three-dimensional vectors in single precision, rigid poses in double.

/// A vector, a point, or a colour.
pub(super) type V3 = [f32; 3];

pub(super) fn dot(a: V3, b: V3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn sub(a: V3, b: V3) -> V3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn add(a: V3, b: V3) -> V3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn scale(a: V3, by: f32) -> V3 {
    a.map(|value| value * by)
}

pub(super) fn cross(a: V3, b: V3) -> V3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The vector with length 1; zero stays zero.
pub(super) fn unit(a: V3) -> V3 {
    let length = dot(a, a).sqrt();
    if length > 0.0 { scale(a, 1.0 / length) } else { a }
}

/// A rotation and a translation, from a part's frame to the world's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) position: [f64; 3],
    /// wxyz, of length 1.
    pub(super) quaternion: [f64; 4],
}

impl Pose {
    pub(super) const IDENTITY: Self = Self { position: [0.0; 3], quaternion: [1.0, 0.0, 0.0, 0.0] };

    /// The world's pose of what has the pose `inner` in this frame.
    pub(super) fn then(&self, inner: &Self) -> Self {
        Self { position: self.point(inner.position), quaternion: product(self.quaternion, inner.quaternion) }
    }

    /// Where a point of this frame is in the world.
    pub(super) fn point(&self, point: [f64; 3]) -> [f64; 3] {
        crate::geometry::add(self.position, self.direction(point))
    }

    /// A direction of this frame in the world.
    pub(super) fn direction(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.rotation();
        [a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z]
    }

    /// The rotation's matrix, row by row.
    pub(super) fn rotation(&self) -> [[f64; 3]; 3] {
        let [w, x, y, z] = self.quaternion;
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    }
}

/// The quaternion (wxyz) of `b`, then `a`.
pub(super) fn product(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    ]
}

/// The quaternion with length 1; one without a direction is no rotation, as in MuJoCo.
pub(super) fn normalised(quaternion: [f64; 4]) -> [f64; 4] {
    let length = quaternion.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length < 1e-15 { Pose::IDENTITY.quaternion } else { quaternion.map(|value| value / length) }
}
