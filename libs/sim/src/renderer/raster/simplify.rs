//! Fewer triangles for the same shape: edges collapse, cheapest first, while the surface stays within a tolerance.
//!
//! The measure is Garland and Heckbert's ("Surface Simplification Using Quadric Error Metrics", SIGGRAPH 1997): each vertex keeps
//! the sum of squared distances to the planes of the triangles it stands for, as a quadratic form. Here planes weigh as much as
//! their triangle's area, as in a picture, and the tolerance is the distance by which a patch of a given size may be off: a larger
//! patch must be more exact, a smaller one need not be.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

type P = [f64; 3];

/// The size of the patch that the tolerance is about, in squared units of the positions: a square centimetre.
const AREA: f64 = 1e-4;

/// A surface after simplification. Vertices keep their numbers; many of them are no longer used.
pub(super) struct Simplified {
    pub(super) positions: Vec<P>,
    pub(super) faces: Vec<[usize; 3]>,
    /// For each vertex of the original the one that now stands for it.
    pub(super) stands_for: Vec<usize>,
}

/// Collapses edges until none is left that would move the surface by less than the tolerance. Triangles without an area disappear. The result depends on the input alone.
pub(super) fn simplify(positions: Vec<P>, faces: &[[usize; 3]], tolerance: f64) -> Simplified {
    let mut work = Work::new(positions, faces);
    let mut queue = BinaryHeap::new();
    for edge in work.edges() {
        queue.extend(work.candidate(edge));
    }
    while let Some(next) = queue.pop() {
        if next.error > tolerance {
            continue;
        }
        let current = next.stamps == next.edge.map(|vertex| work.stamps[vertex]);
        if current && work.collapse(&next) {
            let kept = next.edge[0];
            for neighbour in work.neighbours(kept) {
                queue.extend(work.candidate([kept, neighbour]));
            }
        }
    }
    work.finish()
}

/// A weighted sum of squared distances to planes: the symmetric matrix of the form in homogeneous coordinates, row by row.
#[derive(Clone, Copy, Default)]
struct Quadric([f64; 10]);

impl Quadric {
    fn plane([a, b, c]: P, d: f64, weight: f64) -> Self {
        let form = [a * a, a * b, a * c, a * d, b * b, b * c, b * d, c * c, c * d, d * d];
        Self(form.map(|value| value * weight))
    }

    fn plus(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// The distance of a patch that would give this sum.
    fn error(&self, [x, y, z]: P) -> f64 {
        let [xx, xy, xz, xw, yy, yz, yw, zz, zw, ww] = self.0;
        let sum = xx * x * x + yy * y * y + zz * z * z + 2.0 * (xy * x * y + xz * x * z + yz * y * z);
        let sum = sum + 2.0 * (xw * x + yw * y + zw * z) + ww;
        (sum.max(0.0) / (2.0 * AREA)).sqrt()
    }

    /// The point with the least error, if the planes determine one.
    fn best(&self) -> Option<P> {
        let [xx, xy, xz, xw, yy, yz, yw, zz, zw, _] = self.0;
        let cofactors = [yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy];
        let determinant = xx * cofactors[0] + xy * cofactors[1] + xz * cofactors[2];
        let scale = (xx + yy + zz) / 3.0;
        if determinant.abs() < 1e-3 * scale * scale * scale {
            return None;
        }
        let [c00, c01, c02] = cofactors;
        let (c11, c12, c22) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
        let rows = [[c00, c01, c02], [c01, c11, c12], [c02, c12, c22]];
        Some(rows.map(|[a, b, c]| -(a * xw + b * yw + c * zw) / determinant))
    }
}

struct Candidate {
    /// Decides the order: the error, and a little for the length, so that short edges go first on flat ground.
    cost: f64,
    error: f64,
    /// The first one stays.
    edge: [usize; 2],
    stamps: [u32; 2],
    target: P,
}

impl Ord for Candidate {
    /// The cheapest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.cost.total_cmp(&self.cost).then_with(|| other.edge.cmp(&self.edge))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

struct Work {
    positions: Vec<P>,
    faces: Vec<Option<[usize; 3]>>,
    /// The faces that touch a vertex.
    around: Vec<Vec<usize>>,
    quadrics: Vec<Quadric>,
    /// Counts the changes of a vertex, so that what was reckoned before is known to be out of date.
    stamps: Vec<u32>,
    stands_for: Vec<usize>,
}

impl Work {
    fn new(positions: Vec<P>, faces: &[[usize; 3]]) -> Self {
        let mut first = HashMap::new();
        let stands_for: Vec<usize> =
            positions.iter().enumerate().map(|(i, p)| *first.entry(p.map(f64::to_bits)).or_insert(i)).collect();
        let count = positions.len();
        let mut work = Self {
            positions,
            faces: Vec::with_capacity(faces.len()),
            around: vec![Vec::new(); count],
            quadrics: vec![Quadric::default(); count],
            stamps: vec![0; count],
            stands_for,
        };
        for face in faces {
            let face = face.map(|vertex| work.stands_for[vertex]);
            let normal = work.normal(face);
            let length = length(normal);
            if length == 0.0 {
                continue;
            }
            let plane = normal.map(|value| value / length);
            let quadric = Quadric::plane(plane, -dot(plane, work.positions[face[0]]), length);
            for vertex in face {
                work.around[vertex].push(work.faces.len());
                work.quadrics[vertex] = work.quadrics[vertex].plus(&quadric);
            }
            work.faces.push(Some(face));
        }
        work.hold_rims();
        work
    }

