//! A linear layer over the last dimension, which is also a 1x1 convolution on channels-last data.

use burn::tensor::Tensor;

use crate::kernels;
use crate::weights::{WeightError, Weights};

/// `y = x W + b` over the last dimension.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[inputs, outputs]`, as [`kernels::linear_weight`] made it; stored as `[outputs, inputs]`.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// Of weights `[inputs, outputs]` in the order of their dimensions.
    fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight: kernels::linear_weight(weight), bias }
    }

    pub(crate) fn load(weights: &Weights<'_>, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let mut layer = Self::load_without_bias(weights, inputs, outputs)?;
        layer.bias = Some(weights.tensor("bias", [outputs])?);
        Ok(layer)
    }

    pub(crate) fn load_without_bias(
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        Ok(Self::new(weights.matrix("weight", [outputs, inputs])?, None))
    }

    /// A layer that is stored as a 1x1 convolution, `[outputs, inputs, 1, 1]`.
    pub(crate) fn load_conv1x1(
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        let weight = weights.kernel("weight", [outputs, inputs, 1, 1])?.reshape([inputs, outputs]);
        Ok(Self::new(weight, Some(weights.tensor("bias", [outputs])?)))
    }

    /// A convolution without bias whose stride is its kernel's side, stored as `[outputs, inputs, side, side]`: a linear layer
    /// over patches of `side * side * inputs` numbers, row by row, channels last.
    pub(crate) fn load_patches(
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
        side: usize,
    ) -> Result<Self, WeightError> {
        let weight = weights.kernel("weight", [outputs, inputs, side, side])?;
        Ok(Self::new(weight.reshape([side * side * inputs, outputs]), None))
    }

    /// A layer that is stored either way, depending on the file's age.
    pub(crate) fn load_either(
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        match weights.rank("weight") {
            Some(4) => Self::load_conv1x1(weights, inputs, outputs),
            _ => Self::load(weights, inputs, outputs),
        }
    }

    /// `[..., inputs]` to `[..., outputs]`, as one matrix product over all leading dimensions.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if kernels::serve(&x) {
            return kernels::linear(x, self.weight.clone(), self.bias.clone());
        }
        let mut shape = x.dims();
        let [inputs, outputs] = self.weight.dims();
        let y = x.reshape([-1, inputs as i32]).matmul(self.weight.clone());
        let y = match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        };
        shape[D - 1] = outputs;
        y.reshape(shape)
    }
}
