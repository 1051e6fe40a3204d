//! A context as the network hears it: the keys and values of every cross-attention.

use burn::tensor::Tensor;

/// What every transformer layer attends to, worked out of one context: good for as many evaluations as it stays the same.
///
/// Made by [`UNet2DCondition::prepare_context`](super::UNet2DCondition::prepare_context) for that network alone.
#[derive(Debug, Clone)]
pub struct PreparedContext {
    /// In the order in which an evaluation comes by the layers.
    pub(super) layers: Vec<KeysValues>,
}

/// Keys and values of one attention, each `[batch, length, channels]`, the heads side by side.
#[derive(Debug, Clone)]
pub(crate) struct KeysValues {
    pub(super) key: Tensor<3>,
    pub(super) value: Tensor<3>,
}