    /// Where the surface ends, planes across it keep the rim in its place.
    fn hold_rims(&mut self) {
        let mut sides: HashMap<[usize; 2], (usize, usize)> = HashMap::new();
        for (index, face) in self.faces.iter().enumerate().filter_map(|(i, face)| face.map(|face| (i, face))) {
            for [a, b] in edges_of(face) {
                sides.entry([a.min(b), a.max(b)]).or_insert((0, index)).0 += 1;
            }
        }
        let mut rims: Vec<_> = sides.into_iter().filter(|(_, (count, _))| *count == 1).collect();
        rims.sort_unstable();
        for ([a, b], (_, face)) in rims {
            let along = sub(self.positions[b], self.positions[a]);
            let across = cross(along, self.normal(self.faces[face].expect("all faces are there yet")));
            let size = length(across);
            if size > 0.0 {
                let plane = across.map(|value| value / size);
                let quadric = Quadric::plane(plane, -dot(plane, self.positions[a]), dot(along, along));
                for vertex in [a, b] {
                    self.quadrics[vertex] = self.quadrics[vertex].plus(&quadric);
                }
            }
        }
    }

    /// Twice the area, across the face.
    fn normal(&self, [a, b, c]: [usize; 3]) -> P {
        let [a, b, c] = [self.positions[a], self.positions[b], self.positions[c]];
        cross(sub(b, a), sub(c, a))
    }

