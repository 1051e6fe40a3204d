//! What would make a set better. Nothing here is a reason to refuse.

use super::limits::CheckLimits;
use super::photo::{CheckedPhoto, FaceFacts};
use crate::portrait::Portrait;

/// Poses closer together than this, in degrees, are one pose.
const POSE_SPREAD: f32 = 12.0;
/// Brightness closer together than this is one light, ...
const BRIGHTNESS_SPREAD: f32 = 12.0;
/// ... if it also comes from one side.
const SIDE_SPREAD: f32 = 0.05;
/// A mean cosine above this comes from one occasion: same day, same hair, same camera.
const ONE_OCCASION: f32 = 0.9;

/// The kind of a remark on a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdviceCode {
    /// More photos would help.
    MorePhotos,
    /// Fewer would do.
    FewerPhotos,
    /// The face always looks the same way.
    SamePose,
    /// The light is always the same.
    SameLight,
    /// All photos are very much alike.
    Alike,
    /// Some heads have fewer pixels than the model sees.
    SmallFaces,
}

impl AdviceCode {
    /// The code as it is sent and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MorePhotos => "more_photos",
            Self::FewerPhotos => "fewer_photos",
            Self::SamePose => "same_pose",
            Self::SameLight => "same_light",
            Self::Alike => "alike",
            Self::SmallFaces => "small_faces",
        }
    }
}

/// A remark on a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The kind.
    pub code: AdviceCode,
    /// What is the matter, and what would be better.
    pub sentence: String,
}

pub(super) fn advice(photos: &[CheckedPhoto], limits: &CheckLimits) -> Vec<Advice> {
    let usable: Vec<&CheckedPhoto> = photos.iter().filter(|photo| photo.is_usable()).collect();
    let mut advice = Vec::new();
    let mut say = |code: AdviceCode, sentence: String| advice.push(Advice { code, sentence });
    let (few, many, count) = (limits.few_photos, limits.many_photos, usable.len());
    if count >= limits.min_photos && count < few {
        say(
            AdviceCode::MorePhotos,
            format!("{count} photos are enough to begin with; {few} to {many} give a better likeness"),
        );
    }
    if count > many {
        say(
            AdviceCode::FewerPhotos,
            format!("{few} to {many} photos are enough; of {count} the best would do"),
        );
    }
    if count < 2 {
        return advice;
    }
    let facts: Vec<&FaceFacts> = usable.iter().filter_map(|photo| photo.facts.as_ref()).collect();
    let spread = |of: fn(&FaceFacts) -> f32| spread(facts.iter().map(|facts| of(facts)));
    if spread(|facts| facts.pose.yaw) < POSE_SPREAD && spread(|facts| facts.pose.pitch) < POSE_SPREAD {
        let sentence = "the face looks the same way in all photos: add some that are turned a little to the left and to the right";
        say(AdviceCode::SamePose, sentence.to_owned());
    }
    if spread(|facts| facts.light.middle) < BRIGHTNESS_SPREAD
        && spread(|facts| facts.light.from_right) < SIDE_SPREAD
    {
        let sentence = "the light is the same in all photos: add some from other places and times of day";
        say(AdviceCode::SameLight, sentence.to_owned());
    }
    if mean_cosine(&usable).is_some_and(|cosine| cosine > ONE_OCCASION) {
        let sentence =
            "the photos are very much alike: add some from other days, with other clothes and expressions";
        say(AdviceCode::Alike, sentence.to_owned());
    }
    let small =
        usable.iter().filter(|photo| photo.portrait.as_ref().is_some_and(Portrait::is_enlarged)).count();
    if small > 0 {
        let side = limits.portrait_side;
        let sentence = format!(
            "in {small} of {count} photos the head has fewer than the {side} x {side} pixels that the model sees: larger ones give finer detail"
        );
        say(AdviceCode::SmallFaces, sentence);
    }
    advice
}

fn spread(values: impl Iterator<Item = f32> + Clone) -> f32 {
    values.clone().fold(f32::NEG_INFINITY, f32::max) - values.fold(f32::INFINITY, f32::min)
}

/// Over all pairs; `None` where there is none.
fn mean_cosine(photos: &[&CheckedPhoto]) -> Option<f32> {
    let embeddings: Vec<_> = photos.iter().filter_map(|photo| photo.embedding.as_ref()).collect();
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (index, one) in embeddings.iter().enumerate() {
        for other in embeddings.iter().skip(index + 1) {
            sum += one.cosine(other);
            pairs += 1.0;
        }
    }
    (pairs > 0.0).then(|| sum / pairs)
}

#[cfg(test)]
mod tests {
    use super::super::light::Light;
    use super::super::pose::Pose;
    use super::*;
    use crate::face::{Bounds, Face, FivePoints, Point};
    use crate::recognise::Embedding;

    /// A usable photo with this yaw and brightness, of a person in this direction.
    fn photo(yaw: f32, middle: f32, direction: [f32; 2]) -> CheckedPhoto {
        let face = Face {
            bounds: Bounds::default(),
            points: FivePoints::from_array([Point::default(); 5]),
            score: 1.0,
        };
        let light = Light { middle, ..Light::default() };
        let pose = Pose { yaw, ..Pose::default() };
        CheckedPhoto {
            facts: Some(FaceFacts { face, sharpness: 0.5, light, pose }),
            embedding: Embedding::of(&direction),
            ..CheckedPhoto::default()
        }
    }

    fn codes(photos: &[CheckedPhoto]) -> Vec<&'static str> {
        advice(photos, &CheckLimits::default()).iter().map(|advice| advice.code.as_str()).collect()
    }

    #[test]
    fn a_varied_set_of_the_right_size_is_left_alone() {
        let varied = |index: u8| {
            let by = f32::from(index);
            photo(by * 9.0 - 25.0, 80.0 + by * 9.0, [1.0, by * 0.4])
        };
        assert_eq!(codes(&(0..7).map(varied).collect::<Vec<_>>()), [""; 0]);
    }

    #[test]
    fn what_is_always_the_same_is_remarked_on() {
        let same = photo(3.0, 100.0, [1.0, 0.0]);
        assert_eq!(codes(&vec![same.clone(); 7]), ["same_pose", "same_light", "alike"]);
        assert_eq!(codes(&vec![same.clone(); 13])[0], "fewer_photos");
        assert_eq!(codes(&vec![same.clone(); 4])[0], "more_photos");
        assert_eq!(codes(&[same]), [""; 0], "one photo says nothing about a set");
        assert_eq!(codes(&[]), [""; 0]);
    }
}
