//! All photos of one person: is it one person, is every photo another picture, are there enough?

use super::advice::{Advice, advice};
use super::limits::CheckLimits;
use super::photo::CheckedPhoto;
use super::words;
use crate::intake::PhotoRefused;
use crate::recognise::Embedding;

/// Photos after they were looked at together.
#[derive(Clone, Debug)]
pub struct CheckedSet {
    /// In the order in which they came; refusals of the set have joined those of the photo.
    pub photos: Vec<CheckedPhoto>,
    /// Why the set as a whole cannot be learned from: too few of its photos can.
    pub refused: Option<PhotoRefused>,
    /// What would make it better. Never a reason to refuse.
    pub advice: Vec<Advice>,
    /// The photo that is most like all others, by its place in `photos`; `None` where no photo is usable.
    pub middle: Option<usize>,
}

impl CheckedSet {
    /// Looks at photos as those of one person.
    ///
    /// First a photo that shows what an earlier one shows is refused, so that no picture counts twice; then whoever is not the person in the
    /// photo that is most like all others (the medoid: unlike a mean, it is not moved by strangers).
    pub fn of(mut photos: Vec<CheckedPhoto>, limits: &CheckLimits) -> Self {
        refuse_duplicates(&mut photos, limits);
        let middle = medoid(&photos);
        refuse_strangers(&mut photos, middle, limits);
        for (index, photo) in photos.iter_mut().enumerate() {
            photo.refusals.iter_mut().for_each(|refusal| refusal.index = Some(index));
        }
        let usable = photos.iter().filter(|photo| photo.is_usable()).count();
        let refused = (usable < limits.min_photos).then(|| PhotoRefused::too_few(usable, limits.min_photos));
        let advice = advice(&photos, limits);
        Self { photos, refused, advice, middle }
    }

    /// Whether the person can be learned from its usable photos.
    pub fn is_usable(&self) -> bool {
        self.refused.is_none()
    }

    /// Every refusal, in the order of the photos; that of the set comes last.
    pub fn refusals(&self) -> impl Iterator<Item = &PhotoRefused> {
        self.photos.iter().flat_map(|photo| &photo.refusals).chain(&self.refused)
    }

    /// Who the person is: the mean of the usable photos. `None` where there are none.
    pub fn identity(&self) -> Option<Embedding> {
        Embedding::mean(usable(&self.photos).map(|(_, embedding)| embedding))
    }
}

/// Usable photos with their places.
fn usable(photos: &[CheckedPhoto]) -> impl Iterator<Item = (usize, &Embedding)> {
    let with_place = photos.iter().enumerate().filter(|(_, photo)| photo.is_usable());
    with_place.filter_map(|(index, photo)| Some((index, photo.embedding.as_ref()?)))
}

fn refuse_duplicates(photos: &mut [CheckedPhoto], limits: &CheckLimits) {
    for index in 1..photos.len() {
        let (earlier, rest) = photos.split_at_mut(index);
        let Some(photo) = rest.first_mut().filter(|photo| photo.is_usable()) else { continue };
        let of_first = earlier.iter().enumerate().find_map(|(first, other)| {
            let is_exact = other.digest == photo.digest;
            (other.is_usable() && (is_exact || is_one_picture(photo, other, limits)))
                .then_some((first, is_exact))
        });
        if let Some((first, is_exact)) = of_first {
            photo.refusals.push(words::duplicate(first, is_exact));
        }
    }
}

fn is_one_picture(photo: &CheckedPhoto, other: &CheckedPhoto, limits: &CheckLimits) -> bool {
    let likeness = photo.embedding.as_ref().zip(other.embedding.as_ref()).map(|(a, b)| a.cosine(b));
    let correlation = photo.thumbprint.as_ref().zip(other.thumbprint.as_ref()).map(|(a, b)| a.likeness(b));
    likeness >= Some(limits.duplicate_likeness) && correlation >= Some(limits.duplicate_correlation)
}