    fn edges(&self) -> Vec<[usize; 2]> {
        let mut edges: Vec<_> =
            self.faces.iter().flatten().flat_map(|face| edges_of(*face)).map(|[a, b]| [a.min(b), a.max(b)]).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn neighbours(&self, vertex: usize) -> Vec<usize> {
        let faces = self.around[vertex].iter().filter_map(|face| self.faces[*face]);
        let mut neighbours: Vec<_> = faces.flatten().filter(|other| *other != vertex).collect();
        neighbours.sort_unstable();
        neighbours.dedup();
        neighbours
    }

    fn candidate(&self, edge: [usize; 2]) -> Option<Candidate> {
        let [a, b] = edge.map(|vertex| self.positions[vertex]);
        let quadric = self.quadrics[edge[0]].plus(&self.quadrics[edge[1]]);
        let span = length(sub(b, a));
        let middle: P = std::array::from_fn(|i| (a[i] + b[i]) / 2.0);
        let near = |point: &P| length(sub(*point, middle)) < 2.0 * span;
        let (error, target) = [quadric.best().filter(near), Some(a), Some(b), Some(middle)]
            .into_iter()
            .flatten()
            .map(|point| (quadric.error(point), point))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        let stamps = edge.map(|vertex| self.stamps[vertex]);
        Some(Candidate { cost: error + 1e-3 * span, error, edge, stamps, target })
    }

    /// Makes one vertex of two, unless a face would turn over.
    fn collapse(&mut self, candidate: &Candidate) -> bool {
        let [kept, gone] = candidate.edge;
        for vertex in candidate.edge {
            for face in self.around[vertex].iter().filter_map(|face| self.faces[*face]) {
                if face.contains(&kept) && face.contains(&gone) {
                    continue;
                }
                let before = self.normal(face);
                let [a, b, c] = face.map(|v| if v == vertex { candidate.target } else { self.positions[v] });
                let after = cross(sub(b, a), sub(c, a));
                if dot(before, after) <= 0.3 * length(before) * length(after) {
                    return false;
                }
            }
        }
        self.positions[kept] = candidate.target;
        self.quadrics[kept] = self.quadrics[kept].plus(&self.quadrics[gone]);
        self.stands_for[gone] = kept;
        let moving = std::mem::take(&mut self.around[gone]);
        for index in moving {
            let Some(face) = self.faces[index] else { continue };
            if face.contains(&kept) {
                self.faces[index] = None;
            } else {
                self.faces[index] = Some(face.map(|v| if v == gone { kept } else { v }));
                self.around[kept].push(index);
            }
        }
        let faces = &self.faces;
        self.around[kept].retain(|face| faces[*face].is_some());
        self.stamps[kept] += 1;
        self.stamps[gone] += 1;
        true
    }

    fn finish(mut self) -> Simplified {
        for vertex in 0..self.stands_for.len() {
            let mut last = vertex;
            while self.stands_for[last] != last {
                last = self.stands_for[last];
            }
            self.stands_for[vertex] = last;
        }
        Simplified {
            positions: self.positions,
            faces: self.faces.into_iter().flatten().collect(),
            stands_for: self.stands_for,
        }
    }
}

fn edges_of([a, b, c]: [usize; 3]) -> [[usize; 2]; 3] {
    [[a, b], [b, c], [c, a]]
}

fn sub(a: P, b: P) -> P {
    std::array::from_fn(|i| a[i] - b[i])
}

fn dot(a: P, b: P) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: P, b: P) -> P {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn length(a: P) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of `cells`² fields, each corner lifted.
    fn sheet(cells: usize, lift: impl Fn(f64, f64) -> f64) -> (Vec<P>, Vec<[usize; 3]>) {
        let at = |step: usize| step as f64 / cells as f64;
        let row = cells + 1;
        let positions = (0..row * row).map(|i| [at(i % row), at(i / row), lift(at(i % row), at(i / row))]).collect();
        let corner = |x: usize, y: usize| y * row + x;
        let faces = (0..cells * cells).map(|i| (i % cells, i / cells)).flat_map(|(x, y)| {
            let [a, b, c, d] = [corner(x, y), corner(x + 1, y), corner(x + 1, y + 1), corner(x, y + 1)];
            [[a, b, c], [a, c, d]]
        });
        (positions, faces.collect())
    }

    #[test]
    fn a_flat_sheet_keeps_its_rim_and_little_else() {
        let (positions, faces) = sheet(20, |_, _| 0.0);
        let result = simplify(positions, &faces, 1e-6);
        assert!(result.faces.len() < 40, "{} of {} faces", result.faces.len(), faces.len());
        let area: f64 = result.faces.iter().map(|face| length(spanned(&result, *face)) / 2.0).sum();
        assert!((area - 1.0).abs() < 1e-6, "{area}");
    }

    #[test]
    fn a_bump_stays_within_the_tolerance_and_the_right_way_up() {
        let bump = |x: f64, y: f64| 0.2 * (-20.0 * ((x - 0.5).powi(2) + (y - 0.5).powi(2))).exp();
        let (positions, faces) = sheet(40, bump);
        let result = simplify(positions, &faces, 0.02);
        assert!(result.faces.len() < faces.len() / 4, "{} of {} faces", result.faces.len(), faces.len());
        for face in &result.faces {
            assert!(spanned(&result, *face)[2] > 0.0);
            let [x, y, z] = std::array::from_fn(|i| face.iter().map(|v| result.positions[*v][i]).sum::<f64>() / 3.0);
            assert!((z - bump(x, y)).abs() < 0.01, "{z} instead of {}", bump(x, y));
        }
    }

    #[test]
    fn every_vertex_is_stood_for_by_one_that_is_left_or_unused() {
        let (positions, faces) = sheet(12, |x, y| (7.0 * x).sin() * y * 0.1);
        let result = simplify(positions, &faces, 0.01);
        for face in &faces {
            for vertex in face {
                let last = result.stands_for[*vertex];
                assert_eq!(result.stands_for[last], last);
            }
        }
        assert!(result.faces.iter().flatten().all(|vertex| result.stands_for[*vertex] == *vertex));
    }

    fn spanned(result: &Simplified, [a, b, c]: [usize; 3]) -> P {
        let [a, b, c] = [a, b, c].map(|vertex| result.positions[vertex]);
        cross(sub(b, a), sub(c, a))
    }
}
