//! The kernels under autodiff: what each operation keeps, and where its gradients go in the backward pass.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Collected;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};

use super::{Gradients, Grouping, Kernels, Weighing};
use crate::layers::Sampling;

type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

impl<B: Kernels + Gradients, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn linear_weight(weight: Tracked<B, C>) -> Tracked<B, C> {
        Tracked::<B, C>::new(B::linear_weight(constant::<B, C>(weight)))
    }

    fn conv_weight(weight: Tracked<B, C>) -> Tracked<B, C> {
        Tracked::<B, C>::new(B::conv_weight(constant::<B, C>(weight)))
    }

    fn linear_map(x: Tracked<B, C>, weight: Tracked<B, C>) -> Tracked<B, C> {
        run::<B, C, _>(x, Linear { weight: constant::<B, C>(weight), bias: None })
    }

    fn affine_map(x: Tracked<B, C>, weight: Tracked<B, C>, bias: Tracked<B, C>) -> Tracked<B, C> {
        let (weight, bias) = (constant::<B, C>(weight), Some(constant::<B, C>(bias)));
        run::<B, C, _>(x, Linear { weight, bias })
    }

    fn conv3x3(
        x: Tracked<B, C>,
        weight: Tracked<B, C>,
        bias: Tracked<B, C>,
        sampling: Sampling,
    ) -> Tracked<B, C> {
        let (weight, bias) = (constant::<B, C>(weight), constant::<B, C>(bias));
        run::<B, C, _>(x, Conv3x3 { weight, bias, sampling })
    }

    fn group_norm(
        x: Tracked<B, C>,
        gamma: Tracked<B, C>,
        beta: Tracked<B, C>,
        grouping: Grouping,
    ) -> Tracked<B, C> {
        let (gamma, beta) = (constant::<B, C>(gamma), constant::<B, C>(beta));
        run::<B, C, _>(x, GroupNorm { gamma, beta, grouping })
    }

    fn layer_norm(
        x: Tracked<B, C>,
        gamma: Tracked<B, C>,
        beta: Tracked<B, C>,
        epsilon: f64,
    ) -> Tracked<B, C> {
        let (gamma, beta) = (constant::<B, C>(gamma), constant::<B, C>(beta));
        run::<B, C, _>(x, LayerNorm { gamma, beta, epsilon })
    }

    fn attend(
        query: Tracked<B, C>,
        key: Tracked<B, C>,
        value: Tracked<B, C>,
        weighing: Weighing,
    ) -> Tracked<B, C> {
        let ((query, of_query), (key, of_key), (value, of_value)) =
            (query.into_parts(), key.into_parts(), value.into_parts());
        let y = B::attend(query.clone(), key.clone(), value.clone(), weighing);
        match AttentionGradients.prepare::<C>([of_query, of_key, of_value]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Attended::<B> { query, key, value, weighing }, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn exact_gelu(x: Tracked<B, C>) -> Tracked<B, C> {
        run::<B, C, _>(x, Gelu)
    }

    fn gated_gelu(x: Tracked<B, C>) -> Tracked<B, C> {
        run::<B, C, _>(x, GatedGelu)
    }
}

/// A parameter: its gradient is never asked for.
fn constant<B: Backend, C: CheckpointStrategy>(parameter: Tracked<B, C>) -> FloatTensor<B> {
    parameter.into_parts().0
}

/// An operation of one tracked input.
trait Operation<B: Backend>: Clone + Debug + Send + 'static {
    /// What the gradient needs of the input.
    type Kept: Clone + Debug + Send + 'static;

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B>;

    fn keep(x: FloatTensor<B>) -> Self::Kept;

    /// The gradient of the input, given that of the result.
    fn gradient(self, kept: Self::Kept, grad: FloatTensor<B>) -> FloatTensor<B>;
}

#[derive(Debug)]
struct InputGradient<O>(PhantomData<O>);

impl<B: Backend, O: Operation<B>> Backward<B, 1> for InputGradient<O> {
    type State = (O, O::Kept);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Collected, _: &mut Checkpointer) {
        let (operation, kept) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| operation.gradient(kept, grad));
    }
}

