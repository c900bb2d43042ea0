//! One picture: light and perspective for every prop, and what is drawn once for all pictures.

use std::collections::HashMap;

use super::{
    IMAGE_SIDE, Part,
    canvas::{Canvas, Corner, Paint, Place, snapped},
    set::{Camera, Light, Material, Prop, Set},
    skeleton::Posture,
    vector::{Pose, V3, add, dot, scale, sub, unit},
};
use crate::Image;

/// Each pixel is the mean of so many samples in a row, and of as many rows: enough for thin things not to vanish, and what MuJoCo's
/// four samples a pixel come to.
const SAMPLES: usize = 2;
/// Highlights below e to the minus this are left out: a quarter of a byte's step.
const DIM: f32 = 7.0;
/// Samples along a side of a picture.
const SIDE: usize = IMAGE_SIDE as usize * SAMPLES;
/// From this opacity on, MuJoCo draws things as opaque.
const OPAQUE: f32 = 0.995;

/// What never moves in an environment, drawn once for each camera.
pub(super) struct Backdrop {
    /// Whether a prop is part of it.
    pub(super) still: Vec<bool>,
    pub(super) canvases: HashMap<String, Canvas>,
}

impl Backdrop {
    pub(super) fn new(set: &Set, joints: usize, moved: &[Part]) -> Self {
        let bodies: Vec<_> =
            moved.iter().filter_map(|part| if let Part::Body(id) = part { Some(*id) } else { None }).collect();
        let still: Vec<bool> = set
            .props
            .iter()
            .map(|prop| {
                let marker = prop.site.is_some_and(|site| moved.contains(&Part::Site(site)));
                !marker && prop.material.rgba[3] >= OPAQUE && set.skeleton.stands_still(prop.body, &bodies)
            })
            .collect();
        let mut scratch = Scratch::default();
        // No joint and no moved part bears on what stands still.
        let posture = Posture { qpos: &vec![0.0; joints], mocap: Pose::IDENTITY, moved: &[] };
        set.skeleton.pose_into(&posture, &mut scratch.poses);
        let canvases = set.cameras.iter().map(|(name, camera)| {
            let moving: Vec<bool> = still.iter().map(|still| !still).collect();
            scratch.canvas = Canvas::new(SIDE);
            scratch.draw_opaque(set, camera, &moving, &[]);
            scratch.canvas.fill_rest(|x, y| sky(set, camera, x, y));
            (name.clone(), scratch.canvas.clone())
        });
        Self { canvases: canvases.collect(), still }
    }
}

fn sky(set: &Set, camera: &Camera, x: f32, y: f32) -> V3 {
    let Some(texture) = &set.sky else {
        return [0.0; 3];
    };
    // MuJoCo's skyboxes have y upwards.
    let turned = |[x, y, z]: V3| [x, z, -y];
    let half = SIDE as f32 / 2.0;
    let (across, down) = (scale(camera.right, camera.half_height / half), scale(camera.up, -camera.half_height / half));
    let ray = add(camera.forward, add(scale(across, x - half), scale(down, y - half)));
    texture.sample(turned(ray), turned(across), turned(down))
}

/// Memory that is used again for each picture.
pub(super) struct Scratch {
    pub(super) poses: Vec<Pose>,
    canvas: Canvas,
    vertices: Vec<Vertex>,
    /// Props drawn so far.
    drawn: u32,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { poses: Vec::new(), canvas: Canvas::new(SIDE), vertices: Vec::new(), drawn: 0 }
    }
}

/// A mesh's vertex as the camera sees it, worked out no further than needed: most are at the back, and of the others many belong to
/// triangles that are smaller than a pixel.
#[derive(Clone, Copy, Default)]
struct Vertex {
    /// The prop, counted over all pictures, that the rest was worked out for.
    seen_in: u32,
    lit_in: u32,
    /// Along the camera's axes: right, up, forward.
    seen: V3,
    place: Place,
    corner: Corner,
}

impl Scratch {
    /// The picture of one camera, on top of its backdrop. Bodies must have been posed.
    pub(super) fn draw(
        &mut self,
        set: &Set,
        camera: &Camera,
        still: &[bool],
        backdrop: &Canvas,
        sites: &[(usize, [f64; 3])],
    ) {
        self.canvas.copy_from(backdrop);
        self.draw_opaque(set, camera, still, sites);
        self.draw_see_through(set, camera, sites);
    }

    /// What was drawn.
    pub(super) fn picture(&self) -> Image {
        Image { width: IMAGE_SIDE as u32, height: IMAGE_SIDE as u32, rgb: self.canvas.rgb(SAMPLES) }
    }

