//! The kernels under autodiff: what each operation keeps, and its gradient in the backward pass.

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::conv::Conv3x3Op;
use super::gelu::{GatedGeluOp, GeluOp};
use super::group_norm::GroupNormOp;
use super::layer_norm::LayerNormOp;
use super::linear::LinearOp;
use super::softmax::SoftmaxOp;
use super::{Floats, Kernels, Operation};
use crate::layers::Sampling;

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn linear_map(x: Tracked<C>, weight: Tracked<C>) -> Tracked<C> {
        run::<C, _>(x, LinearOp { weight: constant::<C>(weight), bias: None })
    }

    fn affine_map(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>) -> Tracked<C> {
        run::<C, _>(x, LinearOp { weight: constant::<C>(weight), bias: Some(constant::<C>(bias)) })
    }

    fn conv3x3(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, sampling: Sampling) -> Tracked<C> {
        run::<C, _>(x, Conv3x3Op { weight: constant::<C>(weight), bias: constant::<C>(bias), sampling })
    }

    fn group_norm(
        x: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        groups: usize,
        epsilon: f64,
        activate: bool,
    ) -> Tracked<C> {
        let (gamma, beta) = (constant::<C>(gamma), constant::<C>(beta));
        run::<C, _>(x, GroupNormOp { gamma, beta, groups, epsilon, activate })
    }

    fn layer_norm(x: Tracked<C>, gamma: Tracked<C>, beta: Tracked<C>, epsilon: f64) -> Tracked<C> {
        run::<C, _>(x, LayerNormOp { gamma: constant::<C>(gamma), beta: constant::<C>(beta), epsilon })
    }

    fn scaled_softmax(x: Tracked<C>, scale: f64) -> Tracked<C> {
        run::<C, _>(x, SoftmaxOp { scale: scale as f32 })
    }

    fn exact_gelu(x: Tracked<C>) -> Tracked<C> {
        run::<C, _>(x, GeluOp)
    }

    fn gated_gelu(x: Tracked<C>) -> Tracked<C> {
        run::<C, _>(x, GatedGeluOp)
    }
}

/// A parameter: its gradient is never asked for.
fn constant<C: CheckpointStrategy>(parameter: Tracked<C>) -> Floats {
    parameter.into_parts().0
}

#[derive(Debug)]
struct InputGradient<O>(PhantomData<O>);

impl<O: Operation> Backward<Flex, 1> for InputGradient<O> {
    type State = (O, O::Kept);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (operation, kept) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, grads, |grad| operation.gradient(kept, grad));
    }
}

fn run<C: CheckpointStrategy, O: Operation>(x: Tracked<C>, operation: O) -> Tracked<C> {
    let (x, node) = x.into_parts();
    let y = operation.forward(&x);
    match InputGradient(PhantomData).prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let kept = operation.keep(x, &y);
            prepared.finish((operation, kept), y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}
