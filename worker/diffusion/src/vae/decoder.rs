//! The half of the VAE from latents to pixels.

use burn::tensor::Tensor;

use super::mid_block::MidBlock;
use super::{EPSILON, VaeConfig};
use crate::layers::{Conv3x3, GroupNorm, ResnetBlock, ResnetSizes, Sampling, upsample_nearest};
use crate::weights::{WeightError, Weights};

#[derive(Debug, Clone)]
pub(super) struct Decoder {
    conv_in: Conv3x3,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv3x3,
}

impl Decoder {
    pub(super) fn load(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, WeightError> {
        let channels = &config.block_out_channels;
        let depth = channels.len();
        let (finest, coarsest) = (channels[0], channels[depth - 1]);
        let up_blocks = (0..depth)
            .map(|index| {
                UpBlock::load(&weights.at(format_args!("up_blocks.{index}")), config, depth - 1 - index)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            conv_in: Conv3x3::load(&weights.at("conv_in"), config.latent_channels, coarsest, Sampling::Same)?,
            mid_block: MidBlock::load(&weights.at("mid_block"), config, coarsest)?,
            up_blocks,
            conv_norm_out: GroupNorm::load(
                &weights.at("conv_norm_out"),
                finest,
                config.norm_num_groups,
                EPSILON,
            )?,
            conv_out: Conv3x3::load(&weights.at("conv_out"), finest, config.out_channels, Sampling::Same)?,
        })
    }

    /// `[batch, h, w, latent_channels]` to `[batch, height, width, out_channels]`.
    pub(super) fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut x = self.mid_block.forward(self.conv_in.forward(latents));
        for block in &self.up_blocks {
            x = block.forward(x);
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}

/// A level of the decoder (`UpDecoderBlock2D`).
#[derive(Debug, Clone)]
struct UpBlock {
    resnets: Vec<ResnetBlock>,
    upsampler: Option<Conv3x3>,
}

impl UpBlock {
    /// `index` counts the levels from the finest, as in the encoder; the weights count from the coarsest.
    fn load(weights: &Weights<'_>, config: &VaeConfig, index: usize) -> Result<Self, WeightError> {
        let channels = config.block_out_channels[index];
        let below = config.block_out_channels.get(index + 1).copied().unwrap_or(channels);
        let resnets = (0..=config.layers_per_block)
            .map(|layer| {
                let sizes = ResnetSizes {
                    inputs: if layer == 0 { below } else { channels },
                    outputs: channels,
                    time_width: None,
                    groups: config.norm_num_groups,
                    epsilon: EPSILON,
                };
                ResnetBlock::load(&weights.at(format_args!("resnets.{layer}")), sizes)
            })
            .collect::<Result<_, _>>()?;
        let upsampler = match index > 0 {
            true => {
                let weights = weights.at("upsamplers.0.conv");
                Some(Conv3x3::load(&weights, channels, channels, Sampling::Same)?)
            }
            false => None,
        };
        Ok(Self { resnets, upsampler })
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        for resnet in &self.resnets {
            x = resnet.forward(x, None);
        }
        match &self.upsampler {
            Some(upsampler) => {
                let [_, height, width, _] = x.dims();
                upsampler.forward(upsample_nearest(x, 2 * height, 2 * width))
            }
            None => x,
        }
    }
}
