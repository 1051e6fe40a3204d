//! The UNet's levels: the way down, the middle, the way up.

use burn::tensor::Tensor;

use super::transformer::SpatialTransformer;
use super::{Taps, UNetConfig, UNetLevel};
use crate::layers::{Conv3x3, ResnetBlock, ResnetSizes, Sampling, upsample_nearest};
use crate::weights::{WeightError, Weights};

/// What every block of one evaluation is told.
pub(crate) struct Conditions<'a> {
    /// SiLU of the time embedding, `[batch, time_width]`.
    pub(crate) activated_time: &'a Tensor<2>,
    /// `[batch, length, cross_attention_dim]`.
    pub(crate) context: &'a Tensor<3>,
}

/// A residual block, and attention after it where the level attends.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    resnet: ResnetBlock,
    attention: Option<SpatialTransformer>,
}

impl Layer {
    fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        level: &UNetLevel,
        index: usize,
        inputs: usize,
        attends: bool,
    ) -> Result<Self, WeightError> {
        let resnet = weights.at(format_args!("resnets.{index}"));
        let sizes = ResnetSizes {
            inputs,
            outputs: level.channels,
            time_width: Some(config.time_width()),
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
        };
        let attention = match attends {
            true => Some(load_attention(weights, config, level, index)?),
            false => None,
        };
        Ok(Self { name: resnet.name().to_owned(), resnet: ResnetBlock::load(&resnet, sizes)?, attention })
    }

    fn forward(&self, x: Tensor<4>, conditions: &Conditions<'_>, taps: &mut Taps) -> Tensor<4> {
        let y = self.resnet.forward(x, Some(conditions.activated_time));
        taps.see_picture(&self.name, &y);
        match &self.attention {
            Some(attention) => attention.forward(y, conditions.context, taps),
            None => y,
        }
    }
}

fn load_attention(
    weights: &Weights<'_>,
    config: &UNetConfig,
    level: &UNetLevel,
    index: usize,
) -> Result<SpatialTransformer, WeightError> {
    let weights = weights.at(format_args!("attentions.{index}"));
    SpatialTransformer::load(&weights, config, level.channels, level.heads, level.transformer_layers)
}

/// A level on the way down (`DownBlock2D`, `CrossAttnDownBlock2D`).
#[derive(Debug, Clone)]
pub(crate) struct DownBlock {
    name: String,
    layers: Vec<Layer>,
    downsampler: Option<Conv3x3>,
}

impl DownBlock {
    pub(crate) fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        index: usize,
    ) -> Result<Self, WeightError> {
        let level = &config.levels[index];
        let before = if index == 0 { level.channels } else { config.levels[index - 1].channels };
        let layers = (0..level.resnets)
            .map(|layer| {
                let inputs = if layer == 0 { before } else { level.channels };
                Layer::load(weights, config, level, layer, inputs, level.attends_down)
            })
            .collect::<Result<_, _>>()?;
        let downsampler = match index + 1 < config.levels.len() {
            true => Some(Conv3x3::load(
                &weights.at("downsamplers.0.conv"),
                level.channels,
                level.channels,
                Sampling::HalvePadAll,
            )?),
            false => None,
        };
        Ok(Self { name: weights.name().to_owned(), layers, downsampler })
    }

    /// Leaves a copy of every intermediate result in `skips`, for the way up.
    pub(crate) fn forward(
        &self,
        mut x: Tensor<4>,
        conditions: &Conditions<'_>,
        skips: &mut Vec<Tensor<4>>,
        taps: &mut Taps,
    ) -> Tensor<4> {
        for layer in &self.layers {
            x = layer.forward(x, conditions, taps);
            skips.push(x.clone());
        }
        if let Some(downsampler) = &self.downsampler {
            x = downsampler.forward(x);
            skips.push(x.clone());
        }
        taps.see_picture(&self.name, &x);
        x
    }
}

/// The coarsest level: residual block, attention, residual block (`UNetMidBlock2DCrossAttn`).
#[derive(Debug, Clone)]
pub(crate) struct MidBlock {
    name: String,
    first: Layer,
    last: Layer,
}

impl MidBlock {
    pub(crate) fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        level: &UNetLevel,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            name: weights.name().to_owned(),
            first: Layer::load(weights, config, level, 0, level.channels, true)?,
            last: Layer::load(weights, config, level, 1, level.channels, false)?,
        })
    }

    pub(crate) fn forward(&self, x: Tensor<4>, conditions: &Conditions<'_>, taps: &mut Taps) -> Tensor<4> {
        let x = self.first.forward(x, conditions, taps);
        let x = self.last.forward(x, conditions, taps);
        taps.see_picture(&self.name, &x);
        x
    }
}

/// A level on the way up (`UpBlock2D`, `CrossAttnUpBlock2D`).
#[derive(Debug, Clone)]
pub(crate) struct UpBlock {
    name: String,
    layers: Vec<Layer>,
    upsampler: Option<Conv3x3>,
}

impl UpBlock {
    /// `index` counts the levels from the finest, as on the way down; the weights count from the coarsest.
    pub(crate) fn load(
        weights: &Weights<'_>,
        config: &UNetConfig,
        index: usize,
    ) -> Result<Self, WeightError> {
        let level = &config.levels[index];
        let below = config.levels.get(index + 1).unwrap_or(level).channels;
        let above = if index == 0 { level.channels } else { config.levels[index - 1].channels };
        let layers = (0..=level.resnets)
            .map(|layer| {
                let arriving = if layer == 0 { below } else { level.channels };
                let skip = if layer == level.resnets { above } else { level.channels };
                Layer::load(weights, config, level, layer, arriving + skip, level.attends_up)
            })
            .collect::<Result<_, _>>()?;
        let upsampler = match index > 0 {
            true => Some(Conv3x3::load(
                &weights.at("upsamplers.0.conv"),
                level.channels,
                level.channels,
                Sampling::Same,
            )?),
            false => None,
        };
        Ok(Self { name: weights.name().to_owned(), layers, upsampler })
    }

    /// Takes its share of `skips` from the end, and enlarges to the size of the skip that the next level
    /// will take: odd sizes, which halving rounded up, fit again.
    pub(crate) fn forward(
        &self,
        mut x: Tensor<4>,
        conditions: &Conditions<'_>,
        skips: &mut Vec<Tensor<4>>,
        taps: &mut Taps,
    ) -> Tensor<4> {
        for layer in &self.layers {
            let joined = match skips.pop() {
                Some(skip) => Tensor::cat(vec![x, skip], 3),
                None => x,
            };
            x = layer.forward(joined, conditions, taps);
        }
        if let Some(upsampler) = &self.upsampler {
            let [_, height, width, _] = x.dims();
            let [_, new_height, new_width, _] =
                skips.last().map_or([0, 2 * height, 2 * width, 0], |skip| skip.dims());
            x = upsampler.forward(upsample_nearest(x, new_height, new_width));
        }
        taps.see_picture(&self.name, &x);
        x
    }
}
