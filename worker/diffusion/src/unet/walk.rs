//! One evaluation on its way through the network, unit by unit: what it carries, and what every unit is told.

use burn::tensor::Tensor;

use super::context::{KeysValues, PreparedContext};
use super::tape::Notes;
use super::transformer::SpatialTransformer;
use super::{Output, Taps};
use crate::layers::{Conv3x3, ResnetBlock, upsample_nearest};

/// A part of the network that is gone through as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit<'u> {
    /// A residual block.
    Residual(&'u ResnetBlock),
    /// Attention to the context.
    Attention(&'u SpatialTransformer),
    /// To half the size.
    Down(&'u Conv3x3),
    /// To this height and width.
    Up(&'u Conv3x3, [usize; 2]),
    /// To the prediction.
    Output(&'u Output),
}

impl Unit<'_> {
    /// `x` is `[batch, height, width, channels]`; `layers` are what [`Unit::prepare`] makes of the context.
    pub(super) fn forward(
        self,
        x: Tensor<4>,
        activated_time: &Tensor<2>,
        layers: &[KeysValues],
        taps: &mut Taps,
    ) -> Tensor<4> {
        match self {
            Self::Residual(block) => block.forward(x, Some(activated_time)),
            Self::Attention(block) => block.forward(x, layers, taps),
            Self::Down(conv) => conv.forward(x),
            Self::Up(conv, [height, width]) => conv.forward(upsample_nearest(x, height, width)),
            Self::Output(output) => output.forward(x, taps),
        }
    }

    /// The keys and values of its layers; none where it does not attend.
    pub(super) fn prepare(self, context: &Tensor<3>) -> Vec<KeysValues> {
        match self {
            Self::Attention(block) => block.prepare(context).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn attends(self) -> bool {
        matches!(self, Self::Attention(_))
    }
}

/// One evaluation under way.
pub(crate) struct Walk<'u, 'a> {
    /// SiLU of the time embedding, `[batch, time_width]`.
    activated_time: &'a Tensor<2>,
    /// What the layers ahead attend to.
    layers: &'a [KeysValues],
    /// What the way down has left for the way up.
    skips: Vec<Tensor<4>>,
    taps: &'a mut Taps,
    notes: Option<Notes<'u>>,
}

impl<'u, 'a> Walk<'u, 'a> {
    pub(super) fn new(
        activated_time: &'a Tensor<2>,
        context: &'a PreparedContext,
        taps: &'a mut Taps,
    ) -> Self {
        Self { activated_time, layers: &context.layers, skips: Vec::new(), taps, notes: None }
    }

    /// Notes the units' inputs, for the way back.
    pub(super) fn noting(self) -> Self {
        Self { notes: Some(Notes::default()), ..self }
    }

    /// What was noted.
    pub(super) fn into_notes(self) -> Notes<'u> {
        self.notes.unwrap_or_default()
    }

    /// Through a unit.
    pub(crate) fn through(&mut self, unit: Unit<'u>, x: Tensor<4>) -> Tensor<4> {
        self.go(unit, x, None)
    }

    /// Through a unit with the skip that was left last beside `x`.
    pub(crate) fn through_with_skip(&mut self, unit: Unit<'u>, x: Tensor<4>) -> Tensor<4> {
        let skip = self.skips.pop();
        self.go(unit, x, skip)
    }

    /// Leaves `x`, which came out of the last unit, for the way up too.
    pub(crate) fn leave_skip(&mut self, x: &Tensor<4>) {
        self.skips.push(x.clone());
        if let Some(notes) = &mut self.notes {
            notes.skip_left();
        }
    }

    /// Height and width of the skip that is taken next.
    pub(crate) fn next_size(&self) -> Option<[usize; 2]> {
        self.skips.last().map(|skip| {
            let [_, height, width, _] = skip.dims();
            [height, width]
        })
    }

    pub(crate) fn see(&mut self, name: &str, activation: &Tensor<4>) {
        self.taps.see_picture(name, activation);
    }

    fn go(&mut self, unit: Unit<'u>, x: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
        if let Some(notes) = &mut self.notes {
            notes.entered(unit, &x, skip.as_ref(), self.skips.len());
        }
        let depth = if let Unit::Attention(block) = unit { block.depth() } else { 0 };
        let (own, ahead) = self.layers.split_at(depth.min(self.layers.len()));
        self.layers = ahead;
        unit.forward(beside(x, skip), self.activated_time, own, self.taps)
    }
}

/// `x` and the skip's channels after its own.
pub(super) fn beside(x: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
    match skip {
        Some(skip) => Tensor::cat(vec![x, skip], 3),
        None => x,
    }
}
