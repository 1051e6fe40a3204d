//! The portraits of one name, as far as faces go.

use serde::{Deserialize, Serialize};

use crate::recognise::Embedding;

/// What was seen in the portraits that the model drew of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamePortraits {
    /// The name.
    pub name: String,
    /// Its tokens, where the builder had the model's tokenizer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ids: Vec<u32>,
    /// The face of each portrait, in the order of seeds; nothing where none was found.
    pub faces: Vec<Option<Embedding>>,
}

impl NamePortraits {
    /// The faces that were found.
    pub fn found(&self) -> impl Iterator<Item = &Embedding> {
        self.faces.iter().flatten()
    }

    /// The share of portraits with a face, 0..=1; 0 where there are no portraits.
    pub fn face_rate(&self) -> f32 {
        self.found().count() as f32 / self.faces.len().max(1) as f32
    }

    /// The middle of the faces.
    pub fn centroid(&self) -> Option<Embedding> {
        Embedding::mean(self.found())
    }

    /// The mean cosine between two of the faces; `None` where there are fewer than two.
    pub fn cohesion(&self) -> Option<f32> {
        let faces: Vec<&Embedding> = self.found().collect();
        let cosines: Vec<f32> = faces
            .iter()
            .enumerate()
            .flat_map(|(index, one)| faces.iter().skip(index + 1).map(|other| one.cosine(other)))
            .collect();
        (!cosines.is_empty()).then(|| cosines.iter().sum::<f32>() / cosines.len() as f32)
    }

    /// The middle of every other found face: of the first, third, ..., and of the rest.
    pub(super) fn halves(&self) -> Option<[Embedding; 2]> {
        let half = |first: usize| Embedding::mean(self.found().skip(first).step_by(2));
        Some([half(0)?, half(1)?])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Portraits whose faces look so many degrees around a circle; `None` has no face.
    pub(in crate::bank) fn portraits(name: &str, degrees: &[Option<f32>]) -> NamePortraits {
        let face = |degrees: f32| Embedding::of(&[degrees.to_radians().cos(), degrees.to_radians().sin()]);
        let faces = degrees.iter().map(|degrees| degrees.and_then(face)).collect();
        NamePortraits { name: name.to_owned(), token_ids: vec![1, 2], faces }
    }

    #[test]
    fn figures_are_those_of_the_faces_found() {
        let seen = portraits("ann lee", &[Some(0.0), Some(60.0), None, Some(0.0)]);
        assert_eq!(seen.face_rate(), 0.75);
        // 0 and 60, 0 and 0, 60 and 0 degrees: (0.5 + 1 + 0.5) / 3.
        assert!((seen.cohesion().unwrap() - 2.0 / 3.0).abs() < 1e-6);
        // The sum of the faces is (2.5, 0.866): 19.1 degrees.
        let centroid = seen.centroid().unwrap();
        assert!((centroid.values()[1].atan2(centroid.values()[0]).to_degrees() - 19.107).abs() < 1e-2);
        let [first, second] = seen.halves().unwrap();
        assert!((first.values()[0] - 1.0).abs() < 1e-6, "faces 1 and 3: {first:?}");
        assert!((second.values()[0] - 0.5).abs() < 1e-6, "face 2: {second:?}");
    }

    #[test]
    fn one_face_or_none_has_no_cohesion() {
        for degrees in [&[][..], &[None, None], &[None, Some(3.0)]] {
            let seen = portraits("x", degrees);
            assert_eq!((seen.cohesion(), seen.halves()), (None, None), "{degrees:?}");
        }
        assert_eq!(portraits("x", &[]).face_rate(), 0.0);
        assert_eq!(portraits("x", &[None]).centroid(), None);
    }
}
