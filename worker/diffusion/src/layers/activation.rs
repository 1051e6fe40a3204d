//! Activation functions.

use burn::tensor::{Tensor, activation};

use crate::kernels;

/// `x * sigmoid(x)`.
pub(crate) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// The exact GELU, by the error function; the tanh approximation is off by 1.5e-4 in the text encoder.
pub(crate) fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernels::serve(&x) { kernels::exact_gelu(x) } else { activation::gelu(x) }
}

/// `value * gelu(gate)` for `x = [value, gate]` over the last dimension (GEGLU).
pub(crate) fn gated_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernels::serve(&x) {
        return kernels::gated_gelu(x);
    }
    let half = x.dims()[D - 1] / 2;
    let value = x.clone().narrow(D - 1, 0, half);
    value * activation::gelu(x.narrow(D - 1, half, half))
}

/// `x * sigmoid(1.702 x)`, which OpenAI's CLIP was trained with (Stable Diffusion 1.x).
pub(crate) fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}
