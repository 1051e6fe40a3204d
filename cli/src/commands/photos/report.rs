//! What a check of photos says, as a table or JSON.

use std::path::PathBuf;

use likeness_faces::check::{CheckedPhoto, CheckedSet, FaceFacts};
use likeness_faces::intake::PhotoRefused;
use serde::Serialize;

use crate::output::Voice;

/// The whole check.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether the person can be learned from the photos that are fine.
    usable: bool,
    photos: Vec<PhotoView>,
    /// Why the set cannot be learned from; `null` where it can.
    refused: Option<RefusalView>,
    advice: Vec<AdviceView>,
}

#[derive(Debug, Serialize)]
struct PhotoView {
    photo: String,
    usable: bool,
    refusals: Vec<RefusalView>,
    /// Pixels of the upright photo; `null` where it could not be read.
    width: Option<u32>,
    height: Option<u32>,
    faces: usize,
    /// `null` where no face is the person's.
    face: Option<FaceView>,
    /// Cosine to the photo that is most like all others.
    likeness: Option<f32>,
}

#[derive(Debug, Serialize)]
struct RefusalView {
    code: &'static str,
    sentence: String,
    hint: String,
}

#[derive(Debug, Serialize)]
struct FaceView {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    score: f32,
    sharpness: f32,
    brightness: f32,
    yaw: f32,
    pitch: f32,
    roll: f32,
    /// The square that the model would learn from: left, top and side.
    portrait: Option<[u32; 3]>,
}

#[derive(Debug, Serialize)]
struct AdviceView {
    code: &'static str,
    sentence: String,
}

impl From<&PhotoRefused> for RefusalView {
    fn from(refused: &PhotoRefused) -> Self {
        Self { code: refused.code.as_str(), sentence: refused.sentence.clone(), hint: refused.hint.clone() }
    }
}

impl FaceView {
    fn new(facts: &FaceFacts, photo: &CheckedPhoto) -> Self {
        let bounds = facts.face.bounds;
        let square = photo.portrait.as_ref().map(|portrait| portrait.square);
        Self {
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
            portrait: square.map(|square| [square.left, square.top, square.side]),
        }
    }
}

impl PhotoView {
    fn new(path: &std::path::Path, photo: &CheckedPhoto) -> Self {
        Self {
            photo: path.display().to_string(),
            usable: photo.is_usable(),
            refusals: photo.refusals.iter().map(RefusalView::from).collect(),
            width: photo.sides.map(|(width, _)| width),
            height: photo.sides.map(|(_, height)| height),
            faces: photo.faces,
            face: photo.facts.as_ref().map(|facts| FaceView::new(facts, photo)),
            likeness: photo.likeness,
        }
    }

    /// A line of figures with the main reason, and one for each further reason.
    fn rows(&self) -> Vec<Vec<String>> {
        let face = self.face.as_ref();
        let figure = |of: fn(&FaceView) -> String| face.map(of).unwrap_or_default();
        let remark = |refusal: &RefusalView| format!("{}; {}", refusal.sentence, refusal.hint);
        let (verdict, first) = match self.refusals.first() {
            Some(refusal) => (refusal.code, remark(refusal)),
            None => ("ok", String::new()),
        };
        let mut rows = vec![vec![
            self.photo.clone(),
            verdict.to_owned(),
            self.width
                .zip(self.height)
                .map(|(width, height)| format!("{width}x{height}"))
                .unwrap_or_default(),
            figure(|face| format!("{:.0}", face.width)),
            figure(|face| format!("{:.2}", face.sharpness)),
            figure(|face| format!("{:.0}", face.brightness)),
            figure(|face| format!("{:.0}", face.yaw)),
            self.likeness.map(|likeness| format!("{likeness:.2}")).unwrap_or_default(),
            first,
        ]];
        for refusal in self.refusals.iter().skip(1) {
            let mut row = vec![String::new(); 9];
            if let [_, verdict, .., why] = row.as_mut_slice() {
                (*verdict, *why) = (refusal.code.to_owned(), remark(refusal));
            }
            rows.push(row);
        }
        rows
    }
}

impl Report {
    pub(crate) fn new(paths: &[PathBuf], set: &CheckedSet) -> Self {
        let photos = paths.iter().zip(&set.photos).map(|(path, photo)| PhotoView::new(path, photo));
        let advice = set
            .advice
            .iter()
            .map(|advice| AdviceView { code: advice.code.as_str(), sentence: advice.sentence.clone() });
        Self {
            usable: set.is_usable(),
            photos: photos.collect(),
            refused: set.refused.as_ref().map(RefusalView::from),
            advice: advice.collect(),
        }
    }

    /// The table or the JSON; about the set as talk.
    pub(crate) fn tell(&self, voice: Voice) -> anyhow::Result<()> {
        voice.rows(
            self,
            &["PHOTO", "VERDICT", "PIXELS", "FACE", "SHARP", "LIGHT", "YAW", "LIKENESS", "WHY"],
            self.photos.iter().flat_map(PhotoView::rows),
        )?;
        let usable = self.photos.iter().filter(|photo| photo.usable).count();
        voice.say(format_args!("{usable} of {} photos can be learned from", self.photos.len()));
        for advice in &self.advice {
            voice.say(format_args!("advice: {}", advice.sentence));
        }
        if let Some(refused) = &self.refused {
            voice.error(format_args!("{} ({}); {}", refused.sentence, refused.code, refused.hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use likeness_faces::check::CheckLimits;
    use likeness_faces::intake::RefusalCode;

    use super::*;

    #[test]
    fn every_reason_has_a_line_and_the_first_has_the_figures() {
        let refusal = |code: RefusalCode, sentence: &str| PhotoRefused {
            code,
            sentence: sentence.to_owned(),
            hint: "send another".to_owned(),
            index: None,
        };
        let mut photo = CheckedPhoto::default();
        photo.sides = Some((40, 30));
        photo.refusals =
            vec![refusal(RefusalCode::TooDark, "it is dark"), refusal(RefusalCode::Blurry, "it is soft")];
        let set = CheckedSet::of(vec![photo], &CheckLimits::default());
        let report = Report::new(&[PathBuf::from("a.jpg")], &set);
        let rows = report.photos[0].rows();
        assert_eq!(rows[0][..3], ["a.jpg", "too_dark", "40x30"]);
        assert_eq!((rows[1][1].as_str(), rows[1][8].as_str()), ("blurry", "it is soft; send another"));
        assert!(rows.iter().all(|row| row.len() == 9));
        assert!(!report.usable && report.refused.as_ref().unwrap().code == "too_few");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["photos"][0]["refusals"][1]["code"], "blurry");
        assert!(json["photos"][0]["face"].is_null());
    }
}
