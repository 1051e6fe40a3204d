//! The layers that the text encoder, the UNet, the VAE and CLIP share.
//!
//! Pictures and latents are channels-last inside the models, `[batch, height, width, channels]`: linear
//! layers and attention then need no transposition, and accelerators convolve in that order anyway.
//! Parameters are plain tensors (constants for autodiff), read bottom-up from a weight file.

mod activation;
mod attention;
mod conv;
mod encoder;
mod linear;
mod norm;
mod resample;
mod resnet;

pub use activation::HiddenAct;
pub(crate) use activation::{gated_gelu, silu};
pub(crate) use attention::Attention;
pub(crate) use conv::{Conv3x3, Sampling};
pub(crate) use encoder::{Encoder, EncoderSizes};
pub(crate) use linear::Linear;
pub(crate) use norm::{GroupNorm, LayerNorm};
pub(crate) use resample::upsample_nearest;
pub(crate) use resnet::{ResnetBlock, ResnetSizes};

use burn::tensor::Tensor;

/// `[batch, channels, height, width]` to `[batch, height, width, channels]`.
pub(crate) fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[batch, height, width, channels]` to `[batch, channels, height, width]`.
pub(crate) fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}
