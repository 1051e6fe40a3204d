//! A face as a detector reports it.

/// A place in a picture, in pixels from the centre of the top left one, x to the right and y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From left to right.
    pub x: f32,
    /// From top to bottom.
    pub y: f32,
}

impl Point {
    /// The point at these coordinates.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The point in the middle of the two.
    pub fn middle(self, other: Self) -> Self {
        Self::new((self.x + other.x) / 2.0, (self.y + other.y) / 2.0)
    }

    /// The way from `other` to here.
    pub fn minus(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }

    /// The distance to the origin.
    pub fn length(self) -> f32 {
        self.x.hypot(self.y)
    }

    /// The scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }
}

/// The five points that align a face. Left and right are those of the picture, not of the person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FivePoints {
    /// The eye further to the left in an upright picture.
    pub left_eye: Point,
    /// The other eye.
    pub right_eye: Point,
    /// The tip of the nose.
    pub nose: Point,
    /// The corner of the mouth further to the left.
    pub left_mouth: Point,
    /// The other corner.
    pub right_mouth: Point,
}

impl FivePoints {
    /// In the order of the fields.
    pub fn to_array(self) -> [Point; 5] {
        [self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth]
    }

    /// From the order of the fields.
    pub fn from_array([left_eye, right_eye, nose, left_mouth, right_mouth]: [Point; 5]) -> Self {
        Self { left_eye, right_eye, nose, left_mouth, right_mouth }
    }

    /// Every point moved by the same rule.
    pub fn map(self, rule: impl Fn(Point) -> Point) -> Self {
        Self::from_array(self.to_array().map(rule))
    }
}

/// A rectangle of a picture, in pixels. It may reach beyond the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// From left to right.
    pub width: f32,
    /// From top to bottom.
    pub height: f32,
}

impl Bounds {
    /// In square pixels.
    pub fn area(self) -> f32 {
        self.width * self.height
    }

    /// The shared area over the area of both together (Jaccard), 0..=1.
    pub fn overlap(self, other: Self) -> f32 {
        let shared = |start: f32, length: f32, start_b: f32, length_b: f32| {
            ((start + length).min(start_b + length_b) - start.max(start_b)).max(0.0)
        };
        let both = shared(self.left, self.width, other.left, other.width)
            * shared(self.top, self.height, other.top, other.height);
        let all = self.area() + other.area() - both;
        if all > 0.0 { both / all } else { 0.0 }
    }
}

/// A face that was found in a picture; coordinates are those of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Forehead to chin, ear to ear.
    pub bounds: Bounds,
    /// Where eyes, nose and mouth are.
    pub points: FivePoints,
    /// How sure the detector is, 0..=1.
    pub score: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_the_shared_part() {
        let square = Bounds { left: 0.0, top: 0.0, width: 2.0, height: 2.0 };
        let moved = Bounds { left: 1.0, ..square };
        assert_eq!(square.overlap(square), 1.0);
        assert!((square.overlap(moved) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(square.overlap(Bounds { left: 2.0, ..square }), 0.0);
        assert_eq!(Bounds::default().overlap(Bounds::default()), 0.0);
    }
}
