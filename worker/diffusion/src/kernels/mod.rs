//! Kernels of our own: forward and gradient of what dominates a step.
//!
//! A backend composes normalisation, GELU and attention of many passes over memory, with a copy of every intermediate for
//! autodiff. Each kernel here is one pass or a few and keeps one tensor for its gradient, or none; attention keeps queries,
//! keys and values, and no matrix of scores. Parameters are constants: there are gradients for the inputs alone.
//!
//! [`Kernels`] and [`Gradients`] say what there is, [`cpu`] has it for the CPU in f32, `gpu` for cards in any float type, and
//! [`autodiff`] joins the two for all of them. Elsewhere (the CPU in another float type) the layers compose the same operations
//! of tensor functions; tests hold the two against each other.

mod autodiff;
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
mod on_tensors;
#[cfg(test)]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use crate::layers::Sampling;
pub(crate) use on_tensors::{
    attention, conv_weight, conv3x3, convolves_outputs_first, exact_gelu, gated_gelu, group_norm, layer_norm,
    linear, linear_weight, serve,
};

/// How attention weighs its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weighing {
    /// What scores are multiplied with before the softmax; above 0.
    pub(crate) scale: f64,
    /// Whether query `i` sees only the keys up to `i`; there are as many keys as queries then.
    pub(crate) causal: bool,
}

/// How group normalisation works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grouping {
    /// Groups of channels; they divide the channels.
    pub(crate) groups: usize,
    /// Added to the variance.
    pub(crate) epsilon: f64,
    /// SiLU comes after.
    pub(crate) activate: bool,
}

/// The operations, for tensors that [`serve`] accepts.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"), Autodiff)]
pub(crate) trait Kernels: Backend {
    /// The weights of [`Kernels::linear_map`], `[inputs, outputs]`, with their numbers in the order that the device's kernels want:
    /// afterwards they are for those alone. To be done once, when they are loaded.
    fn linear_weight(weight: FloatTensor<Self>) -> FloatTensor<Self> {
        weight
    }

    /// The same for [`Kernels::conv3x3`].
    fn conv_weight(weight: FloatTensor<Self>) -> FloatTensor<Self> {
        weight
    }

    /// `x weight` over the last dimension, with `weight` `[inputs, outputs]` as [`Kernels::linear_weight`] made it.
    fn linear_map(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::product::<Self>(x, weight)
    }

    /// `x weight + bias` over the last dimension, with the same weights.
    fn affine_map(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::plus_bias::<Self>(composed::product::<Self>(x, weight), bias)
    }

    /// 3x3 convolution of `x` `[batch, height, width, inputs]`; `weight` lies as
    /// [`convolves_outputs_first`] says, and is as [`Kernels::conv_weight`] made it.
    fn conv3x3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        sampling: Sampling,
    ) -> FloatTensor<Self>;

    /// Group normalisation of `x` `[batch, height, width, channels]`.
    fn group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self>;

    /// Normalisation over the last dimension.
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// `softmax(scale q k^T) v` for `query` `[batch, heads, n, width]`, `key` and `value` `[batch, heads, m, width]`.
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self>;

    /// The exact GELU.
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `value * gelu(gate)` for `x = [value, gate]` over the last dimension.
    fn gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The gradients of the inputs of [`Kernels`], given `grad`, the gradient of the result.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
pub(crate) trait Gradients: Backend {
    /// Of [`Kernels::linear_map`] and [`Kernels::affine_map`].
    fn linear_gradient(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::turned_product::<Self>(grad, weight)
    }

    /// Of [`Kernels::conv3x3`], whose input was `[batch, height, width, inputs]`.
    fn conv3x3_gradient(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        input: [usize; 4],
        sampling: Sampling,
    ) -> FloatTensor<Self>;

    /// Of [`Kernels::group_norm`] at `x`.
    fn group_norm_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self>;

    /// Of [`Kernels::layer_norm`] at `x`.
    fn layer_norm_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// Of [`Kernels::attend`]: of queries, keys and values.
    fn attend_gradient(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        weighing: Weighing,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Of [`Kernels::exact_gelu`] at `x`.
    fn exact_gelu_gradient(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Of [`Kernels::gated_gelu`] at `x`.
    fn gated_gelu_gradient(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Linear layers of a backend's own operations.
mod composed {
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Backend, TensorMetadata};
    use burn::tensor::Shape;

    /// The rows of `x` times `matrix`.
    pub(super) fn product<B: Backend>(x: FloatTensor<B>, matrix: FloatTensor<B>) -> FloatTensor<B> {
        let (mut shape, inner) = (x.shape(), matrix.shape());
        let last = shape.num_dims() - 1;
        let rows = shape.num_elements() / inner[0];
        let y = B::float_matmul(B::float_reshape(x, Shape::new([rows, inner[0]])), matrix);
        shape[last] = inner[1];
        B::float_reshape(y, shape)
    }

    /// The rows of `grad` times the transpose of `matrix`.
    pub(super) fn turned_product<B: Backend>(grad: FloatTensor<B>, matrix: FloatTensor<B>) -> FloatTensor<B> {
        product::<B>(grad, B::float_transpose(matrix))
    }

    pub(super) fn plus_bias<B: Backend>(y: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
        let mut ones = vec![1; y.shape().num_dims()];
        if let Some(last) = ones.last_mut() {
            *last = bias.shape()[0];
        }
        B::float_add(y, B::float_reshape(bias, Shape::from(ones)))
    }
}
