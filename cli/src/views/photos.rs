//! What was found of a task's photos.

use likeness_shared::proto::{PhotoAdvice, PhotoRefusal, PhotoReport, PhotoVerdict};
use serde::Serialize;

/// The photos of an inversion.
#[derive(Debug, Serialize)]
pub(crate) struct PhotosView {
    given: u32,
    used: u32,
    /// Those that are not learned from.
    dropped: Vec<DroppedView>,
    advice: Vec<AdviceView>,
    /// Why nobody can be learned from the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusalView>,
}

#[derive(Debug, Serialize)]
struct DroppedView {
    /// Among the photos given, from 0.
    index: u32,
    artifact_digest: String,
    refusals: Vec<RefusalView>,
}

/// Why a photo is not learned from.
#[derive(Debug, Serialize)]
pub(crate) struct RefusalView {
    pub(crate) code: String,
    pub(crate) sentence: String,
    pub(crate) hint: String,
}

/// What would make a set of photos better.
#[derive(Debug, Serialize)]
pub(crate) struct AdviceView {
    pub(crate) code: String,
    pub(crate) sentence: String,
}

impl From<&PhotoRefusal> for RefusalView {
    fn from(refusal: &PhotoRefusal) -> Self {
        let PhotoRefusal { code, sentence, hint } = refusal.clone();
        Self { code, sentence, hint }
    }
}

impl From<&PhotoAdvice> for AdviceView {
    fn from(advice: &PhotoAdvice) -> Self {
        Self { code: advice.code.clone(), sentence: advice.sentence.clone() }
    }
}

impl From<&PhotoVerdict> for DroppedView {
    fn from(photo: &PhotoVerdict) -> Self {
        Self {
            index: photo.index,
            artifact_digest: photo.artifact_digest.clone(),
            refusals: photo.refusals.iter().map(RefusalView::from).collect(),
        }
    }
}

impl From<&PhotoReport> for PhotosView {
    fn from(report: &PhotoReport) -> Self {
        let dropped = report.photos.iter().filter(|photo| !photo.refusals.is_empty());
        Self {
            given: report.given,
            used: report.used,
            dropped: dropped.map(DroppedView::from).collect(),
            advice: report.advice.iter().map(AdviceView::from).collect(),
            refused: report.refused.as_ref().map(RefusalView::from),
        }
    }
}
