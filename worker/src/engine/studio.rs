//! The loaded models of this worker, and the jobs that are opened on them.

use std::path::PathBuf;

use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::generation_job::GenerationJob;
use super::inversion_job::{InversionJob, Resumed};
use super::job::{Job, JobOpener};
use super::order::{Fault, Order, Work};

/// A model on the device.
pub struct LoadedModel {
    /// The name that tasks ask for.
    pub name: String,
    /// sha256 over its files.
    pub digest: String,
    /// Where its files are.
    pub folder: PathBuf,
    /// The model.
    pub diffusion: StableDiffusion,
}

/// Opens inversions and generations on the models of this worker.
pub struct Studio {
    /// The models, the default one first.
    pub models: Vec<LoadedModel>,
}

impl Studio {
    fn model(&self, name: &str) -> Result<&LoadedModel, Fault> {
        let found = match name {
            "" => self.models.first(),
            name => self.models.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            let message = format!("this worker has no model {name:?}: it has {}", known.join(", "));
            Fault::lasting("model_unknown", message)
        })
    }
}

impl JobOpener for Studio {
    fn open<'m>(&'m self, order: Order) -> Result<Box<dyn Job + 'm>, Fault> {
        let Order { attempt, reseed, work, checkpoint, .. } = order;
        match work {
            Work::Inversion { spec, photos, start_file } => {
                let model = self.model(&spec.model)?;
                let resumed = Resumed { checkpoint, reseed };
                let job =
                    InversionJob::open(model, attempt.task, *spec, photos, start_file.as_deref(), resumed)?;
                Ok(Box::new(job))
            }
            Work::Generation { spec, people, init_image } => {
                let model = self.model(&spec.model)?;
                Ok(Box::new(GenerationJob::open(model, &spec, people, init_image.as_deref())?))
            }
        }
    }
}
