//! Activation functions.

use burn::tensor::{Tensor, activation};

/// `x * sigmoid(x)`.
pub(crate) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// The exact GELU, by the error function; the tanh approximation is off by 1.5e-4 in the text encoder.
pub(crate) fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

/// `x * sigmoid(1.702 x)`, which OpenAI's CLIP was trained with (Stable Diffusion 1.x).
pub(crate) fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}
