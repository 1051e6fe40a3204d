//! Activation functions.

use burn::tensor::{Tensor, activation};

use crate::kernels;

/// The activation in the feed-forward layers of CLIP's towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenAct {
    /// The exact GELU, by the error function (Stable Diffusion 2.x).
    Gelu,
    /// `x * sigmoid(1.702 x)` (Stable Diffusion 1.x).
    QuickGelu,
}

impl HiddenAct {
    /// The activation of every number, same shape out.
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => gelu_erf(x),
            Self::QuickGelu => quick_gelu(x),
        }
    }
}

/// `x * sigmoid(x)`.
pub(crate) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// The exact GELU, by the error function; the tanh approximation is off by 1.5e-4 in the text encoder.
fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
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
fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}
