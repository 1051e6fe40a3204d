//! Likeness: drawn faces against photos of the person.

use likeness_faces::recognise::Embedding;
use serde::{Deserialize, Serialize};

use super::mean;

/// How alike drawn pictures and photos are. Cosines of one recogniser: those of another mean something else, which is what ceiling and
/// floor are for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Mean cosine over all pairs of a drawn picture and a photo; a picture without a face counts 0.
    pub id: f64,
    /// Share of the drawn pictures in which a face was found.
    pub face_rate: f64,
    /// As `id`, over the pictures with a face alone.
    pub id_where_found: Option<f64>,
    /// Mean cosine between different photos of the person: what `id` can reach.
    pub ceiling: Option<f64>,
    /// Mean cosine between photos of the person and of others: what nobody in particular reaches.
    pub floor: Option<f64>,
}

impl Identity {
    /// Of the faces of drawn pictures, against `photos` of the person and photos of `others`. `None` without pictures or photos.
    ///
    /// Against photos that the person was not learned from, give those as `photos`.
    pub fn of(faces: &[Option<Embedding>], photos: &[Embedding], others: &[Embedding]) -> Option<Self> {
        let found: Vec<f64> =
            faces.iter().flatten().filter_map(|face| to_photos(Some(face), photos)).collect();
        Some(Self {
            id: mean(faces.iter().filter_map(|face| to_photos(face.as_ref(), photos)))?,
            face_rate: found.len() as f64 / faces.len() as f64,
            id_where_found: mean(found),
            ceiling: mean(different_pairs(photos)),
            floor: mean(photos.iter().flat_map(|photo| others.iter().map(|other| cosine(photo, other)))),
        })
    }

    /// `id` on a scale of 0 at the floor to 1 at the ceiling, which can be compared between recognisers. `None` where either is not
    /// known, or the photos are no more like each other than like others.
    pub fn normalised(&self) -> Option<f64> {
        let (ceiling, floor) = (self.ceiling?, self.floor?);
        (ceiling > floor).then(|| (self.id - floor) / (ceiling - floor))
    }
}

/// The `id` of one picture: mean cosine of its face to the photos, 0 without a face. `None` without photos.
pub fn to_photos(face: Option<&Embedding>, photos: &[Embedding]) -> Option<f64> {
    mean(photos.iter().map(|photo| face.map_or(0.0, |face| cosine(face, photo))))
}

/// Cosines of all pairs of two of these.
pub(super) fn different_pairs(directions: &[Embedding]) -> impl Iterator<Item = f64> {
    directions
        .iter()
        .enumerate()
        .flat_map(|(index, one)| directions.iter().skip(index + 1).map(move |other| cosine(one, other)))
}

pub(super) fn cosine(one: &Embedding, other: &Embedding) -> f64 {
    f64::from(one.cosine(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{direction, near};

    /// Photos at (1, 0) and (0.6, 0.8): 0.6 to each other. Drawn: (0, 1), 0 and 0.8 to them; no face; (1, 0), 1 and 0.6 to them.
    #[test]
    fn a_picture_without_a_face_counts_nothing_but_counts() {
        let photos = [direction(1.0, 0.0), direction(3.0, 4.0)];
        let faces = [Some(direction(0.0, 1.0)), None, Some(direction(1.0, 0.0))];
        // (0, 1) has 0 and 0.8 to others in the same order: (1, 0) 0, (3, 4) 0.8; (-1, 0): -1 and -0.6.
        let others = [direction(0.0, 1.0), direction(-1.0, 0.0)];
        let identity = Identity::of(&faces, &photos, &others).unwrap();
        near(identity.id, (0.0 + 0.8 + 0.0 + 0.0 + 1.0 + 0.6) / 6.0);
        near(identity.face_rate, 2.0 / 3.0);
        near(identity.id_where_found, (0.0 + 0.8 + 1.0 + 0.6) / 4.0);
        near(identity.ceiling, 0.6);
        near(identity.floor, (0.0 - 1.0 + 0.8 - 0.6) / 4.0);
        near(identity.normalised(), (0.4 + 0.2) / (0.6 + 0.2));
        near(to_photos(faces[0].as_ref(), &photos), 0.4);
    }

    #[test]
    fn what_nothing_tells_is_not_a_number() {
        let photo = [direction(1.0, 0.0)];
        assert_eq!(Identity::of(&[], &photo, &[]), None);
        assert_eq!(Identity::of(&[None], &[], &[]), None);
        let unseen = Identity::of(&[None, None], &photo, &[]).unwrap();
        let nothing = Identity { id: 0.0, face_rate: 0.0, id_where_found: None, ceiling: None, floor: None };
        assert_eq!((unseen.normalised(), unseen), (None, nothing));
        let unlike = Identity { ceiling: Some(0.1), floor: Some(0.1), ..unseen_with(0.1) };
        assert_eq!(unlike.normalised(), None);
    }

    fn unseen_with(id: f64) -> Identity {
        Identity { id, face_rate: 1.0, id_where_found: Some(id), ceiling: None, floor: None }
    }
}
