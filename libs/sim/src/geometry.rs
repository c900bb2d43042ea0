//! Vectors and rotations, in the conventions of NumPy and SciPy.

/// The length of the difference of two points.
pub(crate) fn distance<const N: usize>(a: [f64; N], b: [f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// The length of the difference of two points where the axes count differently.
pub(crate) fn weighted_distance(a: [f64; 3], b: [f64; 3], weights: [f64; 3]) -> f64 {
    let weighted = |axis: usize| (a[axis] - b[axis]) * weights[axis];
    distance([weighted(0), weighted(1), weighted(2)], [0.0; 3])
}

/// Sum, component by component.
pub(crate) fn add(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// The unit quaternion (xyzw) of a rotation matrix in row order, by Markley's method: of the four ways to solve for it, the one
/// whose largest component is largest. The sign is what that way gives, as in SciPy's `Rotation.from_matrix`.
pub(crate) fn quaternion_of(matrix: [f64; 9]) -> [f64; 4] {
    let m = |row: usize, column: usize| matrix[3 * row + column];
    let trace = m(0, 0) + m(1, 1) + m(2, 2);
    let decision = [m(0, 0), m(1, 1), m(2, 2), trace];
    let mut choice = 0;
    for candidate in 1..4 {
        if decision[candidate] > decision[choice] {
            choice = candidate;
        }
    }
    let mut quaternion = [0.0; 4];
    if choice == 3 {
        quaternion = [m(2, 1) - m(1, 2), m(0, 2) - m(2, 0), m(1, 0) - m(0, 1), 1.0 + trace];
    } else {
        let (i, j, k) = (choice, (choice + 1) % 3, (choice + 2) % 3);
        quaternion[i] = 1.0 - trace + 2.0 * m(i, i);
        quaternion[j] = m(j, i) + m(i, j);
        quaternion[k] = m(k, i) + m(i, k);
        quaternion[3] = m(k, j) - m(j, k);
    }
    let length = quaternion.iter().map(|value| value * value).sum::<f64>().sqrt();
    quaternion.map(|value| value / length)
}

/// MuJoCo's wxyz as xyzw with w ≥ 0.
pub(crate) fn canonical_xyzw([w, x, y, z]: [f64; 4]) -> [f64; 4] {
    if w < 0.0 { [-x, -y, -z, -w] } else { [x, y, z, w] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The matrix of a unit quaternion, in row order.
    fn matrix_of([x, y, z, w]: [f64; 4]) -> [f64; 9] {
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - z * w),
            2.0 * (x * z + y * w),
            2.0 * (x * y + z * w),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - x * w),
            2.0 * (x * z - y * w),
            2.0 * (y * z + x * w),
            1.0 - 2.0 * (x * x + y * y),
        ]
    }

    proptest! {
        #[test]
        fn a_matrix_gives_back_its_quaternion_up_to_sign(raw in [-1.0..1.0, -1.0..1.0, -1.0..1.0, -1.0..1.0]) {
            let length = distance(raw, [0.0; 4]);
            prop_assume!(length > 1e-3);
            let unit = raw.map(|value| value / length);
            let back = quaternion_of(matrix_of(unit));
            let negated = back.map(|value| -value);
            prop_assert!(distance(back, unit).min(distance(negated, unit)) < 1e-12);
        }
    }
}
