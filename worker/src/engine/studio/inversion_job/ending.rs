//! The end of an inversion: the person file, and before it, where a report is wanted, the review of what was learned (`review.rs`).

use std::collections::BTreeMap;

use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_diffusion::picture::RgbPicture;
use likeness_shared::proto::QualityAbsence;

use super::super::placeholder;
use super::super::quality::{absent, no_networks, scores};
use super::super::review::Review;
use super::{InversionJob, Phase};
use crate::engine::machine::Stepped;
use crate::engine::order::{DrawnReport, Ending, Fault, LearnedPerson, Quality};
use crate::generation::{GenerationError, TextToImage};
use crate::inversion::Inversion;
use crate::inversion::parameterisation::Parameterisation;

impl<'m> InversionJob<'m> {
    /// All iterations are made: the person, unless there is a report to be made first.
    pub(super) fn finish(&mut self) -> Stepped {
        let Phase::Train { inversion, photos, review } = &mut self.phase else { return Ok(None) };
        match (self.quality.take(), self.evaluator) {
            (None, _) => self.learned(None),
            (Some(_), None) => self.learned(Some(Quality::Absent(no_networks()))),
            (Some(options), Some(evaluator)) => {
                let (vectors, photos) = (inversion.vectors(), std::mem::take(photos));
                *review = Some(Box::new(Review::new(self.model, evaluator, options, vectors, photos)));
                Ok(None)
            }
        }
    }

    fn learned(&self, quality: Option<Quality>) -> Stepped {
        let Phase::Train { inversion, .. } = &self.phase else { return Ok(None) };
        if let Some(Quality::Absent(QualityAbsence { code, message })) = &quality {
            tracing::warn!(task = %self.task, code, message, "inversion has no quality report");
        }
        self.person(inversion, quality).map(|person| Some(Ending::Learned(person)))
    }

    fn review_mut(&mut self) -> Option<&mut Review<'m>> {
        match &mut self.phase {
            Phase::Train { review, .. } => review.as_deref_mut(),
            _ => None,
        }
    }

    /// Goes on with the review, or ends without a report.
    fn reviewed(&self, step: Result<Option<DrawnReport>, QualityAbsence>) -> Stepped {
        match step {
            Ok(None) => Ok(None),
            Ok(Some(report)) => self.learned(Some(Quality::Report(Box::new(report)))),
            Err(absence) => self.learned(Some(Quality::Absent(absence))),
        }
    }

    /// Encodes the prompts of the report's next pictures.
    pub(in crate::engine::studio) fn read_prompts(&mut self) -> Stepped {
        let Some(review) = self.review_mut() else { return Ok(None) };
        let read = review.read_prompts();
        self.reviewed(read.map(|()| None))
    }

    /// Looks at the next picture or photo of the report. The task ends with the last one.
    pub(in crate::engine::studio) fn look(&mut self) -> Stepped {
        let Some(review) = self.review_mut() else { return Ok(None) };
        let looked = review.look();
        self.reviewed(looked)
    }

    /// The pictures under way, the report's or a preview, have been decoded.
    pub(in crate::engine::studio) fn decoded(
        &mut self,
        decoded: Vec<Result<RgbPicture, GenerationError>>,
    ) -> Stepped {
        let Some(review) = self.review_mut() else {
            self.previews.decoded(decoded);
            return Ok(None);
        };
        let drawn = review.decoded(decoded);
        self.reviewed(drawn.map(|()| None))
    }

    /// The person, where a pass of the review fails.
    pub(in crate::engine::studio) fn salvage(&self, fault: &Fault) -> Option<Ending> {
        let Phase::Train { review: Some(_), .. } = &self.phase else { return None };
        let absence = absent("drawing_failed", format_args!("the report could not be made: {fault}"));
        self.learned(Some(Quality::Absent(absence))).ok().flatten()
    }

    /// The pictures that it draws.
    pub(in crate::engine::studio) fn under_way(&self) -> &[TextToImage<'m>] {
        match &self.phase {
            Phase::Train { review: Some(review), .. } => review.under_way(),
            _ => self.previews.under_way(),
        }
    }

    pub(in crate::engine::studio) fn under_way_mut(&mut self) -> &mut [TextToImage<'m>] {
        match &mut self.phase {
            Phase::Train { review: Some(review), .. } => review.under_way_mut(),
            _ => self.previews.under_way_mut(),
        }
    }

    fn person(&self, inversion: &Inversion<'m>, quality: Option<Quality>) -> Result<LearnedPerson, Fault> {
        let vectors = inversion.vectors();
        let report = inversion.report();
        let (count, width) = (vectors.len() as u32, vectors.first().map_or(0, Vec::len) as u32);
        let mut metadata = self.metadata(count, report.step);
        if let Some(Quality::Report(drawn)) = &quality {
            metadata.extend(scores(&drawn.report).into_iter().map(|(key, value)| (key.to_owned(), value)));
        }
        let file = PersonFile { placeholder: Some(placeholder(&self.spec).to_owned()), vectors, metadata };
        let file = file.write_diffusers().map_err(|error| Fault::passing("internal", error))?;
        Ok(LearnedPerson {
            file: file.into(),
            vectors: count,
            width,
            model_digest: self.model.digest.clone(),
            final_loss: report.smoothed,
            norm_ratio: report.norm_ratio,
            steps: report.step,
            kept_step: report.best_step,
            photos_used: self.photos_used,
            photos: self.photo_report.clone(),
            quality,
        })
    }

    /// What the person file says about itself: nothing that names anybody.
    fn metadata(&self, vectors: u32, steps: u32) -> BTreeMap<String, String> {
        let (parameterisation, base) = match self.options.parameterisation {
            Parameterisation::LogNorm { base } => ("log_norm", Some((keys::LOG_BASE, base.to_string()))),
            Parameterisation::None { .. } => ("none", None),
            Parameterisation::Sphere { .. } => ("sphere", None),
        };
        [
            (keys::BASE_MODEL, self.model.digest.clone()),
            (keys::VECTORS, vectors.to_string()),
            (keys::PARAMETERISATION, parameterisation.to_owned()),
            (keys::START, self.start.kind().to_owned()),
            (keys::STEPS, steps.to_string()),
            (keys::PHOTOS, self.photos_used.to_string()),
            (keys::TASK, self.task.to_string()),
        ]
        .into_iter()
        .chain(base)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}