fn run<B: Backend, C: CheckpointStrategy, O: Operation<B>>(x: Tracked<B, C>, operation: O) -> Tracked<B, C> {
    let (x, node) = x.into_parts();
    let y = operation.forward(x.clone());
    match InputGradient::<O>(PhantomData).prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((operation, O::keep(x)), y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

#[derive(Debug, Clone)]
struct Linear<T> {
    weight: T,
    bias: Option<T>,
}

impl<B: Kernels + Gradients> Operation<B> for Linear<FloatTensor<B>> {
    type Kept = ();

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        match &self.bias {
            None => B::linear_map(x, self.weight.clone()),
            Some(bias) => B::affine_map(x, self.weight.clone(), bias.clone()),
        }
    }

    fn keep(_: FloatTensor<B>) {}

    fn gradient(self, (): (), grad: FloatTensor<B>) -> FloatTensor<B> {
        B::linear_gradient(grad, self.weight)
    }
}

#[derive(Debug, Clone)]
struct Conv3x3<T> {
    weight: T,
    bias: T,
    sampling: Sampling,
}

impl<B: Kernels + Gradients> Operation<B> for Conv3x3<FloatTensor<B>> {
    /// The shape of the input.
    type Kept = [usize; 4];

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::conv3x3(x, self.weight.clone(), self.bias.clone(), self.sampling)
    }

    fn keep(x: FloatTensor<B>) -> [usize; 4] {
        x.shape().dims()
    }

    fn gradient(self, input: [usize; 4], grad: FloatTensor<B>) -> FloatTensor<B> {
        B::conv3x3_gradient(grad, self.weight, input, self.sampling)
    }
}

#[derive(Debug, Clone)]
struct GroupNorm<T> {
    gamma: T,
    beta: T,
    grouping: Grouping,
}

impl<B: Kernels + Gradients> Operation<B> for GroupNorm<FloatTensor<B>> {
    type Kept = FloatTensor<B>;

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::group_norm(x, self.gamma.clone(), self.beta.clone(), self.grouping)
    }

    fn keep(x: FloatTensor<B>) -> FloatTensor<B> {
        x
    }

    fn gradient(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::group_norm_gradient(x, self.gamma, self.beta, grad, self.grouping)
    }
}

#[derive(Debug, Clone)]
struct LayerNorm<T> {
    gamma: T,
    beta: T,
    epsilon: f64,
}

impl<B: Kernels + Gradients> Operation<B> for LayerNorm<FloatTensor<B>> {
    type Kept = FloatTensor<B>;

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        <B as Kernels>::layer_norm(x, self.gamma.clone(), self.beta.clone(), self.epsilon)
    }

    fn keep(x: FloatTensor<B>) -> FloatTensor<B> {
        x
    }

    fn gradient(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::layer_norm_gradient(x, self.gamma, grad, self.epsilon)
    }
}

#[derive(Debug, Clone)]
struct Gelu;

impl<B: Kernels + Gradients> Operation<B> for Gelu {
    type Kept = FloatTensor<B>;

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::exact_gelu(x)
    }

    fn keep(x: FloatTensor<B>) -> FloatTensor<B> {
        x
    }

    fn gradient(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::exact_gelu_gradient(x, grad)
    }
}

#[derive(Debug, Clone)]
struct GatedGelu;

impl<B: Kernels + Gradients> Operation<B> for GatedGelu {
    type Kept = FloatTensor<B>;

    fn forward(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::gated_gelu(x)
    }

    fn keep(x: FloatTensor<B>) -> FloatTensor<B> {
        x
    }

    fn gradient(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::gated_gelu_gradient(x, grad)
    }
}

/// What attention keeps: no scores, which its gradient works out anew.
#[derive(Debug, Clone)]
struct Attended<B: Backend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    weighing: Weighing,
}

#[derive(Debug)]
struct AttentionGradients;

impl<B: Kernels + Gradients> Backward<B, 3> for AttentionGradients {
    type State = Attended<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Collected, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Attended { query, key, value, weighing } = ops.state;
        let (query, key, value) = B::attend_gradient(query, key, value, grad, weighing);
        for (parent, gradient) in ops.parents.into_iter().zip([query, key, value]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
