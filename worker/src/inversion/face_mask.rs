//! What each latent pixel counts in the loss where the face matters more than what is around it.
//!
//! The face is an ellipse in fractions of the picture's sides. Where a detector has found the face, it lies in the square that
//! FFHQ cuts around a head as it does in the middle of a picture; where nothing is known of it, the picture is such a square, in which the eyes lie a little above the middle, a quarter of the side apart, and the
//! mouth at three quarters of the height: half-axes of 0.33 across and 0.45 down hold face, ears and most of the hair.

/// Points per latent pixel and side at which the ellipse is looked up, so that its edge is not a staircase.
const POINTS: u32 = 4;

/// An upright ellipse, in fractions of width and height, from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceEllipse {
    /// Its centre, (x, y).
    pub centre: (f64, f64),
    /// Its half-axes, (across, down), both greater than 0.
    pub half_axes: (f64, f64),
}

impl Default for FaceEllipse {
    fn default() -> Self {
        Self { centre: (0.5, 0.5), half_axes: (0.33, 0.45) }
    }
}

impl FaceEllipse {
    /// The face of a head whose FFHQ-style square has this centre (x, y) and these sides, in fractions of the picture's sides. The
    /// centred one where the sides are none.
    #[must_use]
    pub fn of_head(centre: (f64, f64), side: f64) -> Self {
        let centred = Self::default();
        if !(side.is_finite() && side > 0.0 && centre.0.is_finite() && centre.1.is_finite()) {
            return centred;
        }
        Self { centre, half_axes: (centred.half_axes.0 * side, centred.half_axes.1 * side) }
    }

    /// The same face in the mirror image.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { centre: (1.0 - self.centre.0, self.centre.1), ..self }
    }

    /// Weights of `height` x `width` latent pixels, row by row: 1 inside, `background` outside, between the two by area
    /// on the edge.
    pub fn weights(&self, height: usize, width: usize, background: f64) -> Vec<f32> {
        let pixel = |y: usize, x: usize| {
            let points = (0..POINTS).flat_map(|i| (0..POINTS).map(move |j| (i, j)));
            let at = |place: usize, part: u32, side: usize| {
                (place as f64 + (f64::from(part) + 0.5) / f64::from(POINTS)) / side as f64
            };
            let inside =
                points.filter(|(i, j)| self.holds(at(x, *j, width), at(y, *i, height))).count() as f64;
            let share = inside / f64::from(POINTS * POINTS);
            (background + (1.0 - background) * share) as f32
        };
        (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).collect()
    }

    fn holds(&self, x: f64, y: f64) -> bool {
        let across = (x - self.centre.0) / self.half_axes.0;
        let down = (y - self.centre.1) / self.half_axes.1;
        across * across + down * down <= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centred_ellipse_weighs_the_middle_fully_and_the_corners_as_background() {
        let weights = FaceEllipse::default().weights(8, 8, 0.2);
        let at = |y: usize, x: usize| weights[y * 8 + x];
        assert_eq!((at(4, 4), at(0, 0), at(7, 7), at(4, 0)), (1.0, 0.2, 0.2, 0.2));
        assert!(weights.iter().all(|weight| (0.2..=1.0).contains(weight)));
        assert!(weights.iter().any(|weight| *weight > 0.2 && *weight < 1.0), "the edge has no steps");
        let share = FaceEllipse::default().weights(64, 64, 0.0).iter().sum::<f32>() / 4096.0;
        assert!((share - std::f32::consts::PI * 0.33 * 0.45).abs() < 2e-3, "it covers {share}");
    }

    #[test]
    fn a_mirrored_face_has_the_mirrored_weights() {
        let face = FaceEllipse { centre: (0.3, 0.6), half_axes: (0.2, 0.3) };
        let (weights, mirrored) = (face.weights(6, 10, 0.1), face.mirrored().weights(6, 10, 0.1));
        assert_ne!(weights, mirrored);
        for (row, mirrored) in weights.chunks(10).zip(mirrored.chunks(10)) {
            assert!(row.iter().eq(mirrored.iter().rev()), "{row:?} is not {mirrored:?} read backwards");
        }
        let centred = FaceEllipse::default();
        assert_eq!(centred.mirrored(), centred);
    }

    #[test]
    fn a_head_that_fills_the_picture_has_the_centred_ellipse() {
        let centred = FaceEllipse::default();
        assert_eq!(FaceEllipse::of_head((0.5, 0.5), 1.0), centred);
        let aside = FaceEllipse::of_head((0.25, 0.5), 0.5);
        assert_eq!((aside.centre, aside.half_axes), ((0.25, 0.5), (0.165, 0.225)));
        assert_eq!(FaceEllipse::of_head((0.2, 0.2), 0.0), centred);
        assert_eq!(FaceEllipse::of_head((f64::NAN, 0.2), 1.0), centred);
    }

    #[test]
    fn a_background_of_one_weighs_all_the_same() {
        assert!(FaceEllipse::default().weights(4, 6, 1.0).iter().all(|weight| *weight == 1.0));
    }
}
