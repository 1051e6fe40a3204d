//! The kernels on tensors.

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Device, Tensor};

use super::{Grouping, Kernels, Weighing};
use crate::layers::Sampling;

/// Whether the kernels serve this tensor, tracked or not: on the CPU f32, on a card every float type.
pub(crate) fn serve<const D: usize>(x: &Tensor<D>) -> bool {
    match x.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => x.dtype() == DType::F32,
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// Whether a convolution's weights lie as `[outputs, 3, 3, inputs]` on this device, else as `[3, 3, inputs, outputs]`.
pub(crate) fn convolves_outputs_first(device: &Device) -> bool {
    !matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// As [`Kernels::linear_weight`].
pub(crate) fn linear_weight(weight: Tensor<2>) -> Tensor<2> {
    if !serve(&weight) {
        return weight;
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::linear_weight(weight.into_dispatch()))
}

/// As [`Kernels::conv_weight`], where [`convolves_outputs_first`] holds.
pub(crate) fn conv_weight(weight: Tensor<4>) -> Tensor<4> {
    if !serve(&weight) {
        return weight;
    }
    Tensor::from_dispatch(<Dispatch as Kernels>::conv_weight(weight.into_dispatch()))
}

/// As [`Kernels::linear_map`] or [`Kernels::affine_map`].
pub(crate) fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => <Dispatch as Kernels>::linear_map(x, weight),
        Some(bias) => <Dispatch as Kernels>::affine_map(x, weight, bias.into_dispatch()),
    })
}

/// As [`Kernels::conv3x3`].
pub(crate) fn conv3x3(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, sampling: Sampling) -> Tensor<4> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::conv3x3(x, weight, bias, sampling))
}

/// As [`Kernels::group_norm`].
pub(crate) fn group_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, grouping: Grouping) -> Tensor<4> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::group_norm(x, gamma, beta, grouping))
}

/// As [`Kernels::layer_norm`].
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::layer_norm(x, gamma, beta, epsilon))
}

/// As [`Kernels::attend`].
pub(crate) fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, weighing: Weighing) -> Tensor<4> {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::attend(query, key, value, weighing))
}

/// As [`Kernels::exact_gelu`].
pub(crate) fn exact_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::exact_gelu(x.into_dispatch()))
}

/// As [`Kernels::gated_gelu`].
pub(crate) fn gated_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::gated_gelu(x.into_dispatch()))
}
