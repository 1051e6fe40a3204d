//! How many numbers a model is made of, counted from its configuration by the code that loads it.

use burn::tensor::{Device, FloatDType};

use crate::model_folder::{ModelError, ModelFolder};
use crate::text_encoder::TextEncoder;
use crate::unet::UNet2DCondition;
use crate::vae::AutoencoderKl;
use crate::weights::{MadeWeights, WeightError, Weights};

/// Numbers in the weights of each part of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCounts {
    /// The text encoder, with its table of tokens.
    pub text_encoder: u64,
    /// The UNet.
    pub unet: u64,
    /// Both halves of the autoencoder.
    pub vae: u64,
}

impl ParameterCounts {
    /// Counts the model in `folder`, of which only the configurations are read.
    ///
    /// # Errors
    /// None that a folder which could be opened gives.
    pub fn of(folder: &ModelFolder) -> Result<Self, ModelError> {
        Ok(Self {
            text_encoder: count(|weights| TextEncoder::load(weights, folder.text_config()).map(drop))?,
            unet: count(|weights| UNet2DCondition::load(weights, folder.unet_config()).map(drop))?,
            vae: count(|weights| AutoencoderKl::load(weights, folder.vae_config()).map(drop))?,
        })
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.text_encoder + self.unet + self.vae
    }
}

fn count(load: impl FnOnce(&Weights<'_>) -> Result<(), WeightError>) -> Result<u64, WeightError> {
    let counted = MadeWeights::counted();
    load(&Weights::made(&counted, &Device::flex(), FloatDType::F32))?;
    Ok(counted.parameters())
}