    fn draw_opaque(&mut self, set: &Set, camera: &Camera, skip: &[bool], sites: &[(usize, [f64; 3])]) {
        for (number, prop) in set.props.iter().enumerate() {
            if !skip[number] && prop.material.rgba[3] >= OPAQUE {
                self.draw_prop(number, prop, camera, sites);
            }
        }
    }

    /// As MuJoCo does: every one of them twice, nearest first and then farthest first.
    fn draw_see_through(&mut self, set: &Set, camera: &Camera, sites: &[(usize, [f64; 3])]) {
        let mut order: Vec<(f32, usize)> = set
            .props
            .iter()
            .enumerate()
            .filter(|(_, prop)| prop.material.rgba[3] < OPAQUE)
            .map(|(number, prop)| {
                let away = sub(self.pose_of(prop, sites).position.map(|value| value as f32), camera.position);
                (dot(away, away).sqrt() - prop.radius, number)
            })
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, number) in order.iter().chain(order.iter().rev()) {
            self.draw_prop(*number, &set.props[*number], camera, sites);
        }
    }

    fn pose_of(&self, prop: &Prop, sites: &[(usize, [f64; 3])]) -> Pose {
        let mut inner = prop.pose;
        if let Some((_, position)) = prop.site.and_then(|site| sites.iter().find(|(moved, _)| *moved == site)) {
            inner.position = *position;
        }
        self.poses[prop.body].then(&inner)
    }

    fn draw_prop(&mut self, number: usize, prop: &Prop, camera: &Camera, sites: &[(usize, [f64; 3])]) {
        let pose = self.pose_of(prop, sites);
        let sight = Sight::new(camera, &pose);
        if self.drawn == u32::MAX {
            self.vertices.clear();
            self.drawn = 0;
        }
        self.drawn += 1;
        let count = prop.mesh.positions.len();
        if self.vertices.len() < count {
            self.vertices.resize(count, Vertex::default());
        }
        let alpha = prop.material.rgba[3];
        let paint = Paint {
            prop: number as u32,
            texture: prop.texture.as_ref().map(|(texture, _)| &**texture),
            alpha: (alpha < OPAQUE).then_some(alpha),
        };
        for (triangle, plane) in prop.mesh.triangles.iter().zip(&prop.mesh.planes) {
            if plane.is_behind(sight.eye) {
                continue;
            }
            let indices = triangle.map(|index| index as usize);
            let mut ahead = 0;
            for index in indices {
                let vertex = &mut self.vertices[index];
                if vertex.seen_in != self.drawn {
                    sight.see(prop.mesh.positions[index], vertex);
                    vertex.seen_in = self.drawn;
                }
                ahead += usize::from(vertex.seen[2] >= camera.near);
            }
            let places = indices.map(|index| self.vertices[index].place);
            let reach = self.canvas.reach(places);
            if ahead == 0 || (ahead == 3 && reach.is_none()) {
                continue;
            }
            for index in indices {
                if self.vertices[index].lit_in != self.drawn {
                    sight.light(prop, index, &mut self.vertices[index].corner);
                    self.vertices[index].lit_in = self.drawn;
                }
            }
            let [a, b, c] = indices.map(|index| &self.vertices[index]);
            match reach {
                Some(reach) if ahead == 3 => {
                    self.canvas.fill(reach, places, [&a.corner, &b.corner, &c.corner], &paint);
                }
                _ => {
                    let rest = clipped([*a, *b, *c], camera);
                    for i in 2..rest.len() {
                        let places = [rest[0].0, rest[i - 1].0, rest[i].0];
                        if let Some(reach) = self.canvas.reach(places) {
                            self.canvas.fill(reach, places, [&rest[0].1, &rest[i - 1].1, &rest[i].1], &paint);
                        }
                    }
                }
            }
        }
    }
}

/// The part of a triangle that is beyond the near plane.
fn clipped(triangle: [Vertex; 3], camera: &Camera) -> Vec<(Place, Corner)> {
    let mut rest = Vec::with_capacity(4);
    for (i, from) in triangle.iter().enumerate() {
        let to = &triangle[(i + 1) % 3];
        let (inside, leaves) = (from.seen[2] >= camera.near, to.seen[2] >= camera.near);
        if inside {
            rest.push((from.place, from.corner));
        }
        if inside != leaves {
            let share = (camera.near - from.seen[2]) / (to.seen[2] - from.seen[2]);
            let between = |a: V3, b: V3| add(a, scale(sub(b, a), share));
            let seen = between(from.seen, to.seen);
            let (place, nearness) = projected([seen[0], seen[1], camera.near], camera.half_height);
            let colour = between(from.corner.colour, to.corner.colour);
            rest.push((place, Corner { nearness, colour, texel: between(from.corner.texel, to.corner.texel) }));
        }
    }
    rest
}

