//! 3x3 convolution on channels-last data.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::{channels_first, channels_last};
use crate::kernels;
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

impl Sampling {
    /// The stride, and the padding before and after.
    pub(crate) fn stride_and_padding(self) -> (usize, usize, usize) {
        match self {
            Self::Same => (1, 1, 1),
            Self::HalvePadAll => (2, 1, 1),
            Self::HalvePadRightBottom => (2, 0, 1),
        }
    }
}

/// A 3x3 convolution with bias.
#[derive(Debug, Clone)]
pub(crate) struct Conv3x3 {
    /// As [`kernels::convolves_outputs_first`] and [`kernels::conv_weight`] say for the device; stored as `[outputs, inputs, 3, 3]`.
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
        let stored = [outputs, inputs, 3, 3];
        let weight = match kernels::convolves_outputs_first(weights.device()) {
            true => kernels::conv_weight(weights.kernel_of_outputs("weight", stored)?),
            false => weights.kernel("weight", stored)?,
        };
        Ok(Self { weight, bias: weights.tensor("bias", [outputs])?, sampling })
    }

    /// `[batch, height, width, inputs]` to `[batch, height', width', outputs]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if kernels::serve(&x) {
            return kernels::conv3x3(x, self.weight.clone(), self.bias.clone(), self.sampling);
        }
        let (stride, before, after) = self.sampling.stride_and_padding();
        let options = ConvOptions::new_with_padding([stride; 2], [(before, after); 2], [1; 2], 1);
        let weight = self.weight.clone().permute([3, 2, 0, 1]);
        let y = conv2d(channels_first(x), weight, Some(self.bias.clone()), options);
        channels_last(y)
    }
}
