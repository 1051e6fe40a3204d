//! A face as a direction in space.

/// A vector of length 1. The cosine of two says how alike the faces are: 1 for the same picture, for a margin-trained network
/// around 0.8 for one person and around 0.1 for two.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// The direction of these numbers. `None` where they have none: all zeros, or not finite.
    pub fn of(values: &[f32]) -> Option<Self> {
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        (length.is_finite() && length > 0.0)
            .then(|| Self(values.iter().map(|value| (f64::from(*value) / length) as f32).collect()))
    }

    /// Numbers that are a direction already, kept to the last bit. `None` where their length is not 1.
    pub(crate) fn of_unit(values: Vec<f32>) -> Option<Self> {
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        ((length - 1.0).abs() < 1e-3).then_some(Self(values))
    }

    /// To five decimals, which changes a cosine by less than one in ten thousand: for files.
    pub(crate) fn rounded(&self) -> Self {
        Self(self.0.iter().map(|value| ((f64::from(*value) * 1e5).round() / 1e5) as f32).collect())
    }

    /// The direction of the mean; `None` where there are none, or they cancel out. All have the same width.
    pub fn mean<'a>(embeddings: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut sum: Vec<f32> = Vec::new();
        for embedding in embeddings {
            sum.resize(embedding.0.len(), 0.0);
            for (sum, value) in sum.iter_mut().zip(&embedding.0) {
                *sum += value;
            }
        }
        Self::of(&sum)
    }

    /// The cosine of the angle between the two, -1..=1.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum::<f32>().clamp(-1.0, 1.0)
    }

    /// The numbers; their squares sum to 1.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_is_a_direction() {
        let one = Embedding::of(&[3.0, 4.0]).unwrap();
        assert_eq!(one.values(), [0.6, 0.8]);
        assert_eq!(one, Embedding::of(&[3e20, 4e20]).unwrap());
        assert!((one.cosine(&Embedding::of(&[4.0, 3.0]).unwrap()) - 0.96).abs() < 1e-6);
        for none in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY], vec![]] {
            assert_eq!(Embedding::of(&none), None, "{none:?}");
        }
        let mean = Embedding::mean([&one, &Embedding::of(&[4.0, 3.0]).unwrap()]).unwrap();
        assert!((mean.values()[0] - mean.values()[1]).abs() < 1e-6);
        assert_eq!(Embedding::mean([]), None);
    }
}
