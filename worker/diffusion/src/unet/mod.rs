//! The denoising network (diffusers `UNet2DConditionModel`, for Stable Diffusion 1.x and 2.x).

mod blocks;
mod config;
mod context;
mod tape;
mod taps;
mod time_embedding;
mod transformer;
mod walk;

use burn::tensor::{FloatDType, Tensor};

pub use config::{UNetConfig, UNetLevel};
pub use context::PreparedContext;
pub use tape::Tape;
pub use taps::Taps;

use crate::layers::{Conv3x3, GroupNorm, Sampling, channels_first, channels_last, silu};
use crate::weights::{WeightError, Weights};
use blocks::{DownBlock, MidBlock, UpBlock};
use time_embedding::TimeEmbedding;
use walk::{Unit, Walk};

/// Predicts noise (or velocity) from noisy latents, diffusion time and a context.
#[derive(Debug, Clone)]
pub struct UNet2DCondition {
    config: UNetConfig,
    dtype: FloatDType,
    time_embedding: TimeEmbedding,
    conv_in: Conv3x3,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    output: Output,
}

/// From the finest level's channels to the prediction.
#[derive(Debug, Clone)]
struct Output {
    conv_norm_out: GroupNorm,
    conv_out: Conv3x3,
}

impl Output {
    /// `[batch, height, width, channels]` to `[batch, out_channels, height, width]`.
    fn forward(&self, x: Tensor<4>, taps: &mut Taps) -> Tensor<4> {
        taps.look(|taps| taps.see_picture("conv_norm_out", &self.conv_norm_out.forward(x.clone())));
        channels_first(self.conv_out.forward(self.conv_norm_out.forward_silu(x)))
    }
}

impl UNet2DCondition {
    /// Reads the network of structure `config`; `weights` is the root of its file.
    ///
    /// # Errors
    /// When a tensor is missing or misshaped, or the file cannot be read.
    pub fn load(weights: &Weights<'_>, config: &UNetConfig) -> Result<Self, WeightError> {
        let depth = config.levels.len();
        let finest = config.time_channels();
        let down_blocks = (0..depth)
            .map(|index| DownBlock::load(&weights.at(format_args!("down_blocks.{index}")), config, index))
            .collect::<Result<_, _>>()?;
        let up_blocks = (0..depth)
            .map(|index| {
                UpBlock::load(&weights.at(format_args!("up_blocks.{index}")), config, depth - 1 - index)
            })
            .collect::<Result<_, _>>()?;
        let coarsest = &config.levels[depth - 1];
        Ok(Self {
            dtype: weights.dtype(),
            time_embedding: TimeEmbedding::load(&weights.at("time_embedding"), config)?,
            conv_in: Conv3x3::load(&weights.at("conv_in"), config.in_channels, finest, Sampling::Same)?,
            down_blocks,
            mid_block: MidBlock::load(&weights.at("mid_block"), config, coarsest)?,
            up_blocks,
            output: Output {
                conv_norm_out: GroupNorm::load(
                    &weights.at("conv_norm_out"),
                    finest,
                    config.norm_num_groups,
                    config.norm_eps,
                )?,
                conv_out: Conv3x3::load(
                    &weights.at("conv_out"),
                    finest,
                    config.out_channels,
                    Sampling::Same,
                )?,
            },
            config: config.clone(),
        })
    }

    /// The structure.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The prediction `[batch, out_channels, height, width]`.
    ///
    /// `sample` is `[batch, in_channels, height, width]` in latent pixels, of any size; `timesteps` is
    /// `[batch]` in f32, fractions allowed; `encoder_hidden_states` is `[batch, length,
    /// cross_attention_dim]`. All are converted to the model's float type.
    pub fn forward(
        &self,
        sample: Tensor<4>,
        timesteps: Tensor<1>,
        encoder_hidden_states: Tensor<3>,
    ) -> Tensor<4> {
        self.forward_prepared(sample, timesteps, &self.prepare_context(encoder_hidden_states))
    }

    /// What all evaluations under one context share, `[batch, length, cross_attention_dim]` of any float type.
    pub fn prepare_context(&self, encoder_hidden_states: Tensor<3>) -> PreparedContext {
        let context = encoder_hidden_states.cast(self.dtype);
        let attentions = self
            .down_blocks
            .iter()
            .flat_map(DownBlock::attentions)
            .chain(self.mid_block.attentions())
            .chain(self.up_blocks.iter().flat_map(UpBlock::attentions));
        PreparedContext { layers: attentions.flat_map(|attention| attention.prepare(&context)).collect() }
    }

    /// As [`UNet2DCondition::forward`] under the context of `context`, which must be of as many rows and of this network.
    pub fn forward_prepared(
        &self,
        sample: Tensor<4>,
        timesteps: Tensor<1>,
        context: &PreparedContext,
    ) -> Tensor<4> {
        let mut taps = Taps::off();
        let activated_time = self.activated_time(timesteps, &mut taps);
        self.walk(sample, &mut Walk::new(&activated_time, context, &mut taps))
    }

    /// As [`UNet2DCondition::forward`] outside autodiff, with the way back to the context.
    pub fn forward_checkpointed(
        &self,
        sample: Tensor<4>,
        timesteps: Tensor<1>,
        encoder_hidden_states: Tensor<3>,
    ) -> (Tensor<4>, Tape<'_>) {
        let context = encoder_hidden_states.inner().cast(self.dtype);
        let mut taps = Taps::off();
        let activated_time = self.activated_time(timesteps, &mut taps);
        let prepared = self.prepare_context(context.clone());
        let mut walk = Walk::new(&activated_time, &prepared, &mut taps).noting();
        let prediction = self.walk(sample, &mut walk);
        let notes = walk.into_notes();
        (prediction, Tape { activated_time, context, notes })
    }

    /// As [`UNet2DCondition::forward`], showing its activations to `taps`.
    pub fn forward_tapped(
        &self,
        sample: Tensor<4>,
        timesteps: Tensor<1>,
        encoder_hidden_states: Tensor<3>,
        taps: &mut Taps,
    ) -> Tensor<4> {
        let activated_time = self.activated_time(timesteps, taps);
        let context = self.prepare_context(encoder_hidden_states);
        self.walk(sample, &mut Walk::new(&activated_time, &context, taps))
    }

    fn activated_time(&self, timesteps: Tensor<1>, taps: &mut Taps) -> Tensor<2> {
        silu(self.time_embedding.forward(timesteps, self.dtype, taps))
    }

    fn walk<'u>(&'u self, sample: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        let mut x = self.conv_in.forward(channels_last(sample.cast(self.dtype)));
        walk.see("conv_in", &x);
        walk.leave_skip(&x);
        for block in &self.down_blocks {
            x = block.forward(x, walk);
        }
        x = self.mid_block.forward(x, walk);
        for block in &self.up_blocks {
            x = block.forward(x, walk);
        }
        walk.through(Unit::Output(&self.output), x)
    }
}
