//! How well a learned person is drawn: likeness, fit to the words, variety and copying (docs/method.md, "Measuring").
//!
//! The [`Evaluator`] ([`Evaluate`]) is the networks and runs them on pictures; the rest is pure functions over the directions that they have given: faces
//! ([`likeness_faces::recognise`]), and whole pictures and texts (CLIP, [`rows`]). An [`Evaluation`] is all figures of one person. One for
//! which there is nothing to go by is `None`, never a number.

mod aggregate;
mod evaluation;
mod evaluator;
mod fit;
mod identity;
mod variety;
mod vectors;

pub use aggregate::Aggregate;
pub use evaluation::{Against, Drawn, Evaluation, PictureScore};
pub use evaluator::{Evaluate, Evaluator, EvaluatorError, EvaluatorNetworks, Seen};
pub use fit::{PERSON, fit, read_as_person};
pub use identity::{Identity, to_photos};
pub use variety::{Nearest, diversity, nearest_photos};
pub use vectors::{VectorError, rows};

/// The mean, `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (count, sum) =
        values.into_iter().fold((0_usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use likeness_faces::recognise::Embedding;

    /// Directions in the plane whose cosines can be worked out by hand.
    pub(super) fn direction(x: f32, y: f32) -> Embedding {
        Embedding::of(&[x, y]).unwrap()
    }

    #[track_caller]
    pub(super) fn near(found: impl Into<Option<f64>>, expected: f64) {
        let found = found.into().unwrap();
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(super::mean([]), None);
        assert_eq!(super::mean([1.0, 2.0, 6.0]), Some(3.0));
    }
}
