//! What a check of photos says, as a table or JSON.

use std::path::{Path, PathBuf};

use likeness_shared::proto::{PhotoFace, PhotoReport, PhotoVerdict};
use serde::Serialize;

use crate::output::Voice;
use crate::views::{AdviceView, RefusalView};

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
    faces: u32,
    /// `null` where no face is the person's.
    face: Option<FaceView>,
    /// Cosine to the photo that is most like all others.
    likeness: Option<f32>,
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

impl From<&PhotoFace> for FaceView {
    fn from(face: &PhotoFace) -> Self {
        let portrait = [face.portrait_left, face.portrait_top, face.portrait_side];
        Self {
            left: face.left,
            top: face.top,
            width: face.width,
            height: face.height,
            score: face.score,
            sharpness: face.sharpness,
            brightness: face.brightness,
            yaw: face.yaw,
            pitch: face.pitch,
            roll: face.roll,
            portrait: (face.portrait_side > 0).then_some(portrait),
        }
    }
}

impl PhotoView {
    fn new(path: &Path, photo: &PhotoVerdict) -> Self {
        let facts = photo.facts.as_ref();
        Self {
            photo: path.display().to_string(),
            usable: photo.refusals.is_empty(),
            refusals: photo.refusals.iter().map(RefusalView::from).collect(),
            width: facts.map(|facts| facts.width),
            height: facts.map(|facts| facts.height),
            faces: facts.map_or(0, |facts| facts.faces),
            face: facts.and_then(|facts| facts.face.as_ref()).map(FaceView::from),
            likeness: facts.and_then(|facts| facts.likeness),
        }
    }

    /// A line of figures with the main reason, and one for each further reason.
    fn rows(&self) -> Vec<Vec<String>> {
        let face = self.face.as_ref();
        let figure = |of: fn(&FaceView) -> String| face.map(of).unwrap_or_default();
        let remark = |refusal: &RefusalView| format!("{}; {}", refusal.sentence, refusal.hint);
        let (verdict, first) = match self.refusals.first() {
            Some(refusal) => (refusal.code.as_str(), remark(refusal)),
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
                (*verdict, *why) = (refusal.code.clone(), remark(refusal));
            }
            rows.push(row);
        }
        rows
    }
}

impl Report {
    pub(crate) fn new(paths: &[PathBuf], report: PhotoReport) -> Self {
        let photos = paths.iter().zip(&report.photos).map(|(path, photo)| PhotoView::new(path, photo));
        Self {
            usable: report.refused.is_none(),
            photos: photos.collect(),
            refused: report.refused.as_ref().map(RefusalView::from),
            advice: report.advice.iter().map(AdviceView::from).collect(),
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
    use likeness_shared::proto::{PhotoFacts, PhotoRefusal};

    use super::*;

    #[test]
    fn every_reason_has_a_line_and_the_first_has_the_figures() {
        let refusal = |code: &str, sentence: &str| PhotoRefusal {
            code: code.to_owned(),
            sentence: sentence.to_owned(),
            hint: "send another".to_owned(),
        };
        let photo = PhotoVerdict {
            refusals: vec![refusal("too_dark", "it is dark"), refusal("blurry", "it is soft")],
            facts: Some(PhotoFacts { width: 40, height: 30, ..PhotoFacts::default() }),
            ..PhotoVerdict::default()
        };
        let refused = Some(refusal("too_few", "0 usable photos are too few"));
        let report = PhotoReport { given: 1, photos: vec![photo], refused, ..PhotoReport::default() };
        let report = Report::new(&[PathBuf::from("a.jpg")], report);
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
