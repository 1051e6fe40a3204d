//! 3x3 convolution on channels-last pictures: burn's own kernels, which work in that order, with nothing kept for the gradient.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use crate::layers::Sampling;

/// `weight` is `[outputs, 3, 3, inputs]`, in this order in memory.
pub(super) fn forward(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, sampling: Sampling) -> CubeTensor {
    channels_last(CubeBackend::conv2d(
        channels_first(x),
        channels_first(weight),
        Some(bias),
        options(sampling),
    ))
}

/// The gradient of the input `[batch, height, width, inputs]`.
pub(super) fn gradient(
    grad: CubeTensor,
    weight: CubeTensor,
    input: [usize; 4],
    sampling: Sampling,
) -> CubeTensor {
    // Of the input only the shape matters: a single number stands in for all of it.
    let single = CubeBackend::float_slice(grad.clone(), &[0..1, 0..1, 0..1, 0..1].map(Slice::from));
    let stand_in = channels_first(CubeBackend::float_expand(single, Shape::new(input)));
    channels_last(CubeBackend::conv2d_x_backward(
        stand_in,
        channels_first(weight),
        channels_first(grad),
        options(sampling),
    ))
}

/// The order of dimensions that burn's interface has; its kernels turn the view back.
fn channels_first(x: CubeTensor) -> CubeTensor {
    CubeBackend::float_permute(x, &[0, 3, 1, 2])
}

fn channels_last(x: CubeTensor) -> CubeTensor {
    CubeBackend::float_permute(x, &[0, 2, 3, 1])
}

fn options(sampling: Sampling) -> ConvOptions<2> {
    let (stride, before, after) = sampling.stride_and_padding();
    ConvOptions::new_with_padding([stride; 2], [(before, after); 2], [1; 2], 1)
}
