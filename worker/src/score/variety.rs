//! Variety: whether pictures of one prompt differ, and whether they are copies of the photos.

use likeness_faces::recognise::Embedding;

use super::identity::{cosine, different_pairs};
use super::mean;

/// One less the mean cosine between different pictures of one prompt: 0 where all are one picture. Over the prompts, which count alike
/// however many pictures they have; `None` where none has two.
pub fn diversity<'a>(pictures_of_prompts: impl IntoIterator<Item = &'a [Embedding]>) -> Option<f64> {
    let alike = pictures_of_prompts.into_iter().filter_map(|pictures| mean(different_pairs(pictures)));
    mean(alike).map(|alike| 1.0 - alike)
}

/// The photo that a picture is most like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Which photo.
    pub photo: usize,
    /// The cosine to it: near 1 the picture is a copy.
    pub copy: f64,
}

/// Of each picture the nearest of the photos that the person was learned from, the first of equals; nothing without photos.
///
/// Of whole pictures it says whether one was copied, of faces whether one face was.
pub fn nearest_photos(pictures: &[Embedding], photos: &[Embedding]) -> Vec<Nearest> {
    let nearest = |picture| {
        let cosines = photos.iter().map(|photo| cosine(picture, photo)).enumerate();
        let best = cosines.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(photo, copy)| Nearest { photo, copy })
    };
    pictures.iter().filter_map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{direction, near};

    #[test]
    fn diversity_is_within_a_prompt_not_between_prompts() {
        let (right, up, between) = (direction(1.0, 0.0), direction(0.0, 1.0), direction(3.0, 4.0));
        // Pairs 0, 0.6 and 0.8 in the first prompt, 1 in the second; the third has no pair.
        let first = [right.clone(), up.clone(), between];
        let second = [right.clone(), right];
        near(diversity([&first[..], &second, &first[..1]]), 1.0 - (1.4 / 3.0 + 1.0) / 2.0);
        assert_eq!(diversity([&first[..1]]), None);
        let same = [up.clone(), up];
        near(diversity([&same[..]]), 0.0);
    }

    #[test]
    fn the_nearest_photo_is_named() {
        let photos = [direction(0.0, 1.0), direction(1.0, 0.0), direction(1.0, 0.0)];
        let nearest = nearest_photos(&[direction(4.0, 3.0), direction(-3.0, 4.0)], &photos);
        assert_eq!(nearest.iter().map(|nearest| nearest.photo).collect::<Vec<_>>(), [1, 0]);
        near(nearest[0].copy, 0.8);
        near(nearest[1].copy, 0.8);
        assert_eq!(nearest_photos(&photos, &[]), []);
    }
}
