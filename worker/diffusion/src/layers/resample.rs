//! Nearest-neighbour enlargement.

use burn::tensor::{Int, Tensor, TensorData};

/// Enlarges `[batch, height, width, channels]` to the given height and width by repeating the nearest
/// pixel, `source = floor(target * height / new_height)`.
pub(crate) fn upsample_nearest(x: Tensor<4>, new_height: usize, new_width: usize) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    if [new_height, new_width] == [2 * height, 2 * width] {
        return x
            .reshape([batch, height, 1, width, 1, channels])
            .expand([batch, height, 2, width, 2, channels])
            .reshape([batch, new_height, new_width, channels]);
    }
    let device = x.device();
    let sources = |old: usize, new: usize| -> Tensor<1, Int> {
        let sources: Vec<i64> = (0..new).map(|target| (target * old / new) as i64).collect();
        Tensor::from_data(TensorData::new(sources, [new]), &device)
    };
    x.select(1, sources(height, new_height)).select(2, sources(width, new_width))
}
