//! The half of the VAE from pixels to moments.

use burn::tensor::Tensor;

use super::mid_block::MidBlock;
use super::{EPSILON, VaeConfig};
use crate::layers::{Conv3x3, GroupNorm, ResnetBlock, ResnetSizes, Sampling};
use crate::weights::{WeightError, Weights};

#[derive(Debug, Clone)]
pub(super) struct Encoder {
    conv_in: Conv3x3,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv3x3,
}

impl Encoder {
    pub(super) fn load(weights: &Weights<'_>, config: &VaeConfig) -> Result<Self, WeightError> {
        let channels = &config.block_out_channels;
        let (finest, coarsest) = (channels[0], channels[channels.len() - 1]);
        let down_blocks = (0..channels.len())
            .map(|index| DownBlock::load(&weights.at(format_args!("down_blocks.{index}")), config, index))
            .collect::<Result<_, _>>()?;
        let moments = 2 * config.latent_channels;
        Ok(Self {
            conv_in: Conv3x3::load(&weights.at("conv_in"), config.in_channels, finest, Sampling::Same)?,
            down_blocks,
            mid_block: MidBlock::load(&weights.at("mid_block"), config, coarsest)?,
            conv_norm_out: GroupNorm::load(
                &weights.at("conv_norm_out"),
                coarsest,
                config.norm_num_groups,
                EPSILON,
            )?,
            conv_out: Conv3x3::load(&weights.at("conv_out"), coarsest, moments, Sampling::Same)?,
        })
    }

    /// `[batch, height, width, in_channels]` to `[batch, h, w, 2 * latent_channels]`.
    pub(super) fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = self.conv_in.forward(image);
        for block in &self.down_blocks {
            x = block.forward(x);
        }
        let x = self.mid_block.forward(x);
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}

/// A level of the encoder (`DownEncoderBlock2D`).
#[derive(Debug, Clone)]
struct DownBlock {
    resnets: Vec<ResnetBlock>,
    downsampler: Option<Conv3x3>,
}

impl DownBlock {
    fn load(weights: &Weights<'_>, config: &VaeConfig, index: usize) -> Result<Self, WeightError> {
        let channels = config.block_out_channels[index];
        let before = if index == 0 { channels } else { config.block_out_channels[index - 1] };
        let resnets = (0..config.layers_per_block)
            .map(|layer| {
                let sizes = ResnetSizes {
                    inputs: if layer == 0 { before } else { channels },
                    outputs: channels,
                    time_width: None,
                    groups: config.norm_num_groups,
                    epsilon: EPSILON,
                };
                ResnetBlock::load(&weights.at(format_args!("resnets.{layer}")), sizes)
            })
            .collect::<Result<_, _>>()?;
        let downsampler = match index + 1 < config.block_out_channels.len() {
            true => {
                let weights = weights.at("downsamplers.0.conv");
                Some(Conv3x3::load(&weights, channels, channels, Sampling::HalvePadRightBottom)?)
            }
            false => None,
        };
        Ok(Self { resnets, downsampler })
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        for resnet in &self.resnets {
            x = resnet.forward(x, None);
        }
        match &self.downsampler {
            Some(downsampler) => downsampler.forward(x),
            None => x,
        }
    }
}
