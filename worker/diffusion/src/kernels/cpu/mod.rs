//! The kernels for the CPU in f32, on the tensors of burn's own CPU backend.

mod attention;
mod conv;
mod gelu;
mod group_norm;
mod layer_norm;
mod linear;
mod math;
mod rows;
mod softmax;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::{Gradients, Grouping, Kernels, Weighing};
use crate::layers::Sampling;
use attention::AttentionOp;
use conv::Conv3x3Op;
use group_norm::GroupNormOp;
use layer_norm::LayerNormOp;
use linear::LinearOp;

/// What the CPU backend keeps a float tensor in.
type Floats = FloatTensor<Flex>;

impl Kernels for Flex {
    fn linear_map(x: Floats, weight: Floats) -> Floats {
        LinearOp { weight, bias: None }.forward(&x)
    }

    fn affine_map(x: Floats, weight: Floats, bias: Floats) -> Floats {
        LinearOp { weight, bias: Some(bias) }.forward(&x)
    }

    fn conv3x3(x: Floats, weight: Floats, bias: Floats, sampling: Sampling) -> Floats {
        Conv3x3Op { weight, sampling }.forward(&x, &bias)
    }

    fn group_norm(x: Floats, gamma: Floats, beta: Floats, grouping: Grouping) -> Floats {
        GroupNormOp { gamma, beta, grouping }.forward(&x)
    }

    fn layer_norm(x: Floats, gamma: Floats, beta: Floats, epsilon: f64) -> Floats {
        LayerNormOp { gamma, epsilon }.forward(&x, &beta)
    }

    fn attend(query: Floats, key: Floats, value: Floats, weighing: Weighing) -> Floats {
        AttentionOp { query, key, value, weighing }.forward()
    }

    fn exact_gelu(x: Floats) -> Floats {
        gelu::exact(&x)
    }

    fn gated_gelu(x: Floats) -> Floats {
        gelu::gated(&x)
    }
}

impl Gradients for Flex {
    fn linear_gradient(grad: Floats, weight: Floats) -> Floats {
        LinearOp { weight, bias: None }.gradient(&grad)
    }

    fn conv3x3_gradient(grad: Floats, weight: Floats, input: [usize; 4], sampling: Sampling) -> Floats {
        Conv3x3Op { weight, sampling }.gradient(input, &grad)
    }

    fn group_norm_gradient(
        x: Floats,
        gamma: Floats,
        beta: Floats,
        grad: Floats,
        grouping: Grouping,
    ) -> Floats {
        GroupNormOp { gamma, beta, grouping }.gradient(&x, &grad)
    }

    fn layer_norm_gradient(x: Floats, gamma: Floats, grad: Floats, epsilon: f64) -> Floats {
        LayerNormOp { gamma, epsilon }.gradient(&x, &grad)
    }

    fn attend_gradient(
        query: Floats,
        key: Floats,
        value: Floats,
        grad: Floats,
        weighing: Weighing,
    ) -> (Floats, Floats, Floats) {
        AttentionOp { query, key, value, weighing }.gradients(&grad)
    }

    fn exact_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::exact_gradient(&x, &grad)
    }

    fn gated_gelu_gradient(x: Floats, grad: Floats) -> Floats {
        gelu::gated_gradient(&x, &grad)
    }
}
