//! Turning, scaling and moving: the transforms that keep a face's shape.

use crate::face::Point;

/// `(x, y)` becomes `(a x - b y + c, b x + a y + d)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Similarity {
    a: f32,
    b: f32,
    c: f32,
    d: f32,
}

impl Similarity {
    /// The one that brings `from` as near to `to` as can be, by least squares. `None` where the points of either are one, or
    /// are not finite.
    ///
    /// Umeyama 1991, written out for the plane without reflections, where the singular values have a closed form.
    pub(crate) fn fitting(from: &[Point], to: &[Point]) -> Option<Self> {
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let (from, to) = (from.minus(from_mean), to.minus(to_mean));
            along += from.dot(to);
            across += from.x * to.y - from.y * to.x;
            spread += from.dot(from);
        }
        let (a, b) = (along / spread, across / spread);
        let (c, d) =
            (to_mean.x - a * from_mean.x + b * from_mean.y, to_mean.y - b * from_mean.x - a * from_mean.y);
        Self { a, b, c, d }.checked()
    }

    /// The way back.
    pub(crate) fn inverse(self) -> Option<Self> {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        let (c, d) = (-(a * self.c - b * self.d), -(b * self.c + a * self.d));
        Self { a, b, c, d }.checked()
    }

    fn checked(self) -> Option<Self> {
        let is_finite = [self.a, self.b, self.c, self.d].iter().all(|value| value.is_finite());
        (is_finite && self.factor() > 1e-6).then_some(self)
    }

    pub(crate) fn apply(self, point: Point) -> Point {
        Point::new(self.a * point.x - self.b * point.y + self.c, self.b * point.x + self.a * point.y + self.d)
    }

    /// How much longer it makes a line.
    pub(crate) fn factor(self) -> f32 {
        self.a.hypot(self.b)
    }
}

fn mean(points: &[Point]) -> Point {
    let count = points.len() as f32;
    let sum = points.iter().fold(Point::default(), |sum, point| Point::new(sum.x + point.x, sum.y + point.y));
    Point::new(sum.x / count, sum.y / count)
}

#[cfg(test)]
mod tests {
    use super::super::TEMPLATE;
    use super::*;

    #[test]
    fn what_was_turned_scaled_and_moved_is_found_again() {
        let (sine, cosine) = 0.7f32.sin_cos();
        let moved = TEMPLATE.map(|point| {
            Point::new(
                3.0 * (cosine * point.x - sine * point.y) + 40.0,
                3.0 * (sine * point.x + cosine * point.y) - 7.0,
            )
        });
        let found = Similarity::fitting(&TEMPLATE, &moved).unwrap();
        assert!((found.factor() - 3.0).abs() < 1e-4);
        for (point, expected) in TEMPLATE.iter().zip(moved) {
            assert!(found.apply(*point).minus(expected).length() < 1e-3, "{point:?}");
            assert!(found.inverse().unwrap().apply(expected).minus(*point).length() < 1e-3, "{point:?}");
        }
    }

    /// skimage.transform.SimilarityTransform (Umeyama) on points that no similarity fits exactly.
    #[test]
    fn it_agrees_with_umeyama_where_the_fit_is_not_exact() {
        let points = [(30.5, 42.0), (75.25, 47.0), (50.0, 75.5), (35.0, 88.0), (68.0, 97.0)];
        let from = points.map(|(x, y)| Point::new(x, y));
        let found = Similarity::fitting(&from, &TEMPLATE).unwrap();
        let expected = [0.815_706_8, -0.074_188_57, 8.627_551, 18.722_13];
        for (found, expected) in [found.a, found.b, found.c, found.d].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn points_that_are_one_fit_nothing() {
        assert_eq!(Similarity::fitting(&TEMPLATE, &[Point::new(5.0, 5.0); 5]), None);
        assert_eq!(Similarity::fitting(&[Point::new(5.0, 5.0); 5], &TEMPLATE), None);
        assert_eq!(Similarity::fitting(&TEMPLATE, &[Point::new(f32::NAN, 5.0); 5]), None);
    }
}
