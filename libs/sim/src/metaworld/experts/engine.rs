//! What an expert is made of, and how it acts.

use std::ops::Add;

/// A position in the world's frame, metres: x to the right of the robot, y away from it, z up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
}

impl Point {
    pub(super) const fn at(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// How far apart two points are when looked at from above.
    pub(super) fn beside(self, other: Self) -> f64 {
        length([self.x - other.x, self.y - other.y])
    }

    /// How far apart two points are in height.
    pub(super) fn off(self, other: Self) -> f64 {
        (self.z - other.z).abs()
    }

    /// How far apart two points are when looked at from the front, along y.
    pub(super) fn in_front(self, other: Self) -> f64 {
        length([self.x - other.x, self.z - other.z])
    }

    /// How far apart two points are when looked at from the side, along x.
    pub(super) fn in_profile(self, other: Self) -> f64 {
        length([self.y - other.y, self.z - other.z])
    }

    pub(super) fn distance(self, other: Self) -> f64 {
        length([self.x - other.x, self.y - other.y, self.z - other.z])
    }
}

impl Add<[f64; 3]> for Point {
    type Output = Self;

    fn add(self, [x, y, z]: [f64; 3]) -> Self {
        Self { x: self.x + x, y: self.y + y, z: self.z + z }
    }
}

fn length<const N: usize>(vector: [f64; N]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// What an expert looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) hand: Point,
    /// The distance between the fingers, 0 to 1.
    pub(super) openness: f64,
    pub(super) object: Point,
    /// The second object of tasks that have one.
    pub(super) second: Point,
    pub(super) goal: Point,
    /// The place at the object that the hand is brought to: see [`Expert::part`].
    pub(super) part: Point,
}

impl Seen {
    fn of(observation: &[f64; 39], part: fn(Point) -> Point) -> Self {
        let point = |start: usize| Point::at(observation[start], observation[start + 1], observation[start + 2]);
        let object = point(4);
        Self {
            hand: point(0),
            openness: observation[3],
            object,
            second: point(11),
            goal: point(36),
            part: part(object),
        }
    }

    /// How far the hand is from the part's vertical.
    pub(super) fn beside(&self) -> f64 {
        self.hand.beside(self.part)
    }

    /// How far the hand is from the part's height.
    pub(super) fn off(&self) -> f64 {
        self.hand.off(self.part)
    }
}

/// A leg of an expert's way: until when it lasts, and where it leads.
pub(super) enum Leg {
    /// While the hand is further than `beside` from the part's vertical: to `lift` above the part.
    Hover { beside: f64, lift: f64 },
    /// While the hand is further than `off` from the part's height: to `lift` above the part.
    Lower { off: f64, lift: f64 },
    /// While the first holds: to the second.
    When(fn(&Seen) -> bool, fn(&Seen) -> Point),
}

impl Leg {
    fn leads_to(&self, seen: &Seen) -> Option<Point> {
        match *self {
            Self::Hover { beside, lift } => (seen.beside() > beside).then(|| seen.part + [0.0, 0.0, lift]),
            Self::Lower { off, lift } => (seen.off() > off).then(|| seen.part + [0.0, 0.0, lift]),
            Self::When(holds, place) => holds(seen).then(|| place(seen)),
        }
    }
}

/// What the fingers do: efforts from -1 (open) to 1 (close).
pub(super) enum Grip {
    /// The same from first to last.
    Always(f64),
    /// `near` while the hand is within `beside` of the vertical and `off` of the height of `of`, else `far`.
    Near { of: fn(&Seen) -> Point, beside: f64, off: f64, far: f64, near: f64 },
    /// By a rule of its own.
    By(fn(&Seen) -> f64),
}

impl Grip {
    fn effort(&self, seen: &Seen) -> f64 {
        match *self {
            Self::Always(effort) => effort,
            Self::Near { of, beside, off, far, near } => {
                let place = of(seen);
                if seen.hand.beside(place) > beside || seen.hand.off(place) > off { far } else { near }
            }
            Self::By(rule) => rule(seen),
        }
    }
}

/// The scripted expert of one task. It remembers nothing: the observation alone decides.
pub(super) struct Expert {
    /// The task's name.
    pub(super) task: &'static str,
    /// Deflection of the action per metre of way left.
    pub(super) gain: f64,
    /// From the observed object's position to the place that the hand is brought to.
    pub(super) part: fn(Point) -> Point,
    /// The way: the first leg that still lasts is taken.
    pub(super) legs: &'static [Leg],
    /// Where the hand goes when no leg lasts any more.
    pub(super) then: fn(&Seen) -> Point,
    pub(super) grip: Grip,
}

impl Expert {
    /// The action x, y, z, effort, not clipped.
    pub(super) fn act(&self, observation: &[f64; 39]) -> [f64; 4] {
        let seen = Seen::of(observation, self.part);
        let leg = self.legs.iter().find_map(|leg| leg.leads_to(&seen));
        let place = leg.unwrap_or_else(|| (self.then)(&seen));
        let hand = seen.hand;
        let way = [place.x - hand.x, place.y - hand.y, place.z - hand.z];
        let [x, y, z] = way.map(|left| self.gain * left);
        [x, y, z, self.grip.effort(&seen)]
    }
}
