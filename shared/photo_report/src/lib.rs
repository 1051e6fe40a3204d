//! A checked set of photos in the words of the protocol, for whoever sent them.
//!
//! Photos are judged in three places: by a coordinator before a task is submitted, by the worker that learns from them, and by the command
//! line on files. All three say it with this. It is a crate of its own so that the networks for faces know no protocol and what everybody
//! shares knows no networks (`docs/decisions/0019-photos-are-judged-where-they-arrive.md`).

use likeness_faces::check::{CheckedPhoto, CheckedSet, FaceFacts};
use likeness_faces::intake::PhotoRefused;
use likeness_shared::proto::{PhotoAdvice, PhotoFace, PhotoFacts, PhotoRefusal, PhotoReport, PhotoVerdict};

/// Every photo with what was measured of it. `digests` are the photos' artifacts, in the order of the set.
#[must_use]
pub fn photo_report(set: &CheckedSet, digests: &[String]) -> PhotoReport {
    let digests = digests.iter().cloned().chain(std::iter::repeat(String::new()));
    let verdicts = (0u32..).zip(&set.photos).zip(digests).map(|((index, photo), artifact_digest)| {
        let refusals = photo.refusals.iter().map(refusal).collect();
        PhotoVerdict { index, artifact_digest, refusals, facts: facts(photo) }
    });
    let advice = set.advice.iter().map(|advice| PhotoAdvice {
        code: advice.code.as_str().to_owned(),
        sentence: advice.sentence.clone(),
    });
    let count = |photos: usize| u32::try_from(photos).unwrap_or(u32::MAX);
    PhotoReport {
        given: count(set.photos.len()),
        used: count(set.photos.iter().filter(|photo| photo.is_usable()).count()),
        photos: verdicts.collect(),
        advice: advice.collect(),
        refused: set.refused.as_ref().map(refusal),
    }
}

/// What of it goes with a task: the photos that are not learned from, without figures.
#[must_use]
pub fn of_task(report: PhotoReport) -> PhotoReport {
    let mut report = report;
    report.photos.retain(|photo| !photo.refusals.is_empty());
    report.photos.iter_mut().for_each(|photo| photo.facts = None);
    report
}

fn refusal(refused: &PhotoRefused) -> PhotoRefusal {
    PhotoRefusal {
        code: refused.code.as_str().to_owned(),
        sentence: refused.sentence.clone(),
        hint: refused.hint.clone(),
    }
}

fn facts(photo: &CheckedPhoto) -> Option<PhotoFacts> {
    let (width, height) = photo.sides?;
    Some(PhotoFacts {
        width,
        height,
        faces: u32::try_from(photo.faces).unwrap_or(u32::MAX),
        face: photo.facts.as_ref().map(|facts| face(facts, photo)),
        likeness: photo.likeness,
    })
}

fn face(facts: &FaceFacts, photo: &CheckedPhoto) -> PhotoFace {
    let bounds = facts.face.bounds;
    let square = photo.portrait.as_ref().map(|portrait| portrait.square);
    PhotoFace {
        left: bounds.left,
        top: bounds.top,
        width: bounds.width,
        height: bounds.height,
        score: facts.face.score,
        sharpness: facts.sharpness,
        brightness: facts.light.middle,
        yaw: facts.pose.yaw,
        pitch: facts.pose.pitch,
        roll: facts.pose.roll,
        portrait_left: square.map_or(0, |square| square.left),
        portrait_top: square.map_or(0, |square| square.top),
        portrait_side: square.map_or(0, |square| square.side),
    }
}

#[cfg(test)]
mod tests {
    use likeness_faces::check::CheckLimits;
    use likeness_faces::intake::RefusalCode;

    use super::*;

    #[test]
    fn a_task_hears_of_what_it_does_not_learn_from() {
        let (mut dark, mut good) = (CheckedPhoto::default(), CheckedPhoto::default());
        (dark.sides, good.sides) = (Some((40, 30)), Some((20, 30)));
        dark.refusals = vec![PhotoRefused {
            code: RefusalCode::TooDark,
            sentence: "it is dark".to_owned(),
            hint: "switch the light on".to_owned(),
            index: None,
        }];
        let limits = CheckLimits { min_photos: 2, ..CheckLimits::default() };
        let set = CheckedSet::of(vec![good, dark], &limits);
        let report = photo_report(&set, &["aa".to_owned(), "bb".to_owned()]);
        assert_eq!((report.given, report.used, report.photos.len()), (2, 1, 2));
        assert_eq!(report.photos[1].facts.as_ref().map(|facts| facts.width), Some(40));
        assert_eq!(report.refused.as_ref().map(|refused| refused.code.as_str()), Some("too_few"));
        let report = of_task(report);
        let [photo] = report.photos.as_slice() else { panic!("{report:?}") };
        assert_eq!((photo.index, photo.artifact_digest.as_str(), &photo.facts), (1, "bb", &None));
        let [refusal] = photo.refusals.as_slice() else { panic!("{photo:?}") };
        assert_eq!((refusal.code.as_str(), refusal.hint.as_str()), ("too_dark", "switch the light on"));
    }
}
