//! The kernels for cards, in CubeCL, on the tensors of burn's CubeCL backend: in any float type, sums always in f32.
//!
//! A kernel reads what lies in the order of its dimensions and copies a view first. Sums run over a cube's units by halves, through
//! shared memory.

mod attention;
mod conv;
mod gelu;
mod group_norm;
mod launch;
mod layer_norm;
mod moments;
mod reduce;

use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;

use super::{Gradients, Grouping, Kernels, Weighing};
use crate::layers::Sampling;

/// What the backend keeps a float tensor in.
type Floats = FloatTensor<CubeBackend>;

impl Kernels for CubeBackend {
    fn conv3x3(x: Floats, weight: Floats, bias: Floats, sampling: Sampling) -> Floats {
        conv::forward(x, weight, bias, sampling)
    }

    fn group_norm(x: Floats, gamma: Floats, beta: Floats, grouping: Grouping) -> Floats {
        group_norm::forward(x, gamma, beta, grouping)
    }

    fn layer_norm(x: Floats, gamma: Floats, beta: Floats, epsilon: f64) -> Floats {
        layer_norm::forward(x, gamma, beta, epsilon)
    }

    fn attend(query: Floats, key: Floats, value: Floats, weighing: Weighing) -> Floats {
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
    fn conv3x3_gradient(grad: Floats, weight: Floats, input: [usize; 4], sampling: Sampling) -> Floats {
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
        attention::gradients(query, key, value, grad, weighing)
    }

    fn exact_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::exact_gradient(x, grad)
    }

    fn gated_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::gated_gradient(x, grad)
    }
}
