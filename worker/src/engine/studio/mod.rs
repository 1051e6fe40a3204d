//! The loaded models of this worker, the jobs that are opened on them, and the passes that take many jobs a step further.

mod auto_start;
mod checkpointing;
mod generation_job;
mod guard;
mod intake;
mod inversion_job;
mod memory;
mod named_start;
mod passes;
#[cfg(test)]
mod pocket_world;
mod preview;
mod quality;
mod review;
mod spec;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::bank::Bank;
use likeness_faces::check::PhotoChecker;
use likeness_shared::limits::DEFAULT_PLACEHOLDER;
use likeness_shared::proto::{InversionSpec, Progress};

use super::machine::{Demand, Job, Machine, Memory, PassError, Stage, Stepped};
use super::order::{Ending, Fault, Order, Preview, Work};
use crate::generation::{GenerationError, TextToImage};
use crate::score::Evaluate;
use checkpointing::Checkpointing;
pub use checkpointing::{ActivationCheckpointing, UnknownCheckpointing};
use generation_job::GenerationJob;
use inversion_job::{InversionJob, PhotoFiles, Resumed};
use memory::{CardMemory, DeviceMemory, ProcessMemory};

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
    models: Vec<LoadedModel>,
    memory: DeviceMemory,
    checkpointing: Checkpointing,
    /// Judges photos, where there are networks for faces.
    photo_checker: Option<PhotoChecker>,
    /// Names to start people from, where there is a bank.
    bank: Option<Arc<Bank>>,
    /// Scores pictures of learned people, where there are networks for it.
    evaluator: Option<Box<dyn Evaluate>>,
}

/// The text that stands for the person of an inversion.
fn placeholder(spec: &InversionSpec) -> &str {
    match spec.placeholder.as_str() {
        "" => DEFAULT_PLACEHOLDER,
        placeholder => placeholder,
    }
}

/// A task of one of the two kinds.
pub enum StudioJob<'m> {
    /// Photos to a person.
    Inversion(Box<InversionJob<'m>>),
    /// A prompt to pictures.
    Generation(Box<GenerationJob<'m>>),
}

impl<'m> StudioJob<'m> {
    fn diffusion(&self) -> &'m StableDiffusion {
        match self {
            Self::Inversion(job) => job.diffusion(),
            Self::Generation(job) => job.diffusion(),
        }
    }

    /// The pictures that it draws, all at the same step.
    fn under_way(&self) -> &[TextToImage<'m>] {
        match self {
            Self::Inversion(job) => job.under_way(),
            Self::Generation(job) => job.under_way(),
        }
    }

    fn under_way_mut(&mut self) -> &mut [TextToImage<'m>] {
        match self {
            Self::Inversion(job) => job.under_way_mut(),
            Self::Generation(job) => job.under_way_mut(),
        }
    }

    /// The pictures under way have been decoded.
    fn decoded(&mut self, decoded: Vec<Result<RgbPicture, GenerationError>>) -> Stepped {
        match self {
            Self::Inversion(job) => job.decoded(decoded),
            Self::Generation(job) => job.decoded(decoded),
        }
    }

    /// Encodes the prompts of its next pictures.
    fn read_prompts(&mut self) -> Stepped {
        match self {
            Self::Inversion(job) => job.read_prompts(),
            Self::Generation(job) => job.read_prompt(),
        }
    }
}

impl Studio {
    /// With these models, the default one first.
    #[must_use]
    pub fn new(models: Vec<LoadedModel>) -> Self {
        let on_cpu = models.iter().all(|model| model.diffusion.is_on_cpu());
        let process = if on_cpu { ProcessMemory::now() } else { None };
        let memory = process.map_or(DeviceMemory::Unknown, DeviceMemory::Process);
        let checkpointing = Checkpointing::new(ActivationCheckpointing::default());
        Self { models, memory, checkpointing, photo_checker: None, bank: None, evaluator: None }
    }

    /// The same on the NVIDIA card of this number: passes are filled to what its memory holds.
    #[must_use]
    pub fn on_card(self, number: u32) -> Self {
        let device = self.models.first().map(|model| model.diffusion.device());
        let card = device.and_then(|device| CardMemory::now(number, device));
        Self { memory: card.map_or(DeviceMemory::Unknown, DeviceMemory::Card), ..self }
    }

