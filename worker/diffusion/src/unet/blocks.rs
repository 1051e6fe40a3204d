//! The UNet's levels: the way down, the middle, the way up.

use burn::tensor::Tensor;

use super::transformer::SpatialTransformer;
use super::walk::{Unit, Walk};
use super::{UNetConfig, UNetLevel};
use crate::layers::{Conv3x3, ResnetBlock, ResnetSizes, Sampling};
use crate::weights::{WeightError, Weights};

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

    fn forward<'u>(&'u self, x: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        let y = walk.through(Unit::Residual(&self.resnet), x);
        self.attend(y, walk)
    }

    /// As [`Layer::forward`], with the last skip beside `x`.
    fn forward_with_skip<'u>(&'u self, x: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        let y = walk.through_with_skip(Unit::Residual(&self.resnet), x);
        self.attend(y, walk)
    }

    fn attend<'u>(&'u self, y: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        walk.see(&self.name, &y);
        match &self.attention {
            Some(attention) => walk.through(Unit::Attention(attention), y),
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

    /// Leaves every intermediate result for the way up.
    pub(crate) fn forward<'u>(&'u self, mut x: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        for layer in &self.layers {
            x = layer.forward(x, walk);
            walk.leave_skip(&x);
        }
        if let Some(downsampler) = &self.downsampler {
            x = walk.through(Unit::Down(downsampler), x);
            walk.leave_skip(&x);
        }
        walk.see(&self.name, &x);
        x
    }

    /// Its attention blocks in the order in which an evaluation comes by them.
    pub(crate) fn attentions(&self) -> impl Iterator<Item = &SpatialTransformer> {
        self.layers.iter().filter_map(|layer| layer.attention.as_ref())
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

    pub(crate) fn forward<'u>(&'u self, x: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        let x = self.first.forward(x, walk);
        let x = self.last.forward(x, walk);
        walk.see(&self.name, &x);
        x
    }

    /// Its attention blocks in the order in which an evaluation comes by them.
    pub(crate) fn attentions(&self) -> impl Iterator<Item = &SpatialTransformer> {
        [&self.first, &self.last].into_iter().filter_map(|layer| layer.attention.as_ref())
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

    /// Takes its share of the skips, and enlarges to the size of the skip that the next level will take: odd
    /// sizes, which halving rounded up, fit again.
    pub(crate) fn forward<'u>(&'u self, mut x: Tensor<4>, walk: &mut Walk<'u, '_>) -> Tensor<4> {
        for layer in &self.layers {
            x = layer.forward_with_skip(x, walk);
        }
        if let Some(upsampler) = &self.upsampler {
            let [_, height, width, _] = x.dims();
            let size = walk.next_size().unwrap_or([2 * height, 2 * width]);
            x = walk.through(Unit::Up(upsampler, size), x);
        }
        walk.see(&self.name, &x);
        x
    }

    /// Its attention blocks in the order in which an evaluation comes by them.
    pub(crate) fn attentions(&self) -> impl Iterator<Item = &SpatialTransformer> {
        self.layers.iter().filter_map(|layer| layer.attention.as_ref())
    }
}
