//! What is held against the reference: the folder's model as the library loads it.

use anyhow::{Context, anyhow};
use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::schedule::SchedulerConfig;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::PromptTokenizer;

use super::reference::Reference;

/// Tokenizer and schedule of every folder, and the whole model where the folder has its weights.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) device: Device,
    pub(crate) dtype: FloatDType,
    tokenizer: Option<PromptTokenizer>,
    pub(crate) scheduler_config: SchedulerConfig,
    model: Option<StableDiffusion>,
}

impl Subject {
    /// Loads the model onto a device in `dtype`; only tokenizer and schedule where the weights are left out.
    pub(crate) fn load(reference: &Reference, device: Device, dtype: FloatDType) -> anyhow::Result<Self> {
        let path = reference.model();
        if !reference.manifest.has_weights() {
            return Ok(Self {
                device,
                dtype,
                tokenizer: Some(PromptTokenizer::open(&path.join("tokenizer"))?),
                scheduler_config: SchedulerConfig::open(&path.join("scheduler/scheduler_config.json"))?,
                model: None,
            });
        }
        let folder = ModelFolder::open(&path)?;
        let model = StableDiffusion::load(&folder, &device, dtype)
            .with_context(|| format!("cannot load the model of {}", path.display()))?;
        Ok(Self {
            device,
            dtype,
            tokenizer: None,
            scheduler_config: model.scheduler_config.clone(),
            model: Some(model),
        })
    }

    pub(crate) fn tokenizer(&self) -> anyhow::Result<&PromptTokenizer> {
        self.model
            .as_ref()
            .map(|model| &model.tokenizer)
            .or(self.tokenizer.as_ref())
            .ok_or_else(|| anyhow!("no tokenizer is loaded"))
    }

    /// The whole model, where the folder has its weights.
    pub(crate) fn model(&self) -> Option<&StableDiffusion> {
        self.model.as_ref()
    }
}
