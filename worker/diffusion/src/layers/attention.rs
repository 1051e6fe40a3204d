//! Multi-head scaled dot-product attention.

use burn::tensor::{DType, FloatDType, Tensor, TensorData, activation::softmax};

use crate::kernels::{self, Weighing};

/// How queries, keys and values are cut into heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention {
    /// The number of heads; it divides the width.
    pub(crate) heads: usize,
    /// A query sees no later key.
    pub(crate) causal: bool,
    /// Compute the scores in f32 even where the model is narrower; the kernels do so always.
    pub(crate) upcast: bool,
}

impl Attention {
    /// `softmax(q k^T / sqrt(width / heads)) v` for `q` `[batch, n, width]`, `k` and `v` `[batch, m, width]`.
    pub(crate) fn attend(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let shape @ [_, _, width] = query.dims();
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let (query, key, value) = (self.split(query), self.split(key), self.split(value));
        let attended = match kernels::serve(&query) {
            true => kernels::attention(query, key, value, Weighing { scale, causal: self.causal }),
            false => self.composed(query, key, value, scale),
        };
        attended.swap_dims(1, 2).reshape(shape)
    }

    /// `[batch, n, width]` to a view `[batch, heads, n, width / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, n, width] = x.dims();
        x.reshape([batch, n, self.heads, width / self.heads]).swap_dims(1, 2)
    }

    fn composed(&self, query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f64) -> Tensor<4> {
        let dtype = query.dtype();
        let (query, key) = match self.upcast {
            true => (query.cast(FloatDType::F32), key.cast(FloatDType::F32)),
            false => (query, key),
        };
        let scores = query.matmul(key.swap_dims(2, 3)) * scale;
        let scores = if self.causal { hide_later_positions(scores) } else { scores };
        softmax(scores, 3).cast(dtype).matmul(value)
    }
}

/// Scores `[batch, heads, n, n]` of which a row keeps those up to its own position.
fn hide_later_positions(scores: Tensor<4>) -> Tensor<4> {
    let [_, _, length, _] = scores.dims();
    let (device, dtype) = (scores.device(), scores.dtype());
    let mask: Vec<f32> = (0..length * length)
        .map(|index| if index % length > index / length { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    let mask = Tensor::<4>::from_data(TensorData::new(mask, [1, 1, length, length]), (&device, DType::F32));
    scores + mask.cast(dtype)
}