/// A point of the camera's frame on the screen, and one over its distance.
fn projected([right, up, forward]: V3, half_height: f32) -> (Place, f32) {
    let nearness = 1.0 / forward;
    let half = SIDE as f32 / 2.0;
    let zoom = nearness * half / half_height;
    (snapped([half + right * zoom, half - up * zoom]), nearness)
}

/// A prop's frame, as seen by a camera.
struct Sight<'a> {
    /// Rows: the camera's right, up and forward in the prop's frame.
    axes: [V3; 3],
    /// The prop's origin in the camera's frame.
    origin: V3,
    half_height: f32,
    /// The camera in the prop's frame.
    eye: V3,
    /// Directions to the lights in the prop's frame.
    lights: Vec<(V3, &'a Light)>,
}

impl<'a> Sight<'a> {
    fn new(camera: &'a Camera, pose: &Pose) -> Self {
        let rotation = pose.rotation().map(|row| row.map(|value| value as f32));
        let inward = |v: V3| add(add(scale(rotation[0], v[0]), scale(rotation[1], v[1])), scale(rotation[2], v[2]));
        let away = sub(pose.position.map(|value| value as f32), camera.position);
        let axes = [camera.right, camera.up, camera.forward];
        Self {
            axes: axes.map(inward),
            origin: axes.map(|axis| dot(axis, away)),
            half_height: camera.half_height,
            eye: inward(scale(away, -1.0)),
            lights: camera.lights.iter().map(|light| (inward(light.from), light)).collect(),
        }
    }

    fn see(&self, position: V3, vertex: &mut Vertex) {
        vertex.seen = std::array::from_fn(|i| dot(self.axes[i], position) + self.origin[i]);
        (vertex.place, vertex.corner.nearness) = projected(vertex.seen, self.half_height);
    }

    fn light(&self, prop: &Prop, vertex: usize, corner: &mut Corner) {
        let (position, normal) = (prop.mesh.positions[vertex], prop.mesh.normals[vertex]);
        corner.colour = self.reflected(position, normal, &prop.material);
        if let Some((_, wrapping)) = &prop.texture {
            corner.texel = std::array::from_fn(|i| position[i] * wrapping.factor[i] + wrapping.offset[i]);
        }
    }

    /// The light that comes back from a surface: OpenGL's fixed lighting, with a local viewer.
    fn reflected(&self, position: V3, normal: V3, material: &Material) -> V3 {
        let [r, g, b, _] = material.rgba;
        let mut sum = scale([r, g, b], material.emission);
        let mut bright = [0.0; 3];
        let to_eye = unit(sub(self.eye, position));
        for (from, light) in &self.lights {
            let facing = dot(normal, *from);
            bright = add(bright, light.ambient);
            if facing > 0.0 {
                bright = add(bright, scale(light.diffuse, facing));
                let half = add(*from, to_eye);
                let (towards, square) = (dot(normal, half), dot(half, half));
                // What `power` would find too dim, before the root that it takes to ask.
                let dim = material.shininess * (square - towards * towards) > 2.0 * DIM * square;
                if material.specular > 0.0 && towards > 0.0 && !dim {
                    let shine = power(towards / square.sqrt(), material.shininess) * material.specular;
                    sum = add(sum, scale(light.specular, shine));
                }
            }
        }
        let sum = add(sum, [r * bright[0], g * bright[1], b * bright[2]]);
        sum.map(|value| value.clamp(0.0, 1.0))
    }
}

/// A power of a number between 0 and 1, the same on every machine: whole exponents exactly, between them along straight lines.
fn power(base: f32, exponent: f32) -> f32 {
    if exponent * (1.0 - base) > DIM {
        return 0.0;
    }
    let mut whole = exponent as u32;
    let between = exponent - whole as f32;
    let (mut result, mut square) = (1.0, base);
    while whole > 0 {
        if whole & 1 == 1 {
            result *= square;
        }
        square *= square;
        whole >>= 1;
    }
    result * (1.0 + between * (base - 1.0))
}

impl Set {
    /// How many triangles there are, without repetitions.
    pub(super) fn triangles(&self) -> usize {
        self.props.iter().map(|prop| prop.mesh.triangles.len()).sum()
    }
}
