//! The residual block of UNet and VAE (diffusers `ResnetBlock2D`).

use burn::tensor::Tensor;

use super::{Conv3x3, GroupNorm, Linear, Sampling};
use crate::weights::{WeightError, Weights};

/// The sizes of a residual block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResnetSizes {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// The width of the time embedding; `None` in the VAE, which knows no time.
    pub(crate) time_width: Option<usize>,
    pub(crate) groups: usize,
    pub(crate) epsilon: f64,
}

/// `x + conv2(silu(norm2(conv1(silu(norm1(x))) + time)))`, with a 1x1 convolution on the way past where
/// the number of channels changes.
#[derive(Debug, Clone)]
pub(crate) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv3x3,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv3x3,
    conv_shortcut: Option<Linear>,
}

impl ResnetBlock {
    pub(crate) fn load(weights: &Weights<'_>, sizes: ResnetSizes) -> Result<Self, WeightError> {
        let ResnetSizes { inputs, outputs, time_width, groups, epsilon } = sizes;
        let time_emb_proj = match time_width {
            Some(width) => Some(Linear::load(&weights.at("time_emb_proj"), width, outputs)?),
            None => None,
        };
        let conv_shortcut = match inputs == outputs {
            true => None,
            false => Some(Linear::load_conv1x1(&weights.at("conv_shortcut"), inputs, outputs)?),
        };
        Ok(Self {
            norm1: GroupNorm::load(&weights.at("norm1"), inputs, groups, epsilon)?,
            conv1: Conv3x3::load(&weights.at("conv1"), inputs, outputs, Sampling::Same)?,
            time_emb_proj,
            norm2: GroupNorm::load(&weights.at("norm2"), outputs, groups, epsilon)?,
            conv2: Conv3x3::load(&weights.at("conv2"), outputs, outputs, Sampling::Same)?,
            conv_shortcut,
        })
    }

    /// `x` is `[batch, height, width, inputs]`; `activated_time` is SiLU of the time embedding,
    /// `[batch, time_width]`, and is used if the block has a projection for it.
    pub(crate) fn forward(&self, x: Tensor<4>, activated_time: Option<&Tensor<2>>) -> Tensor<4> {
        let mut hidden = self.conv1.forward(self.norm1.forward_silu(x.clone()));
        if let (Some(projection), Some(time)) = (&self.time_emb_proj, activated_time) {
            let time = projection.forward(time.clone());
            let [batch, channels] = time.dims();
            hidden = hidden + time.reshape([batch, 1, 1, channels]);
        }
        let hidden = self.conv2.forward(self.norm2.forward_silu(hidden));
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x) + hidden,
            None => x + hidden,
        }
    }
}
