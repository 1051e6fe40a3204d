//! The autoencoder between pictures and latents (diffusers `AutoencoderKL`).

mod config;
mod decoder;
mod encoder;
mod mid_block;

use burn::tensor::{FloatDType, Tensor};

pub use config::VaeConfig;

use crate::layers::{Linear, channels_first, channels_last};
use crate::weights::{WeightError, Weights};
use decoder::Decoder;
use encoder::Encoder;

/// The epsilon of every group normalisation here; it is not the UNet's.
const EPSILON: f64 = 1e-6;

/// What the encoder says of a picture: a diagonal normal distribution over latents, not yet scaled.
#[derive(Debug, Clone)]
pub struct LatentDistribution {
    /// `[batch, latent_channels, h, w]`.
    pub mean: Tensor<4>,
    /// The logarithm of the variance, clamped to [-30, 20]; same shape.
    pub logvar: Tensor<4>,
}

/// The autoencoder.
#[derive(Debug, Clone)]
pub struct AutoencoderKl {
    config: VaeConfig,
    dtype: FloatDType,
    encoder: Encoder,
    quant_conv: Option<Linear>,
    post_quant_conv: Option<Linear>,
    decoder: Decoder,
}

impl AutoencoderKl {
    /// Reads the autoencoder of structure `config`; `weights` is the root of its file.
    ///
    /// # Errors
    /// When a tensor is missing or misshaped, or the file cannot be read.
    pub fn load(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, WeightError> {
        let pointwise = |wanted: bool, name: &str, channels: usize| match wanted {
            true => Linear::load_conv1x1(&weights.at(name), channels, channels).map(Some),
            false => Ok(None),
        };
        let latents = config.latent_channels;
        Ok(Self {
            dtype: weights.dtype(),
            encoder: Encoder::load(&weights.at("encoder"), config)?,
            quant_conv: pointwise(config.use_quant_conv, "quant_conv", 2 * latents)?,
            post_quant_conv: pointwise(config.use_post_quant_conv, "post_quant_conv", latents)?,
            decoder: Decoder::load(&weights.at("decoder"), config)?,
            config: config.clone(),
        })
    }

    /// The structure.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// What latents are multiplied with after encoding and divided by before decoding.
    pub fn scaling_factor(&self) -> f64 {
        self.config.scaling_factor
    }

    /// `image` is `[batch, 3, height, width]` in [-1, 1], sides divisible by the factor of the autoencoder.
    pub fn encode(&self, image: Tensor<4>) -> LatentDistribution {
        let moments = self.encoder.forward(channels_last(image.cast(self.dtype)));
        let moments = match &self.quant_conv {
            Some(conv) => conv.forward(moments),
            None => moments,
        };
        let moments = channels_first(moments);
        let latents = self.config.latent_channels;
        LatentDistribution {
            mean: moments.clone().narrow(1, 0, latents),
            logvar: moments.narrow(1, latents, latents).clamp(-30.0, 20.0),
        }
    }

    /// `latents` is `[batch, latent_channels, h, w]`, already divided by the scaling factor; the picture
    /// `[batch, 3, height, width]` is about [-1, 1] and not clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = channels_last(latents.cast(self.dtype));
        let latents = match &self.post_quant_conv {
            Some(conv) => conv.forward(latents),
            None => latents,
        };
        channels_first(self.decoder.forward(latents))
    }
}
