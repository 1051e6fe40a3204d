//! The way back to the context in little memory (activation checkpointing; Chen et al., 2016).
//!
//! Autodiff keeps what every operation needs for its gradient. A [`Tape`] keeps the inputs of the network's units alone, and
//! goes through each unit a second time, under autodiff, when its gradient is due: in memory are the inputs and
//! one unit's inside. The price is one more forward pass.
//!
//! The prediction is the plain forward's own. The gradient is made of the same numbers as autodiff's, but where more than two meet
//! they are added in another order, and those of the context in f32. What comes before the first look at the context does not
//! depend on it: of that nothing is kept, and no gradient goes there.

use burn::tensor::{DType, FloatDType, Tensor};

use super::Taps;
use super::walk::{Unit, beside};

/// A unit that was gone through.
#[derive(Debug)]
struct Step<'u> {
    unit: Unit<'u>,
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    /// Whether the skip depends on the context.
    skip_learns: bool,
    /// Whether what came out was left for the way up too.
    left: bool,
}

/// The units since the first look at the context.
#[derive(Debug, Default)]
pub(super) struct Notes<'u> {
    steps: Vec<Step<'u>>,
    /// Skips that were left before.
    constant_skips: usize,
}

impl<'u> Notes<'u> {
    /// A unit is entered; `skips_left` is how many there are besides `skip`.
    pub(super) fn entered(
        &mut self,
        unit: Unit<'u>,
        x: &Tensor<4>,
        skip: Option<&Tensor<4>>,
        skips_left: usize,
    ) {
        if self.steps.is_empty() && !unit.attends() {
            return;
        }
        let (x, skip, skip_learns) = (x.clone(), skip.cloned(), skips_left >= self.constant_skips);
        self.steps.push(Step { unit, x, skip, skip_learns, left: false });
    }

    /// What came out of the last unit is left for the way up.
    pub(super) fn skip_left(&mut self) {
        match self.steps.last_mut() {
            Some(step) => step.left = true,
            None => self.constant_skips += 1,
        }
    }
}

/// What is kept of an evaluation.
#[derive(Debug)]
pub struct Tape<'u> {
    pub(super) activated_time: Tensor<2>,
    pub(super) context: Tensor<3>,
    pub(super) notes: Notes<'u>,
}

impl Tape<'_> {
    /// The gradient of the context, `[batch, length, cross_attention_dim]` in f32, given that of the prediction,
    /// `[batch, out_channels, height, width]` in the model's float type. Both are plain tensors.
    pub fn context_gradient(self, of_prediction: Tensor<4>) -> Tensor<3> {
        let Self { activated_time, context, notes: Notes { mut steps, .. } } = self;
        let mut of_context = Tensor::zeros(context.dims(), (&context.device(), DType::F32));
        let mut of_skips = Vec::new();
        let mut gradient = of_prediction;
        while let Some(Step { unit, x, skip, skip_learns, left }) = steps.pop() {
            if left && let Some(of_skip) = of_skips.pop() {
                gradient = gradient + of_skip;
            }
            let channels = x.dims()[3];
            let skip_channels = skip.as_ref().map(|skip| skip.dims()[3]);
            let input = beside(x, skip);
            // what the first unit is given does not depend on the context
            let input = if steps.is_empty() { input } else { input.autodiff().require_grad() };
            let heard = context.clone().autodiff().require_grad();
            let layers = unit.prepare(&heard);
            let output = unit.forward(input.clone(), &activated_time, &layers, &mut Taps::off());
            let mut gradients = (output * gradient).sum().backward();
            if let Some(of_heard) = heard.grad_remove(&mut gradients) {
                of_context = of_context + of_heard.cast(FloatDType::F32);
            }
            let Some(of_input) = input.grad_remove(&mut gradients) else { break };
            gradient = match skip_channels {
                Some(skip_channels) => {
                    if skip_learns {
                        of_skips.push(of_input.clone().narrow(3, channels, skip_channels));
                    }
                    of_input.narrow(3, 0, channels)
                }
                None => of_input,
            };
        }
        of_context
    }
}