/// The usable photo with the largest sum of cosines to the others; of equal ones the first.
fn medoid(photos: &[CheckedPhoto]) -> Option<usize> {
    let sum = |one: &Embedding| usable(photos).map(|(_, other)| one.cosine(other)).sum::<f32>();
    let sums = usable(photos).map(|(index, embedding)| (index, sum(embedding)));
    sums.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(index, _)| index)
}

fn refuse_strangers(photos: &mut [CheckedPhoto], middle: Option<usize>, limits: &CheckLimits) {
    let Some(middle) = middle else { return };
    let Some(centre) = photos.get(middle).and_then(|photo| photo.embedding.clone()) else { return };
    for photo in photos.iter_mut() {
        let Some(embedding) = &photo.embedding else { continue };
        let likeness = embedding.cosine(&centre);
        photo.likeness = Some(likeness);
        if photo.is_usable() && likeness < limits.min_likeness {
            photo.refusals.push(words::different_person(likeness, middle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::thumbprint::Thumbprint;
    use super::*;
    use crate::intake::{RefusalCode, RgbPixels};

    /// A photo of the person in this direction, whose picture is like others of the same `picture`.
    fn photo(direction: [f32; 3], picture: u8) -> CheckedPhoto {
        let pixel = |index: u32| (index * (u32::from(picture) * 2 + 3) % 251) as u8;
        let pixels = (0..64 * 64).flat_map(|index| [pixel(index / 8); 3]).collect();
        let chip = RgbPixels { width: 64, height: 64, pixels };
        CheckedPhoto {
            embedding: Embedding::of(&direction),
            thumbprint: Some(Thumbprint::of(&chip).unwrap()),
            digest: Some([picture; 32]),
            ..CheckedPhoto::default()
        }
    }

    fn codes(set: &CheckedSet) -> Vec<Option<RefusalCode>> {
        set.photos.iter().map(|photo| photo.refusals.first().map(|refusal| refusal.code)).collect()
    }

    #[test]
    fn a_stranger_is_refused_and_the_person_is_not() {
        let photos = vec![
            photo([0.0, 0.1, 1.0], 1),
            photo([1.0, 0.1, 0.0], 2),
            photo([1.0, 0.2, 0.0], 3),
            photo([1.0, 0.3, 0.0], 4),
        ];
        let set = CheckedSet::of(photos, &CheckLimits::default());
        assert_eq!(codes(&set), [Some(RefusalCode::DifferentPerson), None, None, None]);
        assert_eq!(set.middle, Some(2));
        assert!(set.is_usable() && set.identity().unwrap().values()[0] > 0.9);
        let refusal = &set.photos[0].refusals[0];
        assert!(refusal.sentence.contains("photo 3") && refusal.index == Some(0), "{refusal}");
    }

    #[test]
    fn a_picture_counts_once() {
        let mut copy = photo([1.0, 0.1, 0.0], 1);
        copy.digest = Some([99; 32]);
        let exact = photo([1.0, 0.1, 0.0], 1);
        let same_pose = photo([1.0, 0.1, 0.0], 5);
        let photos = vec![photo([1.0, 0.1, 0.0], 1), copy, exact, same_pose];
        let set = CheckedSet::of(photos, &CheckLimits::default());
        let duplicate = Some(RefusalCode::Duplicate);
        assert_eq!(codes(&set), [None, duplicate, duplicate, None]);
        assert!(set.photos[1].refusals[0].sentence.contains("the same picture as in photo 1"));
        assert!(set.photos[2].refusals[0].sentence.contains("exactly the same as photo 1"));
        let refused = set.refused.as_ref().unwrap();
        assert!(refused.code == RefusalCode::TooFew && refused.sentence.starts_with("2 "), "{refused}");
        assert_eq!(set.refusals().count(), 3);
    }

    #[test]
    fn nothing_at_all_is_too_few() {
        let set = CheckedSet::of(vec![], &CheckLimits::default());
        assert!(!set.is_usable() && set.middle.is_none() && set.identity().is_none());
    }
}
