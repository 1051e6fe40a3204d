//! The person at the end of an inversion: the file, and what it says about itself.

use std::collections::BTreeMap;

use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_shared::limits::DEFAULT_PLACEHOLDER;

use super::InversionJob;
use crate::engine::order::{Fault, LearnedPerson};
use crate::inversion::Inversion;
use crate::inversion::parameterisation::Parameterisation;

impl<'m> InversionJob<'m> {
    /// The person as the vectors are now.
    pub(super) fn person(&self, inversion: &Inversion<'m>) -> Result<LearnedPerson, Fault> {
        let vectors = inversion.vectors();
        let report = inversion.report();
        let (count, width) = (vectors.len() as u32, vectors.first().map_or(0, Vec::len) as u32);
        let placeholder = match self.spec.placeholder.as_str() {
            "" => DEFAULT_PLACEHOLDER,
            placeholder => placeholder,
        };
        let file = PersonFile {
            placeholder: Some(placeholder.to_owned()),
            vectors,
            metadata: self.metadata(count, report.step),
        };
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
