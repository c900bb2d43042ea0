//! Triangles to draw: a model's meshes, simplified, and MuJoCo's basic shapes.

use std::{collections::HashMap, f32::consts::PI};

use mujoco_rs::prelude::{MjModel, MjtGeom};

use super::{
    simplify::simplify,
    vector::{V3, add, cross, dot, scale, sub, unit},
};

/// How far a square centimetre of a simplified surface may be from the original, metres. A pixel is about 15 mm wide where the arm is.
const TOLERANCE: f64 = 0.002;
/// Where a vertex's normal is further from its triangle's (by cosine), MuJoCo takes the triangle's.
const SMOOTH: f32 = 0.8;
/// On a simplified surface, normals of the original this close to a triangle's (by cosine) shape its shading.
const ALIKE: f32 = 0.5;

/// Vertices with normals, and triangles that run counter-clockwise on the outside.
#[derive(Default)]
pub(super) struct Mesh {
    pub(super) positions: Vec<V3>,
    pub(super) normals: Vec<V3>,
    pub(super) triangles: Vec<[u32; 3]>,
    /// Of each triangle.
    pub(super) planes: Vec<Plane>,
}

/// Its front is where the normal points.
pub(super) struct Plane {
    normal: V3,
    offset: f32,
}

impl Plane {
    fn of(corners: [V3; 3]) -> Self {
        let normal = across(corners);
        Self { normal, offset: dot(normal, corners[0]) }
    }

    /// Whether it turns its back to a point.
    pub(super) fn is_behind(&self, point: V3) -> bool {
        dot(self.normal, point) <= self.offset
    }
}

type Vertex = (V3, V3);

impl Mesh {
    /// Equal vertices become one.
    fn from_triangles(triangles: impl IntoIterator<Item = [Vertex; 3]>) -> Self {
        let mut known = HashMap::new();
        let mut mesh = Self::default();
        for triangle in triangles {
            mesh.planes.push(Plane::of(triangle.map(|(position, _)| position)));
            let corners = triangle.map(|(position, normal)| {
                let key = (position.map(f32::to_bits), normal.map(|value| (value * 1000.0).round() as i32));
                *known.entry(key).or_insert_with(|| {
                    mesh.positions.push(position);
                    mesh.normals.push(normal);
                    mesh.positions.len() as u32 - 1
                })
            });
            mesh.triangles.push(corners);
        }
        mesh
    }

    /// A mesh of the model as it is, lit as MuJoCo lights it.
    pub(super) fn original(model: &MjModel, mesh: usize) -> Original<'_> {
        let from = |start: i32| usize::try_from(start).unwrap_or_default();
        let (first, count) = (from(model.mesh_faceadr()[mesh]), from(model.mesh_facenum()[mesh]));
        let vertices = &model.mesh_vert()[from(model.mesh_vertadr()[mesh])..][..from(model.mesh_vertnum()[mesh])];
        let normals = &model.mesh_normal()[from(model.mesh_normaladr()[mesh])..];
        let faces: Vec<[usize; 3]> =
            model.mesh_face()[first..first + count].iter().map(|face| face.map(from)).collect();
        let shading = model.mesh_facenormal()[first..first + count]
            .iter()
            .zip(&faces)
            .map(|(indices, face)| {
                let flat = unit(across(face.map(|vertex| vertices[vertex])));
                indices.map(|index| normals[from(index)]).map(|n| if dot(n, flat) < SMOOTH { flat } else { n })
            })
            .collect();
        Original { vertices, faces, shading }
    }

    /// One of MuJoCo's basic shapes, with the sizes that it draws it with; `None` for other kinds.
    pub(super) fn of_shape(kind: MjtGeom, size: V3) -> Option<Self> {
        let triangles = match kind {
            MjtGeom::mjGEOM_PLANE => plane(size),
            MjtGeom::mjGEOM_BOX => cuboid(size),
            MjtGeom::mjGEOM_SPHERE | MjtGeom::mjGEOM_ELLIPSOID => ball(size, -PI / 2.0..=PI / 2.0, 0.0),
            MjtGeom::mjGEOM_CYLINDER => tube(size).chain(lids(size)).collect(),
            MjtGeom::mjGEOM_CAPSULE => {
                let round = [size[0], size[1], (size[0] + size[1]) / 2.0];
                let ends = ball(round, 0.0..=PI / 2.0, size[2]).into_iter();
                tube(size).chain(ends).chain(ball(round, -PI / 2.0..=0.0, -size[2])).collect()
            }
            _ => return None,
        };
        Some(Self::from_triangles(triangles))
    }
}

/// A model's own mesh.
pub(super) struct Original<'a> {
    pub(super) vertices: &'a [V3],
    pub(super) faces: Vec<[usize; 3]>,
    /// The normals of each face's corners.
    pub(super) shading: Vec<[V3; 3]>,
}

