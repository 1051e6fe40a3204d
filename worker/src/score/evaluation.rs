//! All scores of one person's pictures, from what networks saw.

use likeness_faces::recognise::Embedding;
use serde::{Deserialize, Serialize};

use super::evaluator::Seen;
use super::identity::to_photos;
use super::{Aggregate, Identity, Nearest, diversity, fit, mean, nearest_photos};

/// What pictures are held against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Against<'a> {
    /// Photos that the person was learned from.
    pub photos: &'a [Seen],
    /// Photos of the person that were kept from the training.
    pub held_out: &'a [Seen],
    /// Photos of other people.
    pub others: &'a [Seen],
    /// The prompts' directions; empty = there is no CLIP model.
    pub prompts: &'a [Embedding],
}

/// A drawn picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Which prompt.
    pub prompt: usize,
    /// What was seen in it.
    pub seen: Seen,
}

/// How well a person is drawn. Cosines throughout; what there is nothing to go by for is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Against the photos that the person was learned from.
    pub identity: Identity,
    /// Against photos kept from the training.
    pub held_out: Option<Identity>,
    /// Mean cosine of picture and prompt.
    pub clip: Option<f64>,
    /// Likeness and fit in one figure.
    pub aggregate: Option<Aggregate>,
    /// How unlike pictures of one prompt are.
    pub diversity: Option<f64>,
    /// Mean cosine, over the pictures, to the nearest photo learned from, as whole pictures.
    pub copy: Option<f64>,
    /// The greatest of these: near 1 a photo was copied.
    pub nearest_copy: Option<f64>,
    /// Each picture.
    pub pictures: Vec<PictureScore>,
}

/// One picture's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureScore {
    /// Which prompt.
    pub prompt: usize,
    /// Whether it shows a face.
    pub face: bool,
    /// Mean cosine to the photos learned from, 0 without a face.
    pub id: f64,
    /// Cosine to the prompt.
    pub clip: Option<f64>,
}

impl Evaluation {
    /// Of these pictures; `None` where there is none, or no photo with a face to hold them against.
    pub fn of(drawn: &[Drawn], against: Against<'_>) -> Option<Self> {
        let faces: Vec<Option<Embedding>> = drawn.iter().map(|drawn| drawn.seen.face.clone()).collect();
        let (photos, others) = (faces_of(against.photos), faces_of(against.others));
        let identity = Identity::of(&faces, &photos, &others)?;
        let pictures: Vec<PictureScore> = drawn
            .iter()
            .map(|Drawn { prompt, seen }| PictureScore {
                prompt: *prompt,
                face: seen.face.is_some(),
                id: to_photos(seen.face.as_ref(), &photos).unwrap_or_default(),
                clip: seen
                    .whole
                    .as_ref()
                    .zip(against.prompts.get(*prompt))
                    .and_then(|pair| fit([pair]).pop()),
            })
            .collect();
        let pairs: Option<Vec<(f64, f64)>> =
            pictures.iter().map(|picture| Some((picture.clip?, picture.id))).collect();
        let wholes: Vec<Embedding> = drawn.iter().filter_map(|drawn| drawn.seen.whole.clone()).collect();
        let learned: Vec<Embedding> = against.photos.iter().filter_map(|photo| photo.whole.clone()).collect();
        let copies: Vec<f64> =
            nearest_photos(&wholes, &learned).iter().map(|Nearest { copy, .. }| *copy).collect();
        Some(Self {
            held_out: Identity::of(&faces, &faces_of(against.held_out), &others),
            clip: pairs.as_ref().and_then(|pairs| mean(pairs.iter().map(|(clip, _)| *clip))),
            aggregate: pairs.as_deref().and_then(Aggregate::of),
            diversity: diversity(by_prompt(drawn).iter().map(Vec::as_slice)),
            copy: mean(copies.iter().copied()),
            nearest_copy: copies.into_iter().reduce(f64::max),
            identity,
            pictures,
        })
    }
}

fn faces_of(seen: &[Seen]) -> Vec<Embedding> {
    seen.iter().filter_map(|seen| seen.face.clone()).collect()
}

/// The whole pictures of each prompt.
fn by_prompt(drawn: &[Drawn]) -> Vec<Vec<Embedding>> {
    let prompts = drawn.iter().map(|drawn| drawn.prompt + 1).max().unwrap_or_default();
    let mut grouped = vec![Vec::new(); prompts];
    for Drawn { prompt, seen } in drawn {
        if let (Some(group), Some(whole)) = (grouped.get_mut(*prompt), &seen.whole) {
            group.push(whole.clone());
        }
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{direction, near};

    fn seen(face: Option<(f32, f32)>, whole: (f32, f32)) -> Seen {
        Seen { face: face.map(|(x, y)| direction(x, y)), whole: Some(direction(whole.0, whole.1)) }
    }

    #[test]
    fn pictures_are_held_against_photos_prompts_and_each_other() {
        let photos = [seen(Some((1.0, 0.0)), (1.0, 0.0)), seen(None, (0.0, 1.0))];
        let held_out = [seen(Some((3.0, 4.0)), (1.0, 0.0))];
        let prompts = [direction(1.0, 0.0), direction(0.0, 1.0)];
        let drawn = [
            Drawn { prompt: 0, seen: seen(Some((3.0, 4.0)), (1.0, 0.0)) },
            Drawn { prompt: 0, seen: seen(None, (3.0, 4.0)) },
            Drawn { prompt: 1, seen: seen(Some((1.0, 0.0)), (4.0, 3.0)) },
        ];
        let against = Against { photos: &photos, held_out: &held_out, others: &[], prompts: &prompts };
        let found = Evaluation::of(&drawn, against).unwrap();
        near(found.identity.id, (0.6 + 0.0 + 1.0) / 3.0);
        near(found.held_out.unwrap().id, (1.0 + 0.0 + 0.6) / 3.0);
        near(found.clip, (1.0 + 0.6 + 0.6) / 3.0);
        near(found.aggregate.unwrap().mean_of_products, (2.0 * 1.6 + 1.6 * 1.0 + 1.6 * 2.0) / 3.0);
        near(found.diversity, 0.4);
        near(found.copy, (1.0 + 0.8 + 0.8) / 3.0);
        near(found.nearest_copy, 1.0);
        assert_eq!(
            found.pictures[1],
            PictureScore { prompt: 0, face: false, id: 0.0, clip: Some(0.6f32.into()) }
        );
    }

    #[test]
    fn without_clip_there_is_likeness_alone() {
        let face = |x, y| Seen { face: Some(direction(x, y)), whole: None };
        let photos = [face(1.0, 0.0), face(3.0, 4.0)];
        let drawn = [Drawn { prompt: 0, seen: face(1.0, 0.0) }];
        let against = Against { photos: &photos, ..Against::default() };
        let found = Evaluation::of(&drawn, against).unwrap();
        near(found.identity.id, 0.8);
        near(found.identity.ceiling, 0.6);
        assert_eq!((found.clip, found.diversity, found.copy), (None, None, None));
        assert!(found.aggregate.is_none() && found.held_out.is_none());
        assert!(Evaluation::of(&drawn, Against::default()).is_none(), "nobody to be like");
    }
}
