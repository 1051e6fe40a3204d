//! 3x3 convolution on channels-last data.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::Tensor;

use super::{channels_first, channels_last};
use crate::weights::{WeightError, Weights};

/// Where a convolution pads its input with zeros, and how far it strides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// Stride 1, one pixel of padding on all sides: the size stays.
    Same,
    /// Stride 2, one pixel of padding on all sides: the UNet's down-sampling.
    HalvePadAll,
    /// Stride 2, one pixel of padding at the right and the bottom: the VAE encoder's down-sampling.
    HalvePadRightBottom,
}

/// A 3x3 convolution with bias.
#[derive(Debug, Clone)]
pub(crate) struct Conv3x3 {
    /// `[outputs, inputs, 3, 3]`.
    weight: Tensor<4>,
    bias: Tensor<1>,
    sampling: Sampling,
}

impl Conv3x3 {
    pub(crate) fn load(
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
        sampling: Sampling,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            weight: weights.tensor("weight", [outputs, inputs, 3, 3])?,
            bias: weights.tensor("bias", [outputs])?,
            sampling,
        })
    }

    /// `[batch, height, width, inputs]` to `[batch, height', width', outputs]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (stride, padding) = match self.sampling {
            Sampling::Same => (1, (1, 1)),
            Sampling::HalvePadAll => (2, (1, 1)),
            Sampling::HalvePadRightBottom => (2, (0, 1)),
        };
        let options = ConvOptions::new_with_padding([stride; 2], [padding; 2], [1; 2], 1);
        let y = conv2d(channels_first(x), self.weight.clone(), Some(self.bias.clone()), options);
        channels_last(y)
    }
}