    /// Works the UNet's activations out again in training passes as told.
    #[must_use]
    pub fn with_checkpointing(self, rule: ActivationCheckpointing) -> Self {
        Self { checkpointing: Checkpointing::new(rule), ..self }
    }

    /// Judges the photos of inversions and cuts the heads out of them, where there is a checker.
    #[must_use]
    pub fn with_photo_checker(self, photo_checker: Option<PhotoChecker>) -> Self {
        Self { photo_checker, ..self }
    }

    /// Starts people from names of this bank where they ask for it.
    #[must_use]
    pub fn with_bank(self, bank: Option<Arc<Bank>>) -> Self {
        Self { bank, ..self }
    }

    /// Makes quality reports of inversions that ask for them, where there is an evaluator.
    #[must_use]
    pub fn with_evaluator(self, evaluator: Option<Box<dyn Evaluate>>) -> Self {
        Self { evaluator, ..self }
    }

    /// The model of this name, and which one it is.
    fn model(&self, name: &str) -> Result<(usize, &LoadedModel), Fault> {
        let found = match name {
            "" => self.models.first().map(|model| (0, model)),
            name => self.models.iter().enumerate().find(|(_, model)| model.name == name),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            let message = format!("this worker has no model {name:?}: it has {}", known.join(", "));
            Fault::lasting("model_unknown", message)
        })
    }
}

impl Machine for Studio {
    type Job<'m> = StudioJob<'m>;

    fn open<'m>(&'m self, order: Order) -> Result<StudioJob<'m>, Fault> {
        let Order { attempt, reseed, work, checkpoint, .. } = order;
        Ok(match work {
            Work::Inversion { spec, photos, start_file } => {
                let model = self.model(&spec.model)?;
                let photos = PhotoFiles { files: photos, checker: self.photo_checker.as_ref() };
                let resumed = Resumed { checkpoint, reseed };
                let job =
                    InversionJob::open(model, attempt.task, *spec, photos, start_file.as_deref(), resumed)?;
                StudioJob::Inversion(Box::new(
                    job.with_bank(self.bank.as_deref()).with_evaluator(self.evaluator.as_deref()),
                ))
            }
            Work::Generation { spec, people, init_image } => {
                let model = self.model(&spec.model)?;
                StudioJob::Generation(Box::new(GenerationJob::open(
                    model,
                    &spec,
                    people,
                    init_image.as_deref(),
                )?))
            }
        })
    }

    fn pass<'m>(
        &'m self,
        stage: Stage,
        jobs: &mut [&mut StudioJob<'m>],
        most_rows: u32,
    ) -> Result<Vec<Stepped>, PassError> {
        let rows: u32 = jobs.iter().map(|job| job.demand().rows).sum();
        self.checkpointing.make(stage, rows.min(most_rows), |checkpointed| {
            let made = guard::memory(|| passes::make(stage, jobs, most_rows as usize, checkpointed));
            if matches!(made, Err(PassError::OutOfMemory)) {
                self.memory.reclaim();
            }
            made
        })
    }

    fn memory(&self) -> Option<Memory> {
        self.memory.usage()
    }

    fn tidy(&self) {
        self.memory.tidy();
    }
}

impl Job for StudioJob<'_> {
    fn demand(&self) -> Demand {
        match self {
            Self::Inversion(job) => job.demand(),
            Self::Generation(job) => job.demand(),
        }
    }

    fn progress(&self) -> Progress {
        match self {
            Self::Inversion(job) => job.progress(),
            Self::Generation(job) => job.progress(),
        }
    }

    fn checkpoint(&self) -> Option<Bytes> {
        match self {
            Self::Inversion(job) => job.checkpoint(),
            Self::Generation(_) => None,
        }
    }

    fn salvage(&self, fault: &Fault) -> Option<Ending> {
        match self {
            Self::Inversion(job) => job.salvage(fault),
            Self::Generation(_) => None,
        }
    }

    fn take_preview(&mut self) -> Option<Preview> {
        match self {
            Self::Inversion(job) => job.take_preview(),
            Self::Generation(_) => None,
        }
    }
}