impl Original<'_> {
    /// The same shape and shading with fewer triangles.
    pub(super) fn simplified(&self) -> Mesh {
        let result = simplify(self.vertices.iter().map(|v| v.map(f64::from)).collect(), &self.faces, TOLERANCE);
        // What shone at the vertices that became one, each as much as its triangle's area.
        let mut shone: Vec<Vec<V3>> = vec![Vec::new(); self.vertices.len()];
        for (face, normals) in self.faces.iter().zip(&self.shading) {
            let area = across(face.map(|vertex| self.vertices[vertex]));
            let area = dot(area, area).sqrt();
            for (vertex, normal) in face.iter().zip(normals) {
                shone[result.stands_for[*vertex]].push(scale(*normal, area));
            }
        }
        Mesh::from_triangles(result.faces.iter().map(|face| {
            let corners = face.map(|vertex| result.positions[vertex].map(|value| value as f32));
            let flat = unit(across(corners));
            std::array::from_fn(|i| {
                let alike = shone[face[i]].iter().filter(|normal| dot(unit(**normal), flat) > ALIKE);
                let sum = alike.fold([0.0; 3], |sum, normal| add(sum, *normal));
                (corners[i], if dot(sum, sum) > 0.0 { unit(sum) } else { flat })
            })
        }))
    }
}

/// Twice the area, across the triangle.
fn across([a, b, c]: [V3; 3]) -> V3 {
    cross(sub(b, a), sub(c, a))
}

fn quad([a, b, c, d]: [Vertex; 4]) -> [[Vertex; 3]; 2] {
    [[a, b, c], [a, c, d]]
}

/// Pieces around a circle: enough for the tolerance, no more than MuJoCo's 28.
fn slices(size: V3) -> usize {
    let radius = size[0].max(size[1]);
    let chord = (1.0 - TOLERANCE as f32 / 2.0 / radius.max(TOLERANCE as f32)).acos();
    ((PI / chord).ceil() as usize).clamp(8, 28)
}

/// A rectangle in `cells`: its corners from a point of the square from (-1, -1) to (1, 1).
fn patch(cells: [usize; 2], corner: impl Fn(f32, f32) -> Vertex) -> Vec<[Vertex; 3]> {
    let at = |step: usize, cells: usize| 2.0 * step as f32 / cells as f32 - 1.0;
    let corner = |x: usize, y: usize| corner(at(x, cells[0]), at(y, cells[1]));
    (0..cells[0])
        .flat_map(|x| (0..cells[1]).map(move |y| (x, y)))
        .flat_map(|(x, y)| quad([corner(x, y), corner(x + 1, y), corner(x + 1, y + 1), corner(x, y + 1)]))
        .collect()
}

/// The third size is the half distance of the grid that light is worked out on.
fn plane([x, y, grid]: V3) -> Vec<[Vertex; 3]> {
    let cells = [x, y].map(|size| ((size / grid.max(1e-3)) as usize).clamp(1, 64));
    patch(cells, |u, v| ([u * x, v * y, 0.0], [0.0, 0.0, 1.0]))
}

fn cuboid(size: V3) -> Vec<[Vertex; 3]> {
    // MuJoCo works light out on 4×4 fields of each side. On small boxes two make no difference.
    let fields = if size.iter().all(|length| *length < 0.05) { 2 } else { 4 };
    let mut triangles = Vec::new();
    for axis in 0..3 {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        for sign in [1.0, -1.0] {
            triangles.extend(patch([fields; 2], |a, b| {
                let (mut position, mut normal) = ([0.0; 3], [0.0; 3]);
                (normal[axis], position[axis]) = (sign, sign * size[axis]);
                (position[u], position[v]) = (a * sign * size[u], b * size[v]);
                (position, normal)
            }));
        }
    }
    triangles
}

/// The belt of an ellipsoid between two elevations, its centre at a height.
fn ball(size: V3, elevations: std::ops::RangeInclusive<f32>, height: f32) -> Vec<[Vertex; 3]> {
    let around = slices(size);
    let span = elevations.end() - elevations.start();
    let up = ((span / PI * around as f32 / 2.0).round() as usize).max(3);
    let triangles = patch([around, up], |u, v| {
        let (azimuth, elevation) = (PI * (u + 1.0), elevations.start() + span * (v + 1.0) / 2.0);
        let flat = elevation.cos();
        let out = [azimuth.cos() * flat, azimuth.sin() * flat, elevation.sin()];
        let position = [out[0] * size[0], out[1] * size[1], out[2] * size[2] + height];
        (position, unit([out[0] / size[0], out[1] / size[1], out[2] / size[2]]))
    });
    triangles.into_iter().filter(|triangle| across(triangle.map(|(position, _)| position)) != [0.0; 3]).collect()
}

fn tube(size: V3) -> impl Iterator<Item = [Vertex; 3]> {
    let rings = ((size[2] / 0.04) as usize).clamp(1, 16);
    let triangles = patch([slices(size), rings], |u, v| {
        let (sin, cos) = (PI * (u + 1.0)).sin_cos();
        ([cos * size[0], sin * size[1], v * size[2]], unit([cos / size[0], sin / size[1], 0.0]))
    });
    triangles.into_iter()
}

fn lids(size: V3) -> impl Iterator<Item = [Vertex; 3]> {
    let around = slices(size);
    [1.0, -1.0].into_iter().flat_map(move |sign| {
        let normal = [0.0, 0.0, sign];
        let rim = move |step: usize| {
            let (sin, cos) = (sign * 2.0 * PI * step as f32 / around as f32).sin_cos();
            ([cos * size[0], sin * size[1], sign * size[2]], normal)
        };
        (0..around).map(move |step| [rim(step), rim(step + 1), ([0.0, 0.0, sign * size[2]], normal)])
    })
}
