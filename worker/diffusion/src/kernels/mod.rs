//! Kernels of our own for the CPU in f32: forward and gradient of what dominates a step.
//!
//! The CPU backend composes normalisation, GELU and softmax of many passes over memory, with a copy of
//! every intermediate for autodiff, and convolves in another order of dimensions than ours. Each kernel
//! here is one pass or two and keeps one tensor for its gradient, or none. Parameters are constants: there
//! are gradients for the input alone. Elsewhere (another device, another float type) the layers compose
//! the same operation of tensor functions; tests hold the two against each other.

mod autodiff;
mod conv;
mod gelu;
mod group_norm;
mod layer_norm;
mod linear;
mod math;
mod rows;
mod softmax;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::layers::Sampling;

/// What the CPU backend keeps a float tensor in.
type Floats = FloatTensor<Flex>;

/// Whether the kernels serve this tensor: f32 on the CPU backend, tracked or not.
pub(crate) fn serve<const D: usize>(x: &Tensor<D>) -> bool {
    let on_cpu = |device: &DispatchDevice| matches!(device, DispatchDevice::Flex(_));
    x.dtype() == DType::F32 && on_cpu(x.device().inner().as_dispatch())
}

/// The operations, for tensors that [`serve`] accepts.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    /// `x weight` over the last dimension, with `weight` `[inputs, outputs]`.
    fn linear_map(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `x weight + bias` over the last dimension, with `weight` `[inputs, outputs]`.
    fn affine_map(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// 3x3 convolution of `x` `[batch, height, width, inputs]` with `weight` `[3, 3, inputs, outputs]`.
    fn conv3x3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        sampling: Sampling,
    ) -> FloatTensor<Self>;

    /// Group normalisation of `x` `[batch, height, width, channels]`, then SiLU if `activate`.
    fn group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        activate: bool,
    ) -> FloatTensor<Self>;

    /// Normalisation over the last dimension.
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// `softmax(scale * x)` over the last dimension.
    fn scaled_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self>;

    /// The exact GELU.
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `value * gelu(gate)` for `x = [value, gate]` over the last dimension.
    fn gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// An operation of one tracked input.
trait Operation: Clone + std::fmt::Debug + Send + 'static {
    /// What the gradient needs of the forward pass.
    type Kept: Clone + std::fmt::Debug + Send + 'static;

    fn forward(&self, x: &Floats) -> Floats;

    fn keep(&self, x: Floats, y: &Floats) -> Self::Kept;

    /// The gradient of the input, given that of the output.
    fn gradient(&self, kept: Self::Kept, grad: Floats) -> Floats;
}

impl Kernels for Flex {
    fn linear_map(x: Floats, weight: Floats) -> Floats {
        linear::LinearOp { weight, bias: None }.forward(&x)
    }

    fn affine_map(x: Floats, weight: Floats, bias: Floats) -> Floats {
        linear::LinearOp { weight, bias: Some(bias) }.forward(&x)
    }

    fn conv3x3(x: Floats, weight: Floats, bias: Floats, sampling: Sampling) -> Floats {
        conv::Conv3x3Op { weight, bias, sampling }.forward(&x)
    }

    fn group_norm(
        x: Floats,
        gamma: Floats,
        beta: Floats,
        groups: usize,
        epsilon: f64,
        activate: bool,
    ) -> Floats {
        group_norm::GroupNormOp { gamma, beta, groups, epsilon, activate }.forward(&x)
    }

    fn layer_norm(x: Floats, gamma: Floats, beta: Floats, epsilon: f64) -> Floats {
        layer_norm::LayerNormOp { gamma, beta, epsilon }.forward(&x)
    }

    fn scaled_softmax(x: Floats, scale: f64) -> Floats {
        softmax::SoftmaxOp { scale: scale as f32 }.forward(&x)
    }

    fn exact_gelu(x: Floats) -> Floats {
        gelu::GeluOp.forward(&x)
    }

    fn gated_gelu(x: Floats) -> Floats {
        gelu::GatedGeluOp.forward(&x)
    }
}

/// As [`Kernels::linear_map`] or [`Kernels::affine_map`], on tensors.
pub(crate) fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => <Dispatch as Kernels>::linear_map(x, weight),
        Some(bias) => <Dispatch as Kernels>::affine_map(x, weight, bias.into_dispatch()),
    })
}

/// As [`Kernels::conv3x3`], on tensors.
pub(crate) fn conv3x3(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, sampling: Sampling) -> Tensor<4> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::conv3x3(x, weight, bias, sampling))
}

/// As [`Kernels::group_norm`], on tensors.
pub(crate) fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activate: bool,
) -> Tensor<4> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::group_norm(x, gamma, beta, groups, epsilon, activate))
}

/// As [`Kernels::layer_norm`], on tensors.
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::layer_norm(x, gamma, beta, epsilon))
}

/// As [`Kernels::scaled_softmax`], on tensors.
pub(crate) fn scaled_softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::scaled_softmax(x.into_dispatch(), scale))
}

/// As [`Kernels::exact_gelu`], on tensors.
pub(crate) fn exact_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::exact_gelu(x.into_dispatch()))
}

/// As [`Kernels::gated_gelu`], on tensors.
pub(crate) fn gated_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::gated_gelu(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
