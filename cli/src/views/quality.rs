//! How well a person is drawn.

use likeness_shared::proto::{IdentityFigures, PictureFigures, PromptFigures, QualityAbsence, QualityReport};
use serde::Serialize;

/// A quality report.
#[derive(Debug, Serialize)]
pub(crate) struct QualityView {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out: Option<IdentityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate_of_means: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_of_products: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diversity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_copy: Option<f64>,
    pictures: u32,
    prompts: Vec<PromptView>,
    detector_digest: String,
    judge_digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    clip_digest: String,
    judged_by_chooser: bool,
}

#[derive(Debug, Serialize)]
struct IdentityView {
    id: f64,
    face_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_where_found: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalised_id: Option<f64>,
    photos: u32,
}

#[derive(Debug, Serialize)]
struct PromptView {
    prompt: String,
    id: f64,
    face_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,
    pictures: Vec<ScoredView>,
}

#[derive(Debug, Serialize)]
struct ScoredView {
    artifact_digest: String,
    seed: u64,
    face: bool,
    id: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,
}

/// Why there is no report.
#[derive(Debug, Serialize)]
pub(crate) struct QualityAbsenceView {
    code: String,
    message: String,
}

impl From<&QualityReport> for QualityView {
    fn from(report: &QualityReport) -> Self {
        Self {
            identity: report.identity.as_ref().map(IdentityView::from),
            held_out: report.held_out.as_ref().map(IdentityView::from),
            clip: report.clip,
            aggregate_of_means: report.aggregate_of_means,
            mean_of_products: report.mean_of_products,
            diversity: report.diversity,
            copy: report.copy,
            nearest_copy: report.nearest_copy,
            pictures: report.pictures,
            prompts: report.prompts.iter().map(PromptView::from).collect(),
            detector_digest: report.detector_digest.clone(),
            judge_digest: report.judge_digest.clone(),
            clip_digest: report.clip_digest.clone(),
            judged_by_chooser: report.judged_by_chooser,
        }
    }
}

impl From<&IdentityFigures> for IdentityView {
    fn from(figures: &IdentityFigures) -> Self {
        let IdentityFigures { id, face_rate, id_where_found, ceiling, floor, normalised_id, photos } =
            *figures;
        Self { id, face_rate, id_where_found, ceiling, floor, normalised_id, photos }
    }
}

impl From<&PromptFigures> for PromptView {
    fn from(figures: &PromptFigures) -> Self {
        Self {
            prompt: figures.prompt.clone(),
            id: figures.id,
            face_rate: figures.face_rate,
            clip: figures.clip,
            pictures: figures.pictures.iter().map(ScoredView::from).collect(),
        }
    }
}

impl From<&PictureFigures> for ScoredView {
    fn from(picture: &PictureFigures) -> Self {
        Self {
            artifact_digest: picture.artifact_digest.clone(),
            seed: picture.seed,
            face: picture.face,
            id: picture.id,
            clip: picture.clip,
        }
    }
}

impl From<&QualityAbsence> for QualityAbsenceView {
    fn from(absence: &QualityAbsence) -> Self {
        Self { code: absence.code.clone(), message: absence.message.clone() }
    }
}

/// Lines for people: likeness first, then fit, variety, and each prompt.
pub(crate) fn facts(report: &QualityReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(identity) = &report.identity {
        facts.push(("quality", likeness(identity, report.pictures)));
    }
    if let Some(held_out) = &report.held_out {
        let photos = held_out.photos;
        facts.push((
            "held out",
            format!("id {:.3} against {photos} photos{}", held_out.id, ceiling(held_out)),
        ));
    }
    let figures = [
        (
            "fit",
            &[
                ("clip", report.clip),
                ("(1 + clip)(1 + id)", report.aggregate_of_means),
                ("by picture", report.mean_of_products),
            ],
        ),
        (
            "variety",
            &[("diversity", report.diversity), ("copy", report.copy), ("nearest", report.nearest_copy)],
        ),
    ];
    for (name, figures) in figures {
        let known = figures.iter().filter_map(|(what, figure)| Some(format!("{what} {:.3}", (*figure)?)));
        facts.push((name, known.collect::<Vec<_>>().join(", ")));
    }
    for prompt in &report.prompts {
        let clip = prompt.clip.map_or_else(String::new, |clip| format!(", clip {clip:.3}"));
        facts.push(("prompt", format!("{:?}: id {:.3}{clip}", prompt.prompt, prompt.id)));
    }
    if report.judged_by_chooser {
        let remark = "the network that chose the photos: too kind; configure faces.judge for another";
        facts.push(("judged by", remark.to_owned()));
    }
    facts
}

fn likeness(identity: &IdentityFigures, pictures: u32) -> String {
    let faces = (identity.face_rate * f64::from(pictures)).round();
    format!("id {:.3}{}, a face in {faces} of {pictures} pictures", identity.id, ceiling(identity))
}

fn ceiling(identity: &IdentityFigures) -> String {
    identity.ceiling.map_or_else(String::new, |ceiling| format!(" (photos among themselves {ceiling:.3})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_said() {
        let identity = IdentityFigures {
            id: 0.5123,
            face_rate: 0.75,
            ceiling: Some(0.7),
            photos: 5,
            ..IdentityFigures::default()
        };
        let mut report = QualityReport { identity: Some(identity), pictures: 8, ..QualityReport::default() };
        let said = |report: &QualityReport| -> Vec<String> {
            let told = facts(report).into_iter().filter(|(_, fact)| !fact.is_empty());
            told.map(|(name, fact)| format!("{name}: {fact}")).collect()
        };
        let likeness = "quality: id 0.512 (photos among themselves 0.700), a face in 6 of 8 pictures";
        assert_eq!(said(&report), [likeness]);
        (report.clip, report.judged_by_chooser) = (Some(0.25), true);
        assert!(said(&report)[1..] == ["fit: clip 0.250", said(&report)[2].as_str()]);
        assert!(said(&report)[2].starts_with("judged by: the network that chose"));
        let json = serde_json::to_value(QualityView::from(&report)).unwrap();
        assert_eq!((&json["identity"]["photos"], &json["diversity"]), (&5.into(), &serde_json::Value::Null));
    }
}
