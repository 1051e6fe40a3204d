//! Normalisation of rows, with the variance of the centred values: a cube has a row.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{Rows, elem, empty_like, in_rows, packed};
use super::moments::moments;
use super::reduce::{cube_sum, lane_sum};

#[cube(launch, address_type = "dynamic")]
fn forward_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    gamma: &Tensor<Vector<E, N>>,
    beta: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    rows: usize,
    x_pitch: usize,
    epsilon: f32,
    #[comptime] width: usize,
    #[comptime] units: u32,
    #[define(E)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(units as usize);
    if CUBE_POS >= rows {
        terminate!();
    }
    let base = CUBE_POS * width;
    let x_base = CUBE_POS * x_pitch;
    let (mean, scale) = moments::<E, N>(x, x_base, width, width, epsilon, &mut scratch, width, units);
    let mut at = UNIT_POS as usize;
    while at < width {
        let normed = (Vector::<f32, N>::cast_from(x[x_base + at]) - Vector::new(mean)) * Vector::new(scale);
        let weight = Vector::<f32, N>::cast_from(gamma[at]);
        y[base + at] = Vector::cast_from(normed * weight + Vector::<f32, N>::cast_from(beta[at]));
        at += units as usize;
    }
}

/// With `u` the normalised values and `g` their gradient, `dx = (g - mean(g) - u mean(g u)) * scale`.
#[cube(launch, address_type = "dynamic")]
fn gradient_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    gamma: &Tensor<Vector<E, N>>,
    grad: &Tensor<Vector<E, N>>,
    dx: &mut Tensor<Vector<E, N>>,
    rows: usize,
    x_pitch: usize,
    grad_pitch: usize,
    epsilon: f32,
    #[comptime] width: usize,
    #[comptime] units: u32,
    #[define(E)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(units as usize);
    if CUBE_POS >= rows {
        terminate!();
    }
    let base = CUBE_POS * width;
    let x_base = CUBE_POS * x_pitch;
    let grad_base = CUBE_POS * grad_pitch;
    let (mean, scale) = moments::<E, N>(x, x_base, width, width, epsilon, &mut scratch, width, units);
    let mut levels = Vector::<f32, N>::new(0.0f32);
    let mut slopes = Vector::<f32, N>::new(0.0f32);
    let mut at = UNIT_POS as usize;
    while at < width {
        let u = (Vector::<f32, N>::cast_from(x[x_base + at]) - Vector::new(mean)) * Vector::new(scale);
        let g = Vector::<f32, N>::cast_from(grad[grad_base + at]) * Vector::<f32, N>::cast_from(gamma[at]);
        levels += g;
        slopes += g * u;
        at += units as usize;
    }
    let total = (width * N::value()) as f32;
    let level = cube_sum(lane_sum::<N>(levels), &mut scratch) / total;
    let slope = cube_sum(lane_sum::<N>(slopes), &mut scratch) / total;
    let mut at = UNIT_POS as usize;
    while at < width {
        let u = (Vector::<f32, N>::cast_from(x[x_base + at]) - Vector::new(mean)) * Vector::new(scale);
        let g = Vector::<f32, N>::cast_from(grad[grad_base + at]) * Vector::<f32, N>::cast_from(gamma[at]);
        let d = (g - Vector::new(level) - u * Vector::new(slope)) * Vector::new(scale);
        dx[base + at] = Vector::cast_from(d);
        at += units as usize;
    }
}

pub(super) fn forward(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f64) -> CubeTensor {
    let ((x, pitch), gamma, beta) = (in_rows(x), packed(gamma), packed(beta));
    let rows = Rows::of(&x);
    let y = empty_like(&x);
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    forward_kernel::launch(
        &client,
        rows.cubes(&client),
        rows.cube(),
        address,
        rows.lanes,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        rows.count,
        pitch / rows.lanes,
        epsilon as f32,
        rows.width,
        rows.units,
        dtype,
    );
    y
}

pub(super) fn gradient(x: CubeTensor, gamma: CubeTensor, grad: CubeTensor, epsilon: f64) -> CubeTensor {
    let ((x, pitch), gamma, (grad, grad_pitch)) = (in_rows(x), packed(gamma), in_rows(grad));
    let rows = Rows::of(&x);
    let dx = empty_like(&x);
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    gradient_kernel::launch(
        &client,
        rows.cubes(&client),
        rows.cube(),
        address,
        rows.lanes,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        grad.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        rows.count,
        pitch / rows.lanes,
        grad_pitch / rows.lanes,
        epsilon as f32,
        rows.width,
        rows.units,
        dtype,
    );
    dx
}
