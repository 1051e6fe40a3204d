//! Multi-head scaled dot-product attention.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData, activation::softmax};

use crate::kernels;

/// How queries, keys and values are cut into heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention {
    /// The number of heads; it divides the width.
    pub(crate) heads: usize,
    /// Compute the scores in f32 even where the model is narrower.
    pub(crate) upcast: bool,
}

impl Attention {
    /// `softmax((q k^T + mask) / sqrt(width / heads)) v` for `q` `[batch, n, width]`, `k` and `v`
    /// `[batch, m, width]`, `mask` broadcastable to `[batch, heads, n, m]`.
    pub(crate) fn attend(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        mask: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let shape @ [_, _, width] = query.dims();
        let dtype = query.dtype();
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let (mut query, mut key) = (self.split(query), self.split(key));
        if self.upcast {
            (query, key) = (query.cast(FloatDType::F32), key.cast(FloatDType::F32));
        }
        let scores = query.matmul(key.swap_dims(2, 3));
        let scores = match mask {
            Some(mask) => scores + mask,
            None => scores,
        };
        let probabilities = scaled_softmax(scores, scale);
        let probabilities = if self.upcast { probabilities.cast(dtype) } else { probabilities };
        probabilities.matmul(self.split(value)).swap_dims(1, 2).reshape(shape)
    }

    /// `[batch, n, width]` to a view `[batch, heads, n, width / heads]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, n, width] = x.dims();
        x.reshape([batch, n, self.heads, width / self.heads]).swap_dims(1, 2)
    }
}

/// `softmax(scale * x)` over the last dimension.
fn scaled_softmax(x: Tensor<4>, scale: f64) -> Tensor<4> {
    if kernels::serve(&x) { kernels::scaled_softmax(x, scale) } else { softmax(x * scale, 3) }
}

/// The mask `[1, 1, length, length]` that hides later positions.
pub(crate) fn causal_mask(length: usize, device: &Device, dtype: FloatDType) -> Tensor<4> {
    let mask: Vec<f32> = (0..length * length)
        .map(|index| if index % length > index / length { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    Tensor::from_data(TensorData::new(mask, [1, 1, length, length]), (device, DType::from(dtype)))
}
