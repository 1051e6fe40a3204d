//! The kernels for cards, in CubeCL, on the tensors of burn's CubeCL backend: in any float type, sums always in f32. Where
//! [`hopper`] has better ones for what the tensor cores do, those are taken.
//!
//! A kernel reads what lies in the order of its dimensions and copies a view first. Sums run over a cube's units by halves, through
//! shared memory.

mod attention;
mod conv;
mod gelu;
mod group_norm;
mod hopper;
mod launch;
mod layer_norm;
mod moments;
mod reduce;

use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;

use super::{Gradients, Grouping, Kernels, Weighing, composed};
use crate::layers::Sampling;

/// What the backend keeps a float tensor in.
type Floats = FloatTensor<CubeBackend>;

impl Kernels for CubeBackend {
    fn linear_weight(weight: Floats) -> Floats {
        if hopper::available(&weight) { hopper::linear_weight(weight) } else { weight }
    }

    fn conv_weight(weight: Floats) -> Floats {
        if hopper::available(&weight) { hopper::conv_weight(weight) } else { weight }
    }

    fn linear_map(x: Floats, weight: Floats) -> Floats {
        if hopper::available(&weight) {
            return hopper::linear(x, weight, None);
        }
        composed::product::<Self>(x, weight)
    }

    fn affine_map(x: Floats, weight: Floats, bias: Floats) -> Floats {
        if hopper::available(&weight) {
            return hopper::linear(x, weight, Some(bias));
        }
        composed::plus_bias::<Self>(composed::product::<Self>(x, weight), bias)
    }

    fn conv3x3(x: Floats, weight: Floats, bias: Floats, sampling: Sampling) -> Floats {
        if hopper::available(&weight) {
            return hopper::convolve(x, weight, bias, sampling);
        }
        conv::forward(x, weight, bias, sampling)
    }

    fn group_norm(x: Floats, gamma: Floats, beta: Floats, grouping: Grouping) -> Floats {
        group_norm::forward(x, gamma, beta, grouping)
    }

    fn layer_norm(x: Floats, gamma: Floats, beta: Floats, epsilon: f64) -> Floats {
        layer_norm::forward(x, gamma, beta, epsilon)
    }

    fn attend(query: Floats, key: Floats, value: Floats, weighing: Weighing) -> Floats {
        if hopper::attends(&query) {
            return hopper::attend(query, key, value, weighing);
        }
        attention::forward(query, key, value, weighing)
    }

    fn exact_gelu(x: Floats) -> Floats {
        gelu::exact(x)
    }

    fn gated_gelu(x: Floats) -> Floats {
        gelu::gated(x)
    }
}

impl Gradients for CubeBackend {
    fn linear_gradient(grad: Floats, weight: Floats) -> Floats {
        if hopper::available(&weight) {
            return hopper::linear_gradient(grad, weight);
        }
        composed::turned_product::<Self>(grad, weight)
    }

    fn conv3x3_gradient(grad: Floats, weight: Floats, input: [usize; 4], sampling: Sampling) -> Floats {
        if hopper::available(&weight) {
            return hopper::convolve_gradient(grad, weight, input, sampling);
        }
        conv::gradient(grad, weight, input, sampling)
    }

    fn group_norm_gradient(
        x: Floats,
        gamma: Floats,
        beta: Floats,
        grad: Floats,
        grouping: Grouping,
    ) -> Floats {
        group_norm::gradient(x, gamma, beta, grad, grouping)
    }

    fn layer_norm_gradient(x: Floats, gamma: Floats, grad: Floats, epsilon: f64) -> Floats {
        layer_norm::gradient(x, gamma, grad, epsilon)
    }

    fn attend_gradient(
        query: Floats,
        key: Floats,
        value: Floats,
        grad: Floats,
        weighing: Weighing,
    ) -> (Floats, Floats, Floats) {
        if hopper::attends(&query) {
            return hopper::attend_gradient(query, key, value, grad, weighing);
        }
        attention::gradients(query, key, value, grad, weighing)
    }

    fn exact_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::exact_gradient(x, grad)
    }

    fn gated_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::gated_gradient(x, grad)
    }
}
